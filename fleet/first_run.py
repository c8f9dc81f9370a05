"""Before the server starts: the data folder is copied aside if it is older, migrated, and has an administrator."""

import os
import shutil
import sqlite3

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from django.utils.crypto import get_random_string


def prepare(say):
    """Migrate, copying an older data folder aside first; create the user ``admin`` on the first run."""
    pending, applied = _pending_migrations()
    if pending:
        if applied and connection.vendor == "sqlite":
            say(f"This data folder is of an earlier version; a copy was put into {_copy_aside()}")
        call_command("migrate", interactive=False, verbosity=0)
    create_admin(say)


def _pending_migrations():
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [migration for migration, _ in plan], bool(executor.loader.applied_migrations)


def _copy_aside():
    """Database and keys as they are; media, which never change, as hard links where the disk can."""
    data = settings.FLEET_DATA_DIR
    target = data / "backups" / timezone.now().strftime("%Y-%m-%dT%H-%M-%SZ")
    target.mkdir(parents=True)
    database = settings.DATABASES["default"]["NAME"]
    with sqlite3.connect(database) as source, sqlite3.connect(target / "fleet.sqlite3") as copy:
        source.backup(copy)
    for folder, copy in (("secrets", shutil.copy2), ("media", _link_or_copy)):
        if (data / folder).is_dir():
            shutil.copytree(data / folder, target / folder, copy_function=copy)
    return target


def _link_or_copy(source, target):
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def create_admin(say):
    """The user ``admin``, if there is no user at all; a generated password is said once and kept nowhere."""
    users = get_user_model().objects
    if users.exists():
        return
    password = settings.FLEET_ADMIN_PASSWORD or get_random_string(16)
    users.create_superuser("admin", password=password)
    if not settings.FLEET_ADMIN_PASSWORD:
        say(f"Sign in as admin with the password {password} (it is not shown again)")
