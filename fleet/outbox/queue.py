"""What operators and the balancer do with a message before and beside the phones: enqueue, assign, cancel."""

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Q, Sum
from django.db.models.functions import Coalesce

from fleet import balancer, bulk, clock, live, numbers, segments
from fleet.outbox.models import (
    OPEN,
    SETTLED,
    WAITING,
    Attempt,
    AttemptState,
    Message,
    MessageEvent,
    MessageState,
    Policy,
    RecallReason,
)
from fleet.phones import Mode, Phone, State

MOST_PARTS = 100
# Messages looked at in one step; the next step follows within a second.
STEP = 500
# Any 64-bit number that nothing else in the database locks: "fleet" in ASCII.
BALANCING_LOCK = 0x666C656574
JSON_VERSION = 28  # apps from this version on can be asked to give a message back

REASONS = {
    "no_phone": "No phone may send it",
    "phones_silent": "No phone was heard lately",
    "in_flight": "All phones hold as many messages as they may",
}


class Refused(ValueError):
    """A message that cannot be queued; the text says why, in one line."""


def enqueue(to, text, *, phone=None, priority=0, policy=Policy.NEVER_TWICE, valid_until=None, user=None):
    """Queue one text for one number; the Message. Raises Refused, and queues nothing, for what cannot be sent."""
    try:
        number = numbers.dialable(to, settings.FLEET_REGION)
    except numbers.NotANumber as problem:
        raise Refused(str(problem)) from None
    text = text.replace("\x00", "").replace("\r\n", "\n")
    if not text.strip():
        raise Refused("The text is empty.")
    cost = segments.cost(text)
    if cost.parts > MOST_PARTS:
        raise Refused(f"The text takes {cost.parts} SMS parts; {MOST_PARTS} are the most.")
    if not -32768 <= priority <= 32767:
        raise Refused("The priority must be between -32768 and 32767.")
    if phone is not None and phone.archived_at is not None:
        raise Refused(f"{phone.name} was removed from the fleet.")
    now = clock.now()
    if valid_until is not None and valid_until <= now:
        raise Refused("It would expire before it is sent.")
    with transaction.atomic():
        message = Message.objects.create(
            to=number,
            text=text,
            parts=cost.parts,
            encoding=cost.encoding,
            phone=phone,
            priority=priority,
            policy=policy,
            valid_until=valid_until or now + clock.span(settings.FLEET_VALID_SECONDS),
            created_by=user,
        )
        MessageEvent.objects.create(message=message, what="queued", at=now, why=f"by {user}" if user else "")
        live.announce("message", [message.pk])
    return message


# ── Balancing ──────────────────────────────────────────────────────────────────────────────────────


@transaction.atomic
def assign():
    """Bind waiting messages to phones; how many. One step at a time: a second worker returns at once."""
    if not _only_one_balancing():
        return 0
    if not Message.objects.filter(state=MessageState.QUEUED).exists():
        return 0
    phones = {phone.pk: phone for phone in Phone.objects.in_fleet().filter(mode=Mode.ACTIVE).defer("password")}
    senders = list(_senders(phones))
    queue = _queue(senders)
    plan = balancer.plan(_waiting(queue, senders), senders)
    now = clock.now()
    _bind(plan.assignments, now)
    _explain(queue, plan.reasons, now)
    return len(plan.assignments)


