"""The arrows between our modules, read from their import statements."""

import ast
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
OURS = ("fleet", "dashboard")
# The edges: they import the domain, and the domain knows none of them.
EDGES = (
    "dashboard",
    "fleet.gateway",
    "fleet.virtual",
    "fleet.tasks",
    "fleet.management",
    "fleet.embedded",
    "fleet.server",
    "fleet.first_run",
    "fleet.health",
    "fleet.urls",
    "fleet.asgi",
    "fleet.celery",
)
DOMAIN = ("fleet.phones", "fleet.outbox", "fleet.inbox", "fleet.media", "fleet.problems", "fleet.live")
PURE = (
    "fleet.balancer",
    "fleet.numbers",
    "fleet.segments",
    "fleet.gateway.signature",
    "fleet.gateway.wire",
    "fleet.gateway.form",
    "fleet.gateway.events",
    "fleet.gateway.actions",
)
WIRING = {"fleet.urls", "fleet.asgi", "fleet.settings"}


@cache
def modules():
    """{dotted name: path} of every module of ours."""
    found = {}
    for package in OURS:
        for path in sorted((REPOSITORY / package).rglob("*.py")):
            if "migrations" in path.parts:
                continue
            parts = path.relative_to(REPOSITORY).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports(name):
    """The modules that ``name`` imports anywhere in its text, as dotted names."""
    path, found = modules()[name], set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            # "from fleet import clock" means the module fleet.clock, not the package's own text.
            found |= {one if one in modules() else node.module for one in inner}
    return found


def inside(module, packages):
    return any(module == package or module.startswith(package + ".") for package in packages)


def within(*packages):
    return [name for name in modules() if inside(name, packages)]


def reached(name):
    """Every module of ours that importing ``name`` loads, itself left out."""
    found, waiting = set(), [name]
    while waiting:
        for other in imports(waiting.pop()):
            if other in modules() and other not in found:
                found.add(other)
                waiting.append(other)
    return found - {name}


@pytest.mark.parametrize("name", within(*DOMAIN, *PURE, "fleet.clock", "fleet.bulk", "fleet.encryption"))
def test_the_domain_has_never_heard_of_its_edges(name):
    edges = [edge for edge in EDGES if not inside(name, (edge,)) and not inside(name, ("fleet.gateway",))]
    assert [other for other in imports(name) if inside(other, edges)] == []


@pytest.mark.parametrize("name", within(*DOMAIN))
def test_the_domain_has_never_heard_of_html_or_tasks(name):
    foreign = ("django.http", "django.shortcuts", "django.template", "django.views", "django.urls", "celery")
    assert [other for other in imports(name) if inside(other, foreign)] == []


@pytest.mark.parametrize(
    ("lower", "uppers"),
    [
        ("fleet.live", ("fleet.phones", "fleet.outbox", "fleet.inbox", "fleet.problems", "fleet.media")),
        ("fleet.phones", ("fleet.outbox", "fleet.inbox", "fleet.problems", "fleet.media")),
        ("fleet.outbox", ("fleet.inbox", "fleet.problems", "fleet.media")),
        ("fleet.media", ("fleet.phones", "fleet.outbox", "fleet.inbox", "fleet.problems", "fleet.live")),
        ("fleet.problems", ("fleet.phones", "fleet.outbox", "fleet.inbox")),
    ],
)
def test_inbox_and_outbox_stand_on_phones_and_phones_on_live(lower, uppers):
    for name in within(lower):
        assert [other for other in imports(name) if inside(other, uppers)] == [], name


@pytest.mark.parametrize("name", PURE)
def test_what_is_pure_touches_neither_database_nor_settings(name):
    assert [other for other in imports(name) if inside(other, ("django", "channels", "celery"))] == []
    for other in reached(name):
        assert inside(other, PURE) or other in ("fleet", "fleet.gateway"), f"{name} reaches {other}"


@pytest.mark.parametrize("name", [name for name in modules() if not inside(name, ("dashboard",))])
def test_nobody_imports_the_dashboard_but_the_wiring(name):
    if name not in WIRING:
        assert [other for other in imports(name) if inside(other, ("dashboard",))] == []


def test_a_virtual_phone_knows_the_server_only_over_http():
    for name in within("fleet.virtual"):
        assert [other for other in imports(name) if inside(other, (*DOMAIN, "fleet.gateway.handlers"))] == [], name


def test_the_gateway_and_the_dashboard_do_not_know_each_other():
    for name in within("fleet.gateway"):
        assert [other for other in imports(name) if inside(other, ("dashboard", "fleet.tasks"))] == [], name
    for name in within("dashboard"):
        assert [other for other in imports(name) if inside(other, ("fleet.gateway",))] == [], name


@pytest.mark.parametrize("name", modules())
def test_no_module_outgrows_400_lines(name):
    assert len(modules()[name].read_text().splitlines()) <= 400


def test_models_are_found_in_one_table_of_contents():
    from django.apps import apps

    from fleet import models

    assert {model.__name__ for model in apps.get_app_config("fleet").get_models()} == set(models.__all__)
