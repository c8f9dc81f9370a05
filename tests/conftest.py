"""What all tests share. Each may ask for a real server (`live_server_up`, `start_server`) and a real browser."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from tests import captures, services
from tests.server import Server

PRODUCTION = os.environ.get("DATABASE_URL", "").startswith("postgres")
CHROMIUM = os.environ.get("FLEET_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright keeps a loop running beside the ORM's calls


def pytest_collection_modifyitems(config, items):
    """Leave out, loudly, what this machine cannot run; under CI its absence is an error."""
    lacking = []
    if not CHROMIUM:
        lacking.append(("browser", "Chromium is not installed (Debian: apt-get install chromium)"))
    if PRODUCTION and not os.environ.get("CELERY_BROKER_URL", "").startswith("amqp"):
        lacking.append(("rabbitmq", services.RABBITMQ_MISSING))
    if lacking and services.required():
        raise pytest.UsageError("; ".join(why for _, why in lacking) + ", and FLEET_TEST_SERVICES=required.")
    if not PRODUCTION:
        lacking += [("production", ""), ("rabbitmq", "")]
    for marker, why in lacking:
        out = [item for item in items if item.get_closest_marker(marker)]
        items[:] = [item for item in items if not item.get_closest_marker(marker)]
        if out:
            config.hook.pytest_deselected(items=out)
            if why:
                config.stash.setdefault(_left_out, []).append(f"{len(out)} {marker} tests DID NOT RUN: {why}.")


_left_out = pytest.StashKey[list]()


def pytest_terminal_summary(terminalreporter, config):
    for line in config.stash.get(_left_out, []):
        terminalreporter.write_line(line, red=True)
    if path := os.environ.get("FLEET_TEST_SUMMARY"):
        counts = {
            outcome: sum(1 for report in terminalreporter.stats.get(outcome, []) if getattr(report, "nodeid", ""))
            for outcome in ("passed", "failed", "error", "skipped")
        }
        sent = {
            report.nodeid: found[1]
            for report in terminalreporter.stats.get("passed", [])
            if (found := re.search(r"test_captures.*\[([\w-]+?)(?:\.http)?\]", report.nodeid))
        }
        files = {capture.name for capture in captures.captures()}
        Path(path).write_text(json.dumps({**counts, "captures": len(files.intersection(sent.values()))}))


# ── A real server ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="session")
def start_server(tmp_path_factory):
    """Start servers: ``start_server(FLEET_CLOCK_SPEED=60)``. Each has its own data folder, database and port."""
    running = []

    def start(**environment):
        server = Server(tmp_path_factory.mktemp("server"), production=PRODUCTION, environment=environment)
        running.append(server)
        return server.start()

    yield start
    for server in reversed(running):
        server.stop()


@pytest.fixture(scope="session")
def live_server_up(start_server):
    """One real server for the whole run: see tests/server.py for what it can be asked."""
    return start_server()


# ── A real browser ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def browser():
    """Chromium. For a module only: while it runs, no other event loop can in this thread."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def new_page(browser, live_server_up):
    """Open pages, each a visitor of its own: ``new_page(width=390)``; not signed in."""
    contexts = []

    def open_page(*, width=1280, height=900, server=None, **options):
        server = server or live_server_up
        context = browser.new_context(
            base_url=server.url, viewport={"width": width, "height": height}, reduced_motion="reduce", **options
        )
        context.set_default_timeout(10_000)
        contexts.append(context)
        return context.new_page()

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def browser_page(new_page, live_server_up):
    """A page of the real server, signed in as admin."""
    page = new_page()
    sign_in(page, live_server_up)
    return page


def sign_in(page, server):
    """Sign in through the form, as a person does."""
    page.goto("/")
    page.locator("[name=login]").fill("admin")
    page.locator("[name=password]").fill(server.admin_password)
    page.locator("[name=password]").press("Enter")
    page.wait_for_url(lambda url: "login" not in url)
