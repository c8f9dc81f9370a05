"""What a phone says became of a message. It says so once: every status is taken, whatever state we were in.

A late "sent" wins over everything. "Failed" ends a try, not the attempt: the app tries five times over a day.
"""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from fleet import bulk, clock, live
from fleet.outbox.models import (
    ON_PHONE,
    OPEN,
    SETTLED,
    UNCERTAIN,
    Attempt,
    AttemptState,
    Message,
    MessageEvent,
    MessageState,
    Policy,
    RecallReason,
)
from fleet.phones import LIMIT_WINDOW_SECONDS, PhoneEvent

# After these the SMS has certainly not left the phone; after any other failure it may have.
CLEAN_ERRORS = ("generic failure", "radio off", "no service", "null pdu", "unknown error")
# The phone will never take this message …
FATAL_ERRORS = ("message body is empty", "message has too many parts")
# … or this phone will not, but another may.
BARRING_ERRORS = ("destination address is not allowed", "destination address is empty")
DELETED = "deleted by user"


@dataclass(frozen=True, slots=True)
class Status:
    """One ``send_status``: the phone, when it arrived, the wire id, the word and the error text."""

    phone: object
    at: datetime
    id: str
    status: str
    error: str


def take_statuses(statuses):
    """Apply statuses in the order given, inside a transaction with their phones locked.

    An unknown id, or one of another phone, changes nothing but is noted among that phone's events.
    """
    if not statuses:
        return
    wanted = {status.id for status in statuses}
    message_ids = Attempt.objects.filter(public_id__in=wanted).values("message_id")
    messages = {
        message.pk: message
        for message in Message.objects.filter(pk__in=message_ids)
        .defer("text", "created_at", "updated_at", "scheduled_for")
        .order_by("pk")
        .select_for_update(of=("self",))
    }
    attempts = list(Attempt.objects.filter(message_id__in=messages).order_by("pk").select_for_update(of=("self",)))
    by_id = {attempt.public_id: attempt for attempt in attempts}
    taking = _Taking(messages, attempts)
    oddities = []
    for status in statuses:
        attempt = by_id.get(status.id)
        if attempt is None or attempt.phone_id != status.phone.pk:
            oddities.append(_odd(status, f"status for unknown message {status.id!r}"))
        elif not taking.take(attempt, status):
            oddities.append(_odd(status, f"unknown status {status.status!r} for {status.id}"))
    taking.write()
    PhoneEvent.objects.bulk_create(oddities)


def _odd(status, text):
    return PhoneEvent(phone_id=status.phone.pk, at=status.at, kind="odd", text=text[:255])


