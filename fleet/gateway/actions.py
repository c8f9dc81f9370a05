"""What a phone can say: each request is a Report (how the phone is) and an action (what it wants).

Odd content is kept and noted, never refused: by the time a request is read here its signature has been found right,
and a refused message would be repeated for days and then lost.
"""

import json
import re
from dataclasses import dataclass

from fleet.gateway.form import Malformed

INTEGER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
# Message times before 2000 or from 2100 on are a clock that was never set; milliseconds since 1970 UTC.
EARLIEST_MS, LATEST_MS = 946_684_800_000, 4_102_444_800_000
NAME_LENGTH = 255  # characters kept of a name
NETWORK_LENGTH = 32
MAX_DESCRIBED_PARTS = 1000
TYPES = {"sms", "mms", "call"}


@dataclass(frozen=True, slots=True)
class Report:
    """The facts every request may carry; None where a phone did not say, or said something impossible."""

    version: int  # version code of the app: 30 is 3.0.1
    phone_number: str
    log: str | None
    network: str | None
    send_limit: int | None  # SMS parts an hour
    now_ms: int | None  # its clock, since 1970 UTC
    settings_version: int | None
    battery: int | None  # percent
    power: int | None  # 0 battery, 1 AC, 2 USB, 4 wireless


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Is there anything to send?"""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an MMS. ``data`` is None and ``missing`` true if it was announced but not sent."""

    field: str
    name: str
    cid: str  # with its angle brackets, as SMIL's cid: refers to it
    declared_type: str
    data: bytes | None
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message or call the phone received (``direction`` in), or that its owner sent by hand (out)."""

    type: str  # sms, mms or call
    other_party: str  # empty: a hidden caller
    text: str
    timestamp_ms: int | None  # None: not a time this message can have
    timestamp_raw: str
    age_ms: int | None  # how long the phone held it
    parts: tuple[Part, ...]
    note: str  # what was odd about it
    direction: str


@dataclass(frozen=True, slots=True)
class SendStatus:
    """How the message of this ``id`` went: queued, sent, failed or cancelled."""

    id: str
    status: str
    error: str


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """power_connected, power_disconnected, battery_low, battery_okay or send_limit_exceeded."""

    status: str


@dataclass(frozen=True, slots=True)
class Test:
    """Somebody pressed the app's test button."""


@dataclass(frozen=True, slots=True)
class AmqpStarted:
    """The phone consumes its queue."""

    consumer_tag: str


def parse(form):
    """The (Report, action) in ``form``. Raises Malformed where version, phone number or action make no sense."""
    fields = form.fields
    version = _integer(fields.get("version"))
    if version is None:
        raise Malformed("version is missing or not a whole number")
    if "phone_number" not in fields:
        raise Malformed("phone_number is missing")
    if "action" not in fields:
        raise Malformed("action is missing")
    read = ACTIONS.get(fields["action"])
    if read is None:
        raise Malformed(f"unknown action {ascii(fields['action'][:80])}")
    return _report(version, fields), read(form)


def _report(version, fields):
    return Report(
        version=version,
        phone_number=_clean(fields["phone_number"]),
        log=_optional(fields.get("log")),
        network=_optional(fields.get("network"), NETWORK_LENGTH),
        send_limit=_integer(fields.get("send_limit"), least=0),
        # Two bits short of the full range, so that differences fit 64 bits too.
        now_ms=_integer(fields.get("now"), least=0, most=2**62),
        settings_version=_integer(fields.get("settings_version")),
        battery=_integer(fields.get("battery"), least=0, most=100),
        power=_integer(fields.get("power"), least=0, most=2**15 - 1),
    )


def _incoming(form):
    return _message(form, "from", "in")


def _forward_sent(form):
    return _message(form, "to", "out")


