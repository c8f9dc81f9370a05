"""What an answer to a phone carries: messages to send, and messages to give back.

Nothing acknowledges a hand-over, so a message without a word is offered again under the same id, which the phone
ignores where it has it already. That holds only while the phone remembers the id: never again once it reported on
it, was asked to give it back, restarted, or has sent a good many others since.
"""

from dataclasses import dataclass

from django.conf import settings
from django.db.models import Q

from fleet import bulk, clock, live
from fleet.outbox.models import ON_PHONE_SECONDS, Attempt, AttemptState, Message, MessageEvent
from fleet.phones import Mode

JSON_VERSION = 28  # from here on the app can be asked to give a message back
FORGETFUL_VERSION = 13  # this one and older remember nothing they sent
FIRST_REOFFER = 20  # protocol seconds; doubles from offer to offer
LONGEST_REOFFER = 300
REMEMBERED = 90  # the app keeps the ids of the last 100 it sent; ours stops short of that
RECALL_GAP = 30  # protocol seconds between two requests to give the same message back


@dataclass(frozen=True, slots=True)
class App:
    """A phone that can be answered now: its version, and whether it asked for work or merely reported."""

    phone: object
    version: int
    asked: bool


@dataclass(slots=True)
class Offer:
    """What goes into one answer: messages with their wire id, and wire ids to give back."""

    messages: list  # of (Attempt, Message)
    recalls: list  # of wire ids


def offers_waiting(phone_ids):
    """Which of these phones would get something now, were they to ask."""
    now = clock.now()
    first = Q(state=AttemptState.ASSIGNED, phone__mode=Mode.ACTIVE)
    again = Q(
        state=AttemptState.HANDED,
        recall_asked_at=None,
        next_offer_at__lte=now,
        lease_until__gt=now,
        phone__mode__in=(Mode.ACTIVE, Mode.DRAINING),
    )
    recall = (
        Q(recall_asked_at__isnull=False, phone__version__gte=JSON_VERSION)
        & Q(handed_at__gt=now - clock.span(ON_PHONE_SECONDS))
        & (Q(recall_sent_at=None) | Q(recall_sent_at__lte=now - clock.span(RECALL_GAP)))
    )
    attempts = Attempt.objects.to_answer().filter(phone_id__in=phone_ids)
    return set(attempts.filter(first | again | recall).values_list("phone_id", flat=True))


def offer(apps, at):
    """Hand over what is due to ``apps`` (their phones locked), inside a transaction: {phone id: Offer}.

    A phone that merely reported gets first offers; one that asked also repeated ones, and is asked to give back.
    """
    apps = {app.phone.pk: app for app in apps}
    asked = [phone_id for phone_id, app in apps.items() if app.asked]
    perhaps_due = Q(state=AttemptState.ASSIGNED) | Q(phone_id__in=asked) & (
        Q(next_offer_at__lte=at) | Q(recall_asked_at__isnull=False)
    )
    attempts = list(Attempt.objects.to_answer().filter(perhaps_due, phone_id__in=apps).order_by("id"))
    attempts = [attempt for attempt in attempts if _due(attempt, apps[attempt.phone_id], at)]
    if not attempts:
        return {}
    messages = {
        message.pk: message
        for message in Message.objects.filter(pk__in={attempt.message_id for attempt in attempts})
        .order_by("pk")
        .select_for_update(of=("self",))
    }
    attempts = list(
        Attempt.objects.to_answer()
        .filter(pk__in=[attempt.pk for attempt in attempts])
        .order_by("pk")
        .select_for_update(of=("self",))
    )
    forgotten = _forgotten([attempt for attempt in attempts if attempt.state == AttemptState.HANDED])
    offers = {phone_id: Offer([], []) for phone_id in apps}
    changed, events = [], []
    for attempt in attempts:
        app = apps[attempt.phone_id]
        due = _due(attempt, app, at)
        if due == "recall":
            attempt.recall_sent_at = at
            offers[attempt.phone_id].recalls.append(attempt.public_id)
        elif due and messages[attempt.message_id].valid_until <= at:
            continue  # the next sweep ends it
        elif due and attempt.pk not in forgotten:
            first = attempt.state == AttemptState.ASSIGNED
            _hand(attempt, app, at)
            offers[attempt.phone_id].messages.append((attempt, messages[attempt.message_id]))
            what = "handed" if first else "offered_again"
            events.append(MessageEvent(message_id=attempt.message_id, what=what, phone_id=app.phone.pk, at=at))
        elif due:
            attempt.next_offer_at = None
        else:
            continue
        changed.append(attempt)
    _write(changed, events, at)
    for found in offers.values():
        found.messages.sort(key=lambda pair: (-pair[1].priority, pair[1].pk))
    return offers


def _due(attempt, app, at):
    """ "first", "again" or "recall": what an answer may carry of this attempt now; None for nothing."""
    if attempt.state == AttemptState.ASSIGNED:
        return "first" if app.phone.mode == Mode.ACTIVE else None
    if not app.asked:
        return None
    if attempt.recall_asked_at is not None:
        # This poll began after the last offer's answer had ended, so no offer is still under way.
        due = attempt.recall_sent_at is None or attempt.recall_sent_at <= at - clock.span(RECALL_GAP)
        still_there = attempt.handed_at > at - clock.span(ON_PHONE_SECONDS)
        return "recall" if due and still_there and app.version >= JSON_VERSION else None
    if attempt.state == AttemptState.HANDED and app.phone.mode in (Mode.ACTIVE, Mode.DRAINING):
        due = attempt.next_offer_at is not None and attempt.next_offer_at <= at < attempt.lease_until
        return "again" if due and app.version > FORGETFUL_VERSION and not attempt.tries else None
    return None


def _hand(attempt, app, at):
    if attempt.state == AttemptState.ASSIGNED:
        attempt.state = AttemptState.HANDED
        attempt.handed_at = at
        attempt.lease_until = at + clock.span(settings.FLEET_LEASE_SECONDS)
    attempt.offers += 1
    attempt.last_offer_at = at
    wait = min(FIRST_REOFFER * 2 ** (attempt.offers - 1), LONGEST_REOFFER)
    attempt.next_offer_at = at + clock.span(wait) if app.version > FORGETFUL_VERSION else None


def _forgotten(attempts):
    """Attempts whose phone has sent so many others since that it may have forgotten their id."""
    return {
        attempt.pk
        for attempt in attempts
        if Attempt.objects.filter(
            phone_id=attempt.phone_id, state=AttemptState.SENT, settled_at__gte=attempt.handed_at
        )[: REMEMBERED + 1].count()
        > REMEMBERED
    }


def _write(attempts, events, at):
    columns = (
        "state",
        "handed_at",
        "lease_until",
        "offers",
        "last_offer_at",
        "next_offer_at",
        "recall_sent_at",
    )
    bulk.update(Attempt, columns, [(a.pk, *(getattr(a, column) for column in columns)) for a in attempts])
    message_ids = {attempt.message_id for attempt in attempts}
    Message.objects.filter(pk__in=message_ids).update(updated_at=at)
    MessageEvent.objects.bulk_create(events)
    live.announce("message", message_ids)


def forget(phone_ids):
    """These phones' apps were started anew: they no longer know which ids they sent, so none is offered again."""
    Attempt.objects.filter(phone_id__in=phone_ids, state=AttemptState.HANDED).update(next_offer_at=None)