class _Taking:
    """Locked rows, what statuses make of them, and one write at the end."""

    def __init__(self, messages, attempts):
        self.messages, self.attempts = messages, attempts
        self.changed, self.events = {}, []

    def take(self, attempt, status):
        """Apply one status; False if its word is unknown."""
        error = status.error.strip()
        said = error.lower()
        self.changed[attempt.pk] = attempt
        if attempt.handed_at is None:  # it proves that the id left us
            attempt.handed_at = status.at
        message = self.messages[attempt.message_id]
        if status.status == "sent":
            self._sent(attempt, message, status.at)
        elif status.status == "cancelled" or (status.status == "failed" and said == DELETED):
            self._cancelled(attempt, message, status.at)
        elif status.status == "failed" and said.startswith(FATAL_ERRORS + BARRING_ERRORS):
            self._refused(attempt, message, status.at, error, fatal=said.startswith(FATAL_ERRORS))
        elif status.status == "failed":
            self._failed(attempt, message, status.at, error)
        else:
            return status.status == "queued"
        return True

    def _event(self, message, what, attempt, at, why=""):
        self.events.append(
            MessageEvent(message_id=message.pk, what=what, phone_id=attempt.phone_id, at=at, why=why[:255])
        )

    def _settle(self, message, state, at, error=""):
        message.state, message.settled_at, message.error = state, at, error[:255]
        message.reason = message.reason_text = ""
        message.waits_until = None

    def _sent(self, attempt, message, at):
        if attempt.state == AttemptState.SENT:
            return  # a repeat: asked again for an id it had sent
        twice = message.state == MessageState.SENT
        attempt.state, attempt.settled_at, attempt.error = AttemptState.SENT, at, ""
        attempt.tries += 1
        attempt.next_offer_at = None
        self._event(message, "duplicate" if twice else "sent", attempt, at)
        if not twice:
            message.uncertain = False
            self._settle(message, MessageState.SENT, at)
        for other in self.attempts:
            if other.message_id != message.pk or other is attempt:
                continue
            if other.state == AttemptState.ASSIGNED:
                other.state, other.settled_at = AttemptState.WITHDRAWN, at
                self._event(message, "withdrawn", other, at, "already sent")
            elif other.state in ON_PHONE and other.recall_asked_at is None:
                other.recall_reason, other.recall_asked_at = RecallReason.SETTLED, at
            else:
                continue
            self.changed[other.pk] = other

    def _failed(self, attempt, message, at, error):
        if attempt.state in (AttemptState.SENT, AttemptState.CANCELLED, AttemptState.REFUSED):
            return
        # Taken back before we knew that it had left us, and with another phone now: one live attempt at a time.
        elsewhere = attempt.exclusive and self._live_elsewhere(attempt)
        attempt.state = AttemptState.LOST if elsewhere else AttemptState.FAILED
        attempt.settled_at = at if elsewhere else None
        attempt.tries += 1
        attempt.error = error[:255]
        attempt.first_failed_at = attempt.first_failed_at or at
        attempt.next_offer_at = None
        attempt.dirty = attempt.dirty or not error.lower().startswith(CLEAN_ERRORS)
        if message.state not in SETTLED:
            message.uncertain = elsewhere or self._unsure_beside(attempt)
            if message.state == MessageState.QUEUED and attempt.exclusive:
                message.state = MessageState.SENDING
            if message.state == MessageState.SENDING:
                message.reason, message.reason_text, message.waits_until = "", "", None
        if message.state != MessageState.SENT:
            message.error = error[:255]
        self._event(message, "failed", attempt, at, f"try {attempt.tries}: {error}")

    def _refused(self, attempt, message, at, error, *, fatal):
        if attempt.state in (AttemptState.SENT, AttemptState.CANCELLED, AttemptState.REFUSED):
            return
        attempt.state, attempt.settled_at, attempt.error = AttemptState.REFUSED, at, error[:255]
        attempt.next_offer_at = None
        self._event(message, "refused", attempt, at, error)
        if message.state in SETTLED:
            return
        message.uncertain = self._unsure_beside(attempt)
        if fatal or message.phone_id == attempt.phone_id:
            self._settle(message, MessageState.FAILED, at, error)
        else:
            message.error = error[:255]
            self._queue_again(message, attempt)

    def _cancelled(self, attempt, message, at):
        if attempt.state in (AttemptState.SENT, AttemptState.CANCELLED, AttemptState.REFUSED):
            return
        attempt.state, attempt.settled_at, attempt.next_offer_at = AttemptState.CANCELLED, at, None
        asked = attempt.recall_sent_at is not None  # else its owner deleted it
        self._event(message, "given_back" if asked else "deleted", attempt, at)
        if message.state in SETTLED or attempt.recall_reason == RecallReason.SETTLED:
            return
        if attempt.dirty and message.policy == Policy.NEVER_TWICE:
            message.uncertain = True  # a try may have sent it: no other phone takes it
            message.reason, message.reason_text = UNCERTAIN
            message.waits_until = message.valid_until
            return
        message.uncertain = self._unsure_beside(attempt)
        if not asked:
            self._settle(message, MessageState.CANCELLED, at, "deleted on the phone")
        elif attempt.recall_reason in (RecallReason.FAILOVER, RecallReason.REMOVED):
            self._queue_again(message, attempt)
        else:
            self._settle(message, MessageState.CANCELLED, at)

    def _others(self, attempt):
        return [one for one in self.attempts if one.message_id == attempt.message_id and one is not attempt]

    def _live_elsewhere(self, attempt):
        return any(other.state in OPEN for other in self._others(attempt))

    def _unsure_beside(self, attempt):
        """Whether the message may have been sent: by another attempt, or by an earlier try of this one."""
        unsure = any(other.dirty or other.state == AttemptState.LOST for other in self._others(attempt))
        return unsure or attempt.dirty

    def _queue_again(self, message, attempt):
        """Let another phone take the message, unless one has it already."""
        if not self._live_elsewhere(attempt):
            message.state, message.waits_until = MessageState.QUEUED, None
            message.reason = message.reason_text = ""

    def write(self):
        now = clock.now()
        columns = (
            "state", "handed_at", "settled_at", "tries", "dirty", "error", "first_failed_at", "next_offer_at",
            "recall_reason", "recall_asked_at",
        )  # fmt: skip
        bulk.update(
            Attempt,
            columns,
            [(pk, *(getattr(self.changed[pk], column) for column in columns)) for pk in sorted(self.changed)],
        )
        columns = ("state", "uncertain", "error", "reason", "reason_text", "waits_until", "settled_at")
        touched = sorted({attempt.message_id for attempt in self.changed.values()})
        bulk.update(
            Message,
            (*columns, "updated_at"),
            [(pk, *(getattr(self.messages[pk], column) for column in columns), now) for pk in touched],
        )
        MessageEvent.objects.bulk_create(self.events)
        live.announce("message", touched)


def limit_exceeded(phone_ids, at):
    """These phones said that their limit is reached: what they hold may wait an hour, so its lease is prolonged."""
    lease = at + clock.span(LIMIT_WINDOW_SECONDS + settings.FLEET_LEASE_SECONDS)
    Attempt.objects.filter(phone_id__in=phone_ids, state=AttemptState.HANDED, lease_until__lt=lease).update(
        lease_until=lease
    )
