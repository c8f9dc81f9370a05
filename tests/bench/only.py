"""One module of the bench, in a process of its own: `python -m tests.bench.only gateway gateway.poll`."""

import importlib
import sys


def say(name, value, unit):
    print(name, f"{value:.2f}" if unit == "ratio" else f"{value:.0f}", unit, flush=True)


if __name__ == "__main__":
    module, prefix = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
    importlib.import_module(f"tests.bench.{module}").measure(lambda name: name.startswith(prefix), say)