def _only_one_balancing():
    """Take the balancing lock until the end of the transaction; SQLite's transaction is exclusive by itself."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [BALANCING_LOCK])
        return cursor.fetchone()[0]


def _queue(senders):
    """The next messages in their order, without those that know that the phone they ask for takes no more now."""
    able = [sender.id for sender in senders if sender.window > 0]
    full = [sender.id for sender in senders if sender.window <= 0]
    untold = (Q(phone__in=full) & ~Q(reason="in_flight")) | (
        Q(phone__isnull=False) & ~Q(phone__in=able + full) & ~Q(reason="no_phone")
    )
    queued = Message.objects.filter(state=MessageState.QUEUED).order_by("-priority", "id")
    return list(queued.filter(Q(phone=None) | Q(phone__in=able) | untold)[:STEP])


def _waiting(queue, senders):
    """The queue as the balancer sees it: no phone takes again what it refused, or lost while another could take it."""
    past = Attempt.objects.filter(
        message_id__in=[message.pk for message in queue], state__in=[AttemptState.REFUSED, AttemptState.LOST]
    )
    refused, lost = {}, {}
    for message_id, phone_id, state in past.values_list("message_id", "phone_id", "state"):
        (refused if state == AttemptState.REFUSED else lost).setdefault(message_id, set()).add(phone_id)
    heard = {sender.id for sender in senders if sender.heard}
    waiting = []
    for message in queue:
        barred = refused.get(message.pk, set())
        tried = barred | lost.get(message.pk, set())
        if message.phone_id is None and heard - tried:
            barred = tried
        waiting.append(balancer.Waiting(message.pk, message.parts, message.phone_id, frozenset(barred)))
    return waiting


def _senders(phones):
    held = {
        phone_id: (count, parts)
        for phone_id, count, parts in Attempt.objects.open()
        .filter(phone_id__in=phones)
        .values("phone_id")
        .annotate(count=Count("id"), held=Sum("parts"))
        .values_list("phone_id", "count", "held")
    }
    now = clock.now()
    for phone in phones.values():
        if phone.closed_until is not None and phone.closed_until > now:
            window = 0
        else:
            window = settings.FLEET_IN_FLIGHT - held.get(phone.pk, (0, 0))[0]
        yield balancer.Sender(
            phone.pk, held.get(phone.pk, (0, 0))[1], window, phone.state in (State.ONLINE, State.LATE)
        )


def _bind(assignments, now):
    locked = {
        message.pk: message
        for message in Message.objects.filter(pk__in=[pk for pk, _ in assignments], state=MessageState.QUEUED)
        .order_by("pk")
        .select_for_update(of=("self",))
    }
    bound = [(locked[message_id], phone_id) for message_id, phone_id in assignments if message_id in locked]
    Message.objects.filter(pk__in=[message.pk for message, _ in bound]).update(
        state=MessageState.SENDING, reason="", reason_text="", waits_until=None, updated_at=now
    )
    Attempt.objects.bulk_create(
        Attempt(
            message=message,
            phone_id=phone_id,
            parts=message.parts,
            exclusive=message.policy == Policy.NEVER_TWICE,
            created_at=now,
        )
        for message, phone_id in bound
    )
    MessageEvent.objects.bulk_create(
        MessageEvent(message=message, what="assigned", phone_id=phone_id, at=now) for message, phone_id in bound
    )
    live.announce("message", [message.pk for message, _ in bound])
    live.announce("phone", {phone_id for _, phone_id in bound})
    live.work_for({phone_id for _, phone_id in bound})


def _explain(queue, reasons, now):
    """Write why messages wait, for those whose reason is new."""
    changed = [message for message in queue if reasons.get(message.pk, message.reason) != message.reason]
    bulk.update(
        Message,
        ("reason", "reason_text", "updated_at"),
        [(message.pk, code := reasons[message.pk], REASONS[code], now) for message in changed],
        where="t.state = 'queued'",
    )
    live.announce("message", [message.pk for message in changed])


# ── Taking back ────────────────────────────────────────────────────────────────────────────────────


@transaction.atomic
def release(phone, why):
    """Take back what ``phone`` was assigned and has not fetched; the messages queue again in their old place."""
    list(Phone.objects.filter(pk=phone.pk).select_for_update(no_key=True))
    return withdraw(Attempt.objects.filter(phone=phone, state=AttemptState.ASSIGNED), why)


def withdraw(attempts, why):
    """Take back assigned ``attempts`` (a QuerySet), inside a transaction; how many."""
    now = clock.now()
    message_ids = list(attempts.values_list("message_id", flat=True))
    messages = Message.objects.filter(pk__in=message_ids).order_by("pk").select_for_update(of=("self",))
    by_id = {message.pk: message for message in messages}
    rows = list(attempts.filter(message_id__in=by_id).order_by("pk").select_for_update(of=("self",)))
    Attempt.objects.filter(pk__in=[row.pk for row in rows]).update(state=AttemptState.WITHDRAWN, settled_at=now)
    Message.objects.filter(pk__in=[row.message_id for row in rows], state=MessageState.SENDING).update(
        state=MessageState.QUEUED, updated_at=now
    )
    MessageEvent.objects.bulk_create(
        MessageEvent(message_id=row.message_id, what="withdrawn", phone_id=row.phone_id, why=why, at=now)
        for row in rows
    )
    live.announce("message", [row.message_id for row in rows])
    live.announce("phone", {row.phone_id for row in rows})
    return len(rows)


@transaction.atomic
def cancel(message, user=None):
    """Cancel a message as far as that is still possible.

    Returns "cancelled" (it never left us), "asked" (its phone was asked to give it back), "too_late" (it has an
    outcome already), or "beyond_recall" (its phone's app cannot be asked).
    """
    phone_ids = Attempt.objects.filter(message=message).values_list("phone_id", flat=True)
    rows = Phone.objects.filter(pk__in=phone_ids).order_by("pk").select_for_update(no_key=True)
    phones = {phone.pk: phone for phone in rows}
    message = Message.objects.select_for_update(of=("self",)).get(pk=message.pk)
    if message.state in SETTLED:
        return "too_late"
    # A lost message may still wait on its phone.
    states = (*OPEN, AttemptState.LOST) if message.state == MessageState.SENDING else OPEN
    attempts = list(message.attempts.filter(state__in=states).order_by("pk").select_for_update(of=("self",)))
    on_phone = [attempt for attempt in attempts if attempt.state != AttemptState.ASSIGNED]
    now, by = clock.now(), f"by {user}" if user else ""
    if not on_phone and (message.state in WAITING or attempts):
        Attempt.objects.filter(pk__in=[attempt.pk for attempt in attempts]).update(
            state=AttemptState.WITHDRAWN, settled_at=now
        )
        Message.objects.filter(pk=message.pk).update(
            state=MessageState.CANCELLED, settled_at=now, updated_at=now, reason="", reason_text=""
        )
        MessageEvent.objects.create(message=message, what="cancelled", why=by, at=now)
        result = "cancelled"
    elif not any((phones[attempt.phone_id].version or 0) >= JSON_VERSION for attempt in on_phone):
        return "beyond_recall"
    else:
        Attempt.objects.filter(pk__in=[a.pk for a in on_phone]).update(
            recall_reason=RecallReason.OPERATOR, recall_asked_at=Coalesce("recall_asked_at", now)
        )
        if not message.cancel_asked_at:
            Message.objects.filter(pk=message.pk).update(cancel_asked_at=now, updated_at=now)
            MessageEvent.objects.create(message=message, what="cancel_asked", why=by, at=now)
        live.work_for({attempt.phone_id for attempt in on_phone})
        result = "asked"
    live.announce("message", [message.pk])
    live.announce("phone", {attempt.phone_id for attempt in attempts})
    return result
