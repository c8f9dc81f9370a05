"""Table of contents: every model lives in the module of its concept."""

from fleet.inbox import Incoming, MmsPart
from fleet.live import PendingNote
from fleet.outbox import Attempt, Message, MessageEvent
from fleet.phones import LogChunk, Phone, PhoneEvent, PhoneReport
from fleet.problems import SignInProblem

__all__ = [
    "Attempt",
    "Incoming",
    "LogChunk",
    "Message",
    "MessageEvent",
    "MmsPart",
    "PendingNote",
    "Phone",
    "PhoneEvent",
    "PhoneReport",
    "SignInProblem",
]
