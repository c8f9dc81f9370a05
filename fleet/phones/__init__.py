"""Phones: who is in the fleet, how each is doing, what it said of itself.

``register``, ``change`` and ``archive`` are the operator's verbs, ``hear`` is what every signed request does, and
``sweep_states`` is what passing time does. Whoever writes takes rows in the order phones → messages → attempts.
"""

from fleet.phones.hearing import LIMIT_WINDOW_SECONDS, POINT_SECONDS, Heard, hear
from fleet.phones.membership import NumberTaken, archive, change, register
from fleet.phones.models import (
    REMOVAL_SECONDS,
    LogChunk,
    Mode,
    Phone,
    PhoneEvent,
    PhoneReport,
    State,
    note,
)
from fleet.phones.silence import sweep_states

__all__ = [
    "LIMIT_WINDOW_SECONDS",
    "POINT_SECONDS",
    "REMOVAL_SECONDS",
    "Heard",
    "LogChunk",
    "Mode",
    "NumberTaken",
    "Phone",
    "PhoneEvent",
    "PhoneReport",
    "State",
    "archive",
    "change",
    "hear",
    "note",
    "register",
    "sweep_states",
]
