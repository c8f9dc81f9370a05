"""What passing time does to messages: due ones queue, unfetched ones come back, silence makes uncertain, all expire."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef

from fleet import clock, live
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
from fleet.outbox.queue import JSON_VERSION, withdraw
from fleet.phones import Mode, Phone, State

AT_ONCE = 500  # rows a sweep takes at most; the next one follows within seconds


def sweep():
    """One round of everything time does."""
    wake_scheduled()
    withdraw_unfetched()
    recall_from_removed()
    end_leases()
    expire()


@transaction.atomic
def wake_scheduled():
    """Scheduled messages whose time has come wait for a phone from now on."""
    now = clock.now()
    due = Message.objects.filter(state=MessageState.SCHEDULED, scheduled_for__lte=now)
    ids = list(due.order_by("pk").values_list("pk", flat=True)[:AT_ONCE])
    Message.objects.filter(pk__in=ids, state=MessageState.SCHEDULED).update(state=MessageState.QUEUED, updated_at=now)
    live.announce("message", ids)


@transaction.atomic
def withdraw_unfetched():
    """Take back what a phone was assigned and cannot fetch: it is paused, at its limit, or has gone quiet.

    A message that asked for its phone by name stays with it through silence.
    """
    now = clock.now()
    assigned = Attempt.objects.filter(state=AttemptState.ASSIGNED)
    taken_back = 0
    for phone in Phone.objects.filter(Exists(assigned.filter(phone=OuterRef("pk")))).defer("password").order_by("pk"):
        mine = assigned.filter(phone=phone)
        if phone.archived_at is not None or phone.mode != Mode.ACTIVE:
            taken_back += withdraw(mine, f"phone {phone.mode}")
        elif phone.closed_until is not None and phone.closed_until > now:
            taken_back += withdraw(mine.filter(message__phone=None), "phone at its limit")
        elif phone.state in (State.OFFLINE, State.NEVER_SEEN):
            taken_back += withdraw(mine.filter(message__phone=None), "phone silent")
        else:
            patience = timedelta(seconds=max(2 * (phone.usual_gap or 0), clock.seconds(settings.FLEET_LATE_SECONDS)))
            taken_back += withdraw(
                mine.filter(message__phone=None, created_at__lt=now - patience), "not fetched in time"
            )
    return taken_back


@transaction.atomic
def recall_from_removed():
    """Ask removed phones, those that can be asked, for what they hold: another phone is to send it."""
    now = clock.now()
    removed = Phone.objects.reporting().filter(archived_at__isnull=False, version__gte=JSON_VERSION)
    held = Attempt.objects.filter(phone__in=removed, state__in=ON_PHONE, recall_asked_at=None)
    message_ids = list(held.values_list("message_id", flat=True))
    list(Message.objects.filter(pk__in=message_ids).order_by("pk").select_for_update(of=("self",)))
    rows = list(held.filter(message_id__in=message_ids).order_by("pk").select_for_update(of=("self",)))
    Attempt.objects.filter(pk__in=[row.pk for row in rows]).update(
        recall_reason=RecallReason.REMOVED, recall_asked_at=now, next_offer_at=None
    )
    live.announce("message", [row.message_id for row in rows])
    live.work_for({row.phone_id for row in rows})
    return len(rows)


@transaction.atomic
def end_leases():
    """Messages handed over without a word until their lease ended: lost for us, perhaps sent by the phone."""
    now = clock.now()
    over = Attempt.objects.filter(state=AttemptState.HANDED, lease_until__lte=now)
    message_ids = list(over.order_by("lease_until").values_list("message_id", flat=True)[:AT_ONCE])
    messages = Message.objects.filter(pk__in=message_ids).order_by("pk").select_for_update(of=("self",))
    messages = {message.pk: message for message in messages}
    rows = list(over.filter(message_id__in=messages).order_by("pk").select_for_update(of=("self",)))
    for row in rows:
        message = messages[row.message_id]
        Attempt.objects.filter(pk=row.pk).update(
            state=AttemptState.LOST,
            settled_at=now,
            next_offer_at=None,
            recall_reason=row.recall_reason or RecallReason.FAILOVER,
            recall_asked_at=row.recall_asked_at or now,
        )
        MessageEvent.objects.create(message=message, what="lost", phone_id=row.phone_id, at=now, why="no word in time")
        if message.state in SETTLED:
            continue
        again = message.policy == Policy.AT_LEAST_ONCE
        Message.objects.filter(pk=message.pk).update(
            uncertain=True,
            updated_at=now,
            state=MessageState.QUEUED if again else message.state,
            reason="" if again else UNCERTAIN[0],
            reason_text="" if again else UNCERTAIN[1],
            waits_until=None if again else message.valid_until,
        )
    live.announce("message", messages)
    live.announce("phone", {row.phone_id for row in rows})
    return len(rows)


@transaction.atomic
def expire():
    """Messages without an outcome by the end of their validity; those a phone took may have been sent."""
    now = clock.now()
    over = Message.objects.filter(settled_at=None, valid_until__lte=now)
    ids = list(over.order_by("valid_until").values_list("pk", flat=True)[:AT_ONCE])
    messages = list(Message.objects.filter(pk__in=ids).order_by("pk").select_for_update(of=("self",)))
    attempts = Attempt.objects.filter(message_id__in=ids)
    for message in messages:
        mine = list(attempts.filter(message=message))
        failed = [row for row in mine if row.state == AttemptState.FAILED]
        unsure = message.uncertain or any(row.dirty or row.state == AttemptState.HANDED for row in mine)
        state = MessageState.FAILED if failed and not unsure else MessageState.EXPIRED
        Message.objects.filter(pk=message.pk, settled_at=None).update(
            state=state,
            uncertain=unsure,
            settled_at=now,
            updated_at=now,
            reason="",
            reason_text="",
            waits_until=None,
        )
        why = "it may have been sent" if unsure else message.error
        MessageEvent.objects.create(message=message, what=state, at=now, why=why)
    attempts.filter(state=AttemptState.ASSIGNED).update(state=AttemptState.WITHDRAWN, settled_at=now)
    attempts.filter(state__in=ON_PHONE, recall_asked_at=None).update(
        recall_reason=RecallReason.SETTLED, recall_asked_at=now
    )
    live.announce("message", ids)
    live.announce("phone", set(attempts.filter(state__in=OPEN).values_list("phone_id", flat=True)))
    return len(messages)
