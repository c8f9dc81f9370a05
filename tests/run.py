"""`make test`: the whole suite on SQLite, then again with production settings. Arguments go to pytest."""

import json
import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

from tests import captures, services

OURS = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL")


def main(arguments):
    bare = {name: value for name, value in os.environ.items() if name not in OURS}
    with services.running() as found:
        print("── The tests on SQLite " + "─" * 60, flush=True)
        code, embedded = run(bare, arguments)
        print("── The tests with production settings " + "─" * 45, flush=True)
        print("\n".join(found.told), flush=True)
        # Django puts "test_" before the name and makes that database, not this one.
        database = services.named(found.postgres, f"fleet_{secrets.token_hex(4)}")
        again, production = run({**bare, **found.env(database)}, arguments)
        if found.rabbitmq is None:
            print(f"{services.RABBITMQ_MISSING}: Celery ran over Redis, and the RabbitMQ tests DID NOT RUN.")
    print("Tests:", ", ".join(f"{embedded[word] + production[word]} {word}" for word in SUMMED))
    print(about_captures(embedded, production))
    return code or again


def run(environment, arguments):
    """pytest's exit code and the counts that tests/conftest.py wrote."""
    with tempfile.TemporaryDirectory() as folder:
        summary = Path(folder) / "summary.json"
        environment = {**environment, "FLEET_TEST_SUMMARY": str(summary)}
        code = subprocess.call([sys.executable, "-m", "pytest", *arguments], env=environment)
        counts = json.loads(summary.read_text()) if summary.exists() else dict.fromkeys(COUNTED, 0)
    counts["failed"] += counts["error"]
    return code, counts


SUMMED = ("passed", "failed", "skipped")
COUNTED = ("passed", "failed", "error", "skipped", "captures")


def about_captures(embedded, production):
    folder = os.path.relpath(captures.CAPTURES_DIR)
    if not captures.available():
        return f"Captures: not found at {folder} (FLEET_CAPTURES), their tests did not run."
    if not embedded["captures"] and not production["captures"]:
        return f"Captures: found at {folder}, but their tests did not run."
    if embedded["captures"] != production["captures"]:
        return f"Captures: {embedded['captures']} on SQLite, {production['captures']} on PostgreSQL, from {folder}."
    return f"Captures: {embedded['captures']} requests from {folder} ran on SQLite and PostgreSQL."


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except services.ServiceMissing as missing:
        sys.exit(f"Tests did not run: {missing}")
