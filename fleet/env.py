"""Readers of the environment: each setting is read once, in settings.py, and fails naming its variable."""

import os
import secrets
from functools import partial
from pathlib import Path

import environ
import psutil
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured


class Env(environ.Env):
    """An empty variable counts as not set: compose files and scripts pass on what nobody gave them."""

    ENVIRON = {name: value for name, value in os.environ.items() if value}


env = Env()


def words(name):
    """A comma-separated list; white space around the entries is dropped, inside them nothing is changed."""
    return [word.strip() for word in env.str(name, default="").split(",") if word.strip()]


def number(name, default, *, above=None):
    """A number, or a message that names the variable."""
    try:
        value = env.float(name, default=default)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a number, not {env.str(name)!r}") from None
    if above is not None and not value > above:
        raise ImproperlyConfigured(f"{name} must be above {above}, not {value}")
    return value


def whole(name, default):
    """A whole number from 0 on, or a message that names the variable."""
    try:
        value = env.int(name, default=default)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {env.str(name)!r}") from None
    if value < 0:
        raise ImproperlyConfigured(f"{name} must not be negative, but is {value}")
    return value


def generated(name, path: Path, make):
    """The variable ``name``, or what ``path`` holds; on the first run ``make()`` writes that file, readable
    by its owner only. With ``FLEET_PRODUCTION`` the variable is required: a container's folder does not last."""
    if value := env.str(name, default=""):
        return value
    if env.bool("FLEET_PRODUCTION", default=False):
        raise ImproperlyConfigured(f"{name} must be set when FLEET_PRODUCTION is on")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "x", opener=partial(os.open, mode=0o600)) as file:
            file.write(make())
    except FileExistsError:
        pass
    return path.read_text().strip()


def secret_key():
    return secrets.token_urlsafe(48)


def encryption_key():
    return Fernet.generate_key().decode()


def own_addresses():
    """This machine's IPv4 addresses, those a phone in the same network could reach first."""
    found = [
        address.address
        for name, addresses in sorted(psutil.net_if_addrs().items())
        for address in addresses
        if address.family.name == "AF_INET"
    ]
    return sorted(found, key=lambda address: address.startswith(("127.", "169.254.", "172.17.")))
