"""The outbox: what operators asked to be sent, and what became of it.

A ``Message`` is what was asked for, an ``Attempt`` binds it to one phone; the attempt's public id is the id on
the wire, so no phone ever sees another's. Nothing here enqueues a task: a row in a state is the work.

models     the tables and their states          queue      enqueue, assign, withdraw, cancel
handover   what an answer to a phone carries    statuses   what a phone says became of it
sweeps     what passing time does
"""

from fleet.outbox.handover import App, forget, offer, offers_waiting
from fleet.outbox.models import (
    Attempt,
    AttemptState,
    Message,
    MessageEvent,
    MessageState,
    Policy,
    RecallReason,
)
from fleet.outbox.queue import Refused, assign, cancel, enqueue, release
from fleet.outbox.statuses import Status, limit_exceeded, take_statuses
from fleet.outbox.sweeps import sweep

__all__ = [
    "App",
    "Attempt",
    "AttemptState",
    "Message",
    "MessageEvent",
    "MessageState",
    "Policy",
    "RecallReason",
    "Status",
    "Refused",
    "assign",
    "cancel",
    "enqueue",
    "forget",
    "limit_exceeded",
    "offer",
    "offers_waiting",
    "release",
    "sweep",
    "take_statuses",
]