def _message(form, party_field, direction):
    fields, notes = form.fields, []
    if party_field not in fields:
        notes.append(f"no {party_field}")
    said_type = fields.get("message_type", "")
    if said_type not in TYPES:
        notes.append(f"message_type {ascii(said_type[:40])}")
    raw = fields.get("timestamp", "")
    parts = _parts(form, notes) if form.files or "mms_parts" in fields or said_type == "mms" else ()
    return Incoming(
        type=said_type if said_type in TYPES else "sms",
        other_party=_clean(fields.get(party_field, "")),
        text=_clean(fields.get("message", "")),
        timestamp_ms=_integer(raw, EARLIEST_MS, LATEST_MS - 1),
        timestamp_raw=_clean(raw),
        # A phone may hold a message for more than the 24 days that fit 32 bits.
        age_ms=_integer(fields.get("age"), least=-(2**62), most=2**62),
        parts=parts,
        note="; ".join(notes)[:NAME_LENGTH],
        direction=direction,
    )


def _parts(form, notes):
    """The parts in the order the phone described them, then the files it did not describe."""
    parts, described = [], set()
    for description in _descriptions(form.fields.get("mms_parts"), notes):
        field = _word(description.get("name"))
        file = form.files.get(field)
        described.add(field)
        parts.append(
            Part(
                field=_name(field),
                name=_name(_word(description.get("filename")) or field),
                cid=_name(_word(description.get("cid"))),
                declared_type=_name(_word(description.get("type")) or (file.content_type if file else "")),
                data=file.data if file else None,
                missing=file is None,
            )
        )
    missing = sum(part.missing for part in parts)
    if missing:
        notes.append(f"{missing} announced parts missing")
    others = [file for field, file in form.files.items() if field not in described]
    if others:
        notes.append(f"{len(others)} files not described")
    parts += [
        Part(_name(file.field), _name(file.filename or file.field), "", _name(file.content_type), file.data)
        for file in others
    ]
    return tuple(parts)


def _descriptions(said, notes):
    if said is None:
        notes.append("no mms_parts")
        return []
    try:
        listed = json.loads(said)
    except (ValueError, RecursionError):
        notes.append("mms_parts is not JSON")
        return []
    if not isinstance(listed, list):
        notes.append("mms_parts is not a list")
        return []
    descriptions = [entry for entry in listed if isinstance(entry, dict)]
    if len(descriptions) < len(listed):
        notes.append("mms_parts holds more than descriptions")
    if len(descriptions) > MAX_DESCRIBED_PARTS:
        notes.append(f"only the first {MAX_DESCRIBED_PARTS} described parts kept")
    return descriptions[:MAX_DESCRIBED_PARTS]


def _send_status(form):
    fields = form.fields
    return SendStatus(*(_name(fields.get(name, "")) for name in ("id", "status", "error")))


def _device_status(form):
    return DeviceStatus(_name(form.fields.get("status", "")))


def _amqp_started(form):
    return AmqpStarted(_name(form.fields.get("consumer_tag", "")))


ACTIONS = {
    "outgoing": lambda form: Outgoing(),
    "incoming": _incoming,
    "send_status": _send_status,
    "device_status": _device_status,
    "test": lambda form: Test(),
    "forward_sent": _forward_sent,
    "amqp_started": _amqp_started,
}


def _integer(text, least=-(2**31), most=2**31 - 1):
    """The number ``text`` says, or None if it says none between ``least`` and ``most``."""
    if text is None or not INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if least <= number <= most else None


def _clean(text):
    """``text`` without what PostgreSQL cannot store: U+0000."""
    return text.replace("\0", "\ufffd") if "\0" in text else text


def _optional(text, length=None):
    return None if text is None else _clean(text)[:length]


def _name(text):
    return _clean(text)[:NAME_LENGTH]


def _word(value):
    """A value out of JSON as text; half a surrogate pair, which only JSON can say, becomes U+FFFD."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    try:
        text = str(value)
    except ValueError:  # more digits than Python writes
        return ""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
