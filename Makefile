# Everything a newcomer types. `make` alone lists it.
PYTHON := .venv/bin/python
.DEFAULT_GOAL := help
.PHONY: help run demo test bench lint lock

help:
	@echo "make run     serve the fleet on http://127.0.0.1:8000 (HOST, PORT, FLEET_DATA_DIR change that)"
	@echo "make demo    the same with a dozen virtual phones"
	@echo "make test    all tests, on SQLite and with production settings"
	@echo "make bench   requests a second, one figure a line (ONLY=gateway.poll runs a part)"
	@echo "make lint    ruff, mypy, djlint"
	@echo "make lock    renew requirements.txt and requirements-dev.txt from pyproject.toml"

run:
	@tools/venv.sh requirements.txt
	@exec $(PYTHON) tools/serve.py

demo:
	@tools/venv.sh requirements.txt
	@exec $(PYTHON) tools/serve.py --phones 12

test:
	@tools/venv.sh requirements-dev.txt
	@exec $(PYTHON) -m tests.run $(ARGS)

bench:
	@tools/venv.sh requirements-dev.txt
	@exec $(PYTHON) -m tests.bench $(ONLY)

lint:
	@tools/venv.sh requirements-dev.txt
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	$(PYTHON) -m djlint --check --lint --quiet templates

LOCK := .venv/bin/uv pip compile --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --quiet
lock:
	@tools/venv.sh requirements-dev.txt
	@.venv/bin/uv --version >/dev/null 2>&1 || .venv/bin/pip install --quiet uv
	$(LOCK) $(UPGRADE) -o requirements.txt pyproject.toml
	$(LOCK) $(UPGRADE) --extra dev -c requirements.txt -o requirements-dev.txt pyproject.toml
