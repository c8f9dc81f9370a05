"""What every signed request tells of its phone."""

import re
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from fleet import bulk, clock, live
from fleet.phones.models import LogChunk, Phone, PhoneEvent, PhoneReport, State

# How often an unchanged phone leaves a point in its history, in seconds.
POINT_SECONDS = 60
# The app counts the SMS parts of its limit over this rolling window, in seconds.
LIMIT_WINDOW_SECONDS = 3605
DEVICE_STATUSES = {
    "power_connected",
    "power_disconnected",
    "battery_low",
    "battery_okay",
    "send_limit_exceeded",
}
USER_AGENT = re.compile(r"EnvayaSMS/(?P<app>\S+) \(Android; SDK (?P<sdk>\d+); (?P<maker>[^;]*); (?P<model>.*)\)$")


@dataclass(slots=True)
class Heard:
    """One signed request: the phone, what it reported of itself, and when."""

    phone: Phone
    report: "object"  # version, battery, power, network, send_limit, settings_version, now_ms, log
    at: datetime
    polled: bool = False
    device_status: str | None = None
    user_agent: str = ""
    signature: str = ""
    copy: bool = False  # byte-equal to the request before: its log text is known


HOT = (
    "closed_until",
    "state", "state_since", "last_heard", "last_poll", "poll_gaps", "battery", "power", "network", "send_limit",
    "clock_offset_ms", "version", "settings_version", "last_point_at", "last_signature", "updated_at",
)  # fmt: skip
ABOUT_APP = ("user_agent", "app_version", "sdk", "manufacturer", "model")


def hear(heard):
    """Let the phones learn from these requests (locked phones, in the order of arrival).

    Writes what they report of themselves, history points, log chunks and events, each kind in one statement.
    """
    events, points, chunks, about_app, changed = [], [], [], set(), {}
    for one in heard:
        phone = one.phone
        changed[phone.pk] = phone
        events += _learn(one, about_app)
        if one.report.log and not one.copy:
            chunks.append(LogChunk(phone_id=phone.pk, at=one.at, text=one.report.log[-settings.FLEET_MAX_LOG_CHARS :]))
        if phone.last_point_at == one.at:
            points.append(
                PhoneReport(
                    phone_id=phone.pk,
                    at=one.at,
                    battery=phone.battery,
                    power=phone.power,
                    network=phone.network,
                )
            )
    _write(Phone, HOT, changed.values())
    if about_app:
        _write(Phone, ABOUT_APP, about_app)
    PhoneReport.objects.bulk_create(points)
    LogChunk.objects.bulk_create(chunks)
    PhoneEvent.objects.bulk_create(events)
    live.announce("phone", changed)


def _write(model, columns, rows):
    bulk.update(
        model,
        columns,
        [(row.pk, *(getattr(row, column) for column in columns)) for row in sorted(rows, key=_pk)],
    )


def _pk(row):
    return row.pk


def _learn(one, about_app):
    """Take one request's facts into the phone's row; the events that follow."""
    phone, report, at = one.phone, one.report, one.at
    events = []

    def event(kind, text=""):
        events.append(PhoneEvent(phone_id=phone.pk, at=at, kind=kind, text=text[:255]))

    if phone.state != State.ONLINE:
        if phone.state == State.NEVER_SEEN:
            event("first_heard")
        elif phone.state == State.OFFLINE:
            event("online", f"away {round((at - phone.last_heard).total_seconds())} s")
        phone.state, phone.state_since = State.ONLINE, at
    before = (phone.battery, phone.power, phone.network)
    for fact in ("battery", "power", "network", "send_limit", "settings_version"):
        value = getattr(report, fact)
        if value is not None:
            setattr(phone, fact, value)
    if one.device_status is not None:
        events.append(_device_status(phone, one.device_status, at))
    if report.network is not None and before[2] and report.network != before[2]:
        event("network", f"{before[2]} → {report.network}")
    if report.now_ms is not None:
        phone.clock_offset_ms = report.now_ms - round(at.timestamp() * 1000)
    if phone.version != report.version:
        if phone.version is not None:
            event("version", f"{phone.version} → {report.version}")
        phone.version = report.version
    if one.user_agent != phone.user_agent:
        _read_user_agent(phone, one.user_agent)
        about_app.add(phone)
    if one.polled:
        if phone.last_poll is not None:
            gap = round((at - phone.last_poll).total_seconds(), 2)
            phone.poll_gaps = [*phone.poll_gaps[-4:], gap]
        phone.last_poll = at
    if (
        before != (phone.battery, phone.power, phone.network)
        or phone.last_point_at is None
        or at - phone.last_point_at >= clock.span(POINT_SECONDS)
    ):
        phone.last_point_at = at
    phone.last_heard = phone.updated_at = at
    phone.last_signature = one.signature
    return events


def _device_status(phone, status, at):
    """Take a device_status; its event. Power is taken from the word: apps before 3.0 say it nowhere else."""
    known = status in DEVICE_STATUSES
    if status == "power_connected" and not phone.power:
        phone.power = 1
    elif status == "power_disconnected":
        phone.power = 0
    elif status == "send_limit_exceeded":
        phone.closed_until = at + clock.span(LIMIT_WINDOW_SECONDS)
    return PhoneEvent(
        phone_id=phone.pk,
        at=at,
        kind=status if known else "odd",
        text="" if known else f"device status {status!r}"[:255],
    )


def _read_user_agent(phone, text):
    """ "EnvayaSMS/3.0.1 (Android; SDK 10; HTC; Wildfire S A510e)"; 2.0.4 sends less, 2.0 nothing."""
    phone.user_agent = text[:255]
    if found := USER_AGENT.match(text):
        phone.app_version = found["app"][:32]
        phone.sdk = min(int(found["sdk"]), 2**31 - 1)
        phone.manufacturer, phone.model = found["maker"][:64], found["model"][:64]
    elif text.startswith("EnvayaSMS/"):
        phone.app_version = text.removeprefix("EnvayaSMS/").split()[0][:32] if text[10:].split() else ""
