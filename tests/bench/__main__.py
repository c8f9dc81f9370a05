"""`make bench [ONLY=prefix]`: prints `name value unit`, a line per figure; everything else goes to stderr.

A module of this folder that is named here has NAMES, the figures it can measure, and ``measure(wanted, say)``:
``wanted(name)`` tells whether that figure was asked for, ``say(name, value, unit)`` prints it. Each runs in a
process of its own, with PostgreSQL and Redis in its environment as tests/services.py found them.
"""

import importlib
import os
import subprocess
import sys

from tests import services

MODULES = ("gateway",)


def main(prefix=""):
    modules = {name: importlib.import_module(f"tests.bench.{name}") for name in MODULES}
    chosen = [name for name, module in modules.items() if any(figure.startswith(prefix) for figure in module.NAMES)]
    if not chosen:
        print(f"No figure's name begins with {prefix!r}. There are:", file=sys.stderr)
        print("\n".join(figure for module in modules.values() for figure in module.NAMES), file=sys.stderr)
        return 2
    with services.running(durable=True) as found:
        environment = {**os.environ, **found.env(found.postgres), "PYTHONUNBUFFERED": "1"}
        codes = [
            subprocess.call([sys.executable, "-m", "tests.bench.only", name, prefix], env=environment)
            for name in chosen
        ]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
