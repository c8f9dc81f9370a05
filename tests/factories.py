"""Rows for tests, each complete and plausible; keyword arguments set what a test is about."""

import itertools

from django.contrib.auth import get_user_model

from fleet import clock, outbox, phones, segments
from fleet.gateway import actions
from fleet.inbox import Incoming, MmsPart
from fleet.outbox import Attempt, AttemptState, Message, MessageState, Policy
from fleet.phones import Phone, State

_numbers = itertools.count(1)
TIMESTAMP_MS = 1_790_000_000_000  # a message time a phone may say, milliseconds since 1970 UTC


def make_phone(number=None, *, label="", password="secret", state=State.ONLINE, version=30, **values):
    """A phone of the fleet; heard a moment ago unless ``state`` is never_seen."""
    now = clock.now()
    if state != State.NEVER_SEEN:
        values = {"last_heard": now, "last_poll": now} | values
    else:
        version = values.pop("version", None)
    return Phone.objects.create(
        number=number or f"1555{next(_numbers):07}",
        label=label,
        password=password,
        state=state,
        version=version,
        **values,
    )


def make_message(to="+255754310221", text="Hello", **values):
    """A message that is queued, unless ``state`` says otherwise."""
    cost = segments.cost(text)
    values = {"valid_until": clock.now() + clock.span(24 * 3600)} | values
    if values.get("state") in outbox.models.SETTLED:
        values.setdefault("settled_at", clock.now())
    return Message.objects.create(to=to, text=text, parts=cost.parts, encoding=cost.encoding, **values)


def make_attempt(message=None, phone=None, *, state=AttemptState.HANDED, **values):
    """A message bound to a phone: handed over a moment ago, unless ``state`` says otherwise."""
    now = clock.now()
    message = message or make_message(state=MessageState.SENDING)
    if state != AttemptState.ASSIGNED and state != AttemptState.WITHDRAWN:
        handed_at = values.get("handed_at", now)
        values = {
            "handed_at": handed_at,
            "offers": 1,
            "last_offer_at": handed_at,
            "lease_until": handed_at + clock.span(600),
        } | values
        if state == AttemptState.HANDED:
            values.setdefault("next_offer_at", handed_at + clock.span(20))
    if state not in outbox.models.OPEN:
        values.setdefault("settled_at", now)
    return Attempt.objects.create(
        message=message,
        phone=phone or make_phone(),
        parts=message.parts,
        exclusive=message.policy == Policy.NEVER_TWICE,
        state=state,
        **values,
    )


def make_incoming(phone=None, *, parts=(), **values):
    """What a phone received; ``parts`` are the keyword arguments of MmsParts."""
    number = next(_numbers)
    values = {
        "type": "mms" if parts else "sms",
        "other_party": "+255754310221",
        "text": "Hello",
        "timestamp": clock.now(),
        "identity": f"{number:064x}",
    } | values
    incoming = Incoming.objects.create(phone=phone or make_phone(), **values)
    for position, part in enumerate(parts):
        described = {"field": f"part{position}", "name": f"part{position}", "type": "application/octet-stream"}
        MmsPart.objects.create(incoming=incoming, position=position, **{**described, **part})
    return incoming


def make_user(username="operator", password="a-long-test-password", **values):
    """Somebody who may sign in."""
    return get_user_model().objects.create_user(username, password=password, **values)


def make_report(version=30, **facts):
    """The facts of one request; None for those it does not carry."""
    unsaid = dict.fromkeys(
        ("log", "network", "send_limit", "now_ms", "settings_version", "battery", "power"),
    )
    return actions.Report(**{"version": version, "phone_number": "", **unsaid, **facts})


def hear(phone, *, at=None, polled=False, device_status=None, user_agent="", copy=False, **facts):
    """``phone`` makes a request with these facts; the phone as it is then."""
    at = at or clock.now()
    report = make_report(**{"version": phone.version or 30, **facts})
    phone.refresh_from_db()
    phones.hear([phones.Heard(phone, report, at, polled, device_status, user_agent, "", copy)])
    phone.refresh_from_db()
    return phone


def say(**values):
    """An incoming message as the gateway hands it to the inbox."""
    values = {
        "type": "sms",
        "other_party": "+255754310221",
        "text": "Hello",
        "timestamp_ms": TIMESTAMP_MS,
        "age_ms": 0,
        "parts": (),
        "note": "",
        "direction": "in",
    } | values
    values.setdefault("timestamp_raw", str(values["timestamp_ms"]))
    return actions.Incoming(**values)


def part(data=b"\x89PNG\r\n\x1a\n-", **values):
    """A part of an MMS as the gateway hands it to the inbox."""
    values = {"field": "part0", "name": "flower.png", "cid": "<a>", "declared_type": "image/png"} | values
    return actions.Part(data=data, missing=data is None, **values)
