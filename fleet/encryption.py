"""Secrets at rest: the signature needs the phones' passwords in clear, so they are encrypted, not hashed."""

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models


class WrongKey(Exception):
    """What is stored was encrypted with a key that ``FLEET_ENCRYPTION_KEYS`` does not hold."""


def _box():
    return MultiFernet([Fernet(key) for key in settings.FLEET_ENCRYPTION_KEYS])


def encrypt(text):
    """``text`` as a Fernet token (URL-safe ASCII)."""
    return _box().encrypt(text.encode()).decode()


# A phone signs every few seconds with the same password, and a Fernet token costs 30 microseconds to open.
_opened: dict[str, str] = {}


def decrypt(token):
    """The text of ``token``; WrongKey if no configured key opens it."""
    text = _opened.get(token)
    if text is None:
        try:
            text = _box().decrypt(token).decode()
        except InvalidToken:
            raise WrongKey("A stored password cannot be read: FLEET_ENCRYPTION_KEYS has changed") from None
        if len(_opened) > 10_000:
            _opened.clear()
        _opened[token] = text
    return text


class EncryptedTextField(models.TextField):
    """Text that the database only ever sees encrypted. Not searchable; the empty string stays empty."""

    def get_prep_value(self, value):
        return encrypt(value) if value else value

    def from_db_value(self, value, expression, connection):
        return decrypt(value) if value else value
