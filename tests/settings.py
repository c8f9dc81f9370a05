"""The product's settings with a throw-away data folder, and quick where only a live server must be thorough."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

for _name in ("HOST", "PORT", "FLEET_PUBLIC_URLS", "FLEET_TRUSTED_PROXIES", "FLEET_PRODUCTION", "FLEET_CLOCK_SPEED"):
    os.environ.pop(_name, None)
if "FLEET_TESTS_FOLDER" not in os.environ:  # the workers of pytest-xdist share the first one's
    os.environ["FLEET_TESTS_FOLDER"] = tempfile.mkdtemp(prefix="fleet-tests-")
    atexit.register(shutil.rmtree, os.environ["FLEET_TESTS_FOLDER"], ignore_errors=True)
os.environ["FLEET_DATA_DIR"] = str(Path(os.environ["FLEET_TESTS_FOLDER"]) / f"data-{os.getpid()}")

from fleet.settings import *  # noqa: E402, F403
from fleet.settings import DATABASES  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # The disk is not what these tests are about.
    DATABASES["default"]["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
