import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from django.contrib.auth import authenticate, get_user_model

from fleet import first_run
from tests.factories import make_user
from tests.server import REPOSITORY


@pytest.mark.django_db
def test_the_first_run_makes_admin_and_says_a_generated_password_once(settings):
    settings.FLEET_ADMIN_PASSWORD = ""
    told = []
    first_run.create_admin(told.append)
    password = re.search(r"password (\S+)", told[0])[1]
    assert len(password) >= 16
    assert authenticate(username="admin", password=password).is_superuser
    first_run.create_admin(told.append)
    assert len(told) == 1


@pytest.mark.django_db
def test_a_given_password_is_taken_and_not_said(settings):
    settings.FLEET_ADMIN_PASSWORD = "correct horse"
    told = []
    first_run.create_admin(told.append)
    assert told == []
    assert authenticate(username="admin", password="correct horse")


@pytest.mark.django_db
def test_where_somebody_can_sign_in_no_admin_is_made():
    make_user("jo")
    first_run.create_admin(print)
    assert not get_user_model().objects.filter(username="admin").exists()


def python(folder, program):
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "VIRTUAL_ENV")}
    own = {"DJANGO_SETTINGS_MODULE": "fleet.settings", "FLEET_DATA_DIR": str(folder), "FLEET_ADMIN_PASSWORD": "x"}
    done = subprocess.run(
        [sys.executable, "-c", f"import django; django.setup(); {program}"],
        cwd=REPOSITORY,
        env={**kept, **own},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


PREPARE = "from fleet.first_run import prepare; prepare(print)"


def test_an_older_data_folder_is_copied_aside_before_it_is_migrated(tmp_path):
    assert python(tmp_path, PREPARE) == ""
    assert not (tmp_path / "backups").exists()
    python(
        tmp_path,
        "from fleet import media, phones; phones.register('15550100', 'secret'); media.keep(b'bytes'); "
        "from django.core.management import call_command; call_command('migrate', 'fleet', '0001', verbosity=0)",
    )
    told = python(tmp_path, PREPARE)
    (copy,) = (tmp_path / "backups").iterdir()
    assert str(copy) in told
    with (
        closing(sqlite3.connect(copy / "fleet.sqlite3")) as old,
        closing(sqlite3.connect(tmp_path / "fleet.sqlite3")) as new,
    ):
        applied = "SELECT name FROM django_migrations WHERE app = 'fleet' ORDER BY id"
        assert old.execute(applied).fetchall() == [("0001_initial",)]
        assert len(new.execute(applied).fetchall()) > 1
        numbers = "SELECT number FROM fleet_phone"
        assert old.execute(numbers).fetchall() == new.execute(numbers).fetchall() == [("15550100",)]
    assert {path.name for path in (copy / "secrets").iterdir()} == {"secret_key", "encryption_keys"}
    assert {path.stat().st_mode & 0o777 for path in (copy / "secrets").iterdir()} == {0o600}
    assert [path.read_bytes() for path in (copy / "media").rglob("*") if path.is_file()] == [b"bytes"]
    assert python(tmp_path, PREPARE) == ""
    assert len(list((tmp_path / "backups").iterdir())) == 1
