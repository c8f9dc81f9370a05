import json
import os
import subprocess
import sys

import pytest
from cryptography.fernet import Fernet

from tests.server import REPOSITORY

PRODUCTION = {
    "FLEET_PRODUCTION": "1",
    "FLEET_SECRET_KEY": "x" * 50,
    "FLEET_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
}


def load(folder, names, **environment):
    """The settings ``names`` as a fresh process with this environment sees them, or its complaint."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "VIRTUAL_ENV")}
    program = (
        "import json, django.conf as c; "
        f"print(json.dumps({{name: getattr(c.settings, name) for name in {names!r}}}, default=str))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        env={**kept, "DJANGO_SETTINGS_MODULE": "fleet.settings", "FLEET_DATA_DIR": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr.splitlines()[-1]


def test_by_default_everything_is_in_one_folder_and_one_process(tmp_path):
    found = load(tmp_path, ["DATABASES", "CELERY_BROKER_URL", "CHANNEL_LAYERS", "MEDIA_ROOT", "ALLOWED_HOSTS"])
    assert found["DATABASES"]["default"]["NAME"] == str(tmp_path / "fleet.sqlite3")
    assert found["MEDIA_ROOT"] == str(tmp_path / "media")
    assert found["CELERY_BROKER_URL"].startswith("memory://")
    assert found["CHANNEL_LAYERS"]["default"]["BACKEND"] == "fleet.live.EmbeddedLayer"
    assert set(found["ALLOWED_HOSTS"]) == {"localhost", "127.0.0.1", "[::1]"}


def test_keys_are_made_once_and_kept_where_only_their_owner_reads_them(tmp_path):
    names = ["SECRET_KEY", "FLEET_ENCRYPTION_KEYS"]
    assert load(tmp_path, names) == load(tmp_path, names)
    files = list((tmp_path / "secrets").iterdir())
    assert len(files) == 2
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_the_environment_names_postgresql_redis_and_rabbitmq(tmp_path):
    found = load(
        tmp_path,
        ["DATABASES", "CELERY_BROKER_URL", "CHANNEL_LAYERS", "CACHES"],
        DATABASE_URL="postgresql://user:p%40ss@db.example/fleet",
        REDIS_URL="redis://cache.example/0",
        CELERY_BROKER_URL="amqp://guest@rabbit.example//",
    )
    assert found["DATABASES"]["default"]["PASSWORD"] == "p@ss"
    assert found["CELERY_BROKER_URL"] == "amqp://guest@rabbit.example//"
    assert "redis" in found["CHANNEL_LAYERS"]["default"]["BACKEND"]
    assert "redis" in found["CACHES"]["default"]["BACKEND"]


def test_hosts_and_origins_follow_from_host_and_public_urls(tmp_path):
    found = load(
        tmp_path,
        ["ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "FLEET_PUBLIC_URLS"],
        HOST="192.0.2.7",
        FLEET_PUBLIC_URLS="https://sms.example.org/gateway/, http://10.0.0.5:8000/gateway",
    )
    assert {"192.0.2.7", "sms.example.org", "10.0.0.5"} <= set(found["ALLOWED_HOSTS"])
    assert found["CSRF_TRUSTED_ORIGINS"] == ["http://10.0.0.5:8000", "https://sms.example.org"]
    assert found["FLEET_PUBLIC_URLS"] == ["https://sms.example.org/gateway/", "http://10.0.0.5:8000/gateway"]


def test_a_host_for_the_whole_network_allows_this_machines_addresses_and_nothing_else(tmp_path):
    found = load(tmp_path, ["ALLOWED_HOSTS"], HOST="0.0.0.0")
    assert "*" not in found["ALLOWED_HOSTS"]
    assert "127.0.0.1" in found["ALLOWED_HOSTS"] and "0.0.0.0" not in found["ALLOWED_HOSTS"]


def test_an_ipv6_address_is_allowed_as_browsers_write_it(tmp_path):
    found = load(
        tmp_path, ["ALLOWED_HOSTS"], HOST="2001:db8::7", FLEET_PUBLIC_URLS="http://[2001:db8::8]:8000/gateway/"
    )
    assert {"[2001:db8::7]", "[2001:db8::8]"} <= set(found["ALLOWED_HOSTS"])


@pytest.mark.parametrize(
    ("urls", "secure"),
    [
        ("", False),
        ("https://sms.example.org/gateway/", True),
        ("https://sms.example.org/gateway/,http://10.0.0.5:8000/gateway/", False),
    ],
)
def test_cookies_are_for_tls_alone_where_every_public_url_is_tls(tmp_path, urls, secure):
    found = load(tmp_path, ["SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE"], FLEET_PUBLIC_URLS=urls)
    assert set(found.values()) == {secure}


def test_the_clocks_speed_is_for_tests_only(tmp_path):
    assert load(tmp_path, ["FLEET_CLOCK_SPEED"], FLEET_CLOCK_SPEED="60") == {"FLEET_CLOCK_SPEED": 60.0}
    assert "FLEET_CLOCK_SPEED" in load(tmp_path, ["FLEET_CLOCK_SPEED"], FLEET_CLOCK_SPEED="60", **PRODUCTION)
    assert load(tmp_path, ["FLEET_CLOCK_SPEED"], **PRODUCTION) == {"FLEET_CLOCK_SPEED": 1}


@pytest.mark.parametrize("missing", ["FLEET_SECRET_KEY", "FLEET_ENCRYPTION_KEYS"])
def test_in_production_the_keys_must_be_given(tmp_path, missing):
    given = {name: value for name, value in PRODUCTION.items() if name != missing}
    assert missing in load(tmp_path, ["SECRET_KEY"], **given)


@pytest.mark.parametrize(
    ("name", "value"),
    [("FLEET_CLOCK_SPEED", "fast"), ("FLEET_CLOCK_SPEED", "0"), ("FLEET_CLOCK_SPEED", "nan"), ("PORT", "http")],
)
def test_a_wrong_value_is_named_with_its_variable(tmp_path, name, value):
    complaint = load(tmp_path, ["DEBUG"], **{name: value})
    assert isinstance(complaint, str) and name in complaint


def test_an_empty_variable_counts_as_not_set(tmp_path):
    found = load(tmp_path, ["PORT", "HOST", "DATABASES"], PORT="", HOST="", DATABASE_URL="")
    assert (found["HOST"], found["PORT"]) == ("127.0.0.1", 8000)
    assert found["DATABASES"]["default"]["NAME"] == str(tmp_path / "fleet.sqlite3")
