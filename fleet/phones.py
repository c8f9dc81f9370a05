"""Phones: who is in the fleet, how each is doing, what it said of itself.

``register`` and ``remove`` are the operator's verbs, ``hear`` is what every signed request does, and
``sweep_states`` is what passing time does. Whoever writes takes rows in the order phones → messages → attempts.
"""

import re
import statistics
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q

from fleet import bulk, clock, live
from fleet.encryption import EncryptedTextField

# How long a removed phone's reports are still taken, in seconds: past its last retry of a message.
REMOVAL_SECONDS = 26 * 3600
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


class Mode(models.TextChoices):
    """What the operator allows a phone to do."""

    ACTIVE = "active"
    PAUSED = "paused"  # reports, gets nothing new
    DRAINING = "draining"  # finishes what it holds
    DISABLED = "disabled"  # answered politely; what it receives is still kept


class State(models.TextChoices):
    """How lately a phone was heard, measured by its own poll rhythm."""

    ONLINE = "online"
    LATE = "late"
    OFFLINE = "offline"
    NEVER_SEEN = "never_seen"


class NumberTaken(ValueError):
    """Another phone of the fleet has this number."""


class PhoneQuerySet(models.QuerySet):
    def in_fleet(self):
        """Phones that were not removed."""
        return self.filter(archived_at=None)

    def reporting(self):
        """Phones whose signature still counts: those in the fleet, and removed ones for a while."""
        return self.filter(
            Q(archived_at=None) | Q(archived_at__gt=clock.now() - clock.span(REMOVAL_SECONDS), mode=Mode.DRAINING)
        )

    def sending(self):
        """Phones that may be given new messages: active, heard within their offline limit, not at their limit."""
        return (
            self.in_fleet()
            .filter(mode=Mode.ACTIVE, state__in=[State.ONLINE, State.LATE])
            .filter(Q(closed_until=None) | Q(closed_until__lt=clock.now()))
        )


class Phone(models.Model):
    """One Android phone with the gateway app."""

    number = models.CharField(max_length=64)  # as typed into the app: all that tells phones apart on the wire
    label = models.CharField(max_length=100, blank=True)
    password = EncryptedTextField(blank=True)
    previous_password = EncryptedTextField(blank=True)  # accepted as well while a change is under way
    previous_password_until = models.DateTimeField(null=True, blank=True)
    mode = models.CharField(max_length=10, choices=Mode, default=Mode.ACTIVE)
    long_poll = models.BooleanField(default=True)  # hold idle polls until work appears
    created_at = models.DateTimeField(default=clock.now)
    updated_at = models.DateTimeField(default=clock.now)  # the version of what pages show
    archived_at = models.DateTimeField(null=True, blank=True)

    # What we make of its rhythm
    state = models.CharField(max_length=10, choices=State, default=State.NEVER_SEEN)
    state_since = models.DateTimeField(default=clock.now)
    last_heard = models.DateTimeField(null=True, blank=True)
    last_poll = models.DateTimeField(null=True, blank=True)
    poll_gaps = models.JSONField(default=list)  # the last five, in real seconds, newest last
    closed_until = models.DateTimeField(null=True, blank=True)  # it said that its sending limit is reached

    # What it says of itself
    battery = models.SmallIntegerField(null=True, blank=True)  # percent
    power = models.SmallIntegerField(null=True, blank=True)  # Android's value: 0 battery, 1 AC, 2 USB, 4 wireless
    network = models.CharField(max_length=32, blank=True)
    send_limit = models.IntegerField(null=True, blank=True)  # SMS parts an hour
    clock_offset_ms = models.BigIntegerField(null=True, blank=True)  # its clock minus ours
    version = models.IntegerField(null=True, blank=True)  # version code: 30 is app 3.0.1
    app_version = models.CharField(max_length=32, blank=True)
    user_agent = models.CharField(max_length=255, blank=True)
    sdk = models.IntegerField(null=True, blank=True)  # Android API level
    manufacturer = models.CharField(max_length=64, blank=True)
    model = models.CharField(max_length=64, blank=True)
    settings_version = models.IntegerField(null=True, blank=True)
    last_point_at = models.DateTimeField(null=True, blank=True)
    last_signature = models.CharField(max_length=64, blank=True)

    objects = PhoneQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["number"], condition=Q(archived_at=None), name="phone_number_unique_in_fleet"
            )
        ]
        indexes = [models.Index(fields=["number"], name="phone_number")]

    def __str__(self):
        return self.name

    @property
    def name(self):
        """What people call it."""
        return self.label or self.number

    @property
    def charging(self):
        """Whether it has external power; None where the app never said (before 3.0)."""
        return None if self.power is None else self.power > 0

    @property
    def usual_gap(self):
        """Its usual time between polls, in real seconds; None until two polls were heard."""
        return statistics.median(self.poll_gaps) if self.poll_gaps else None

    @property
    def late_at(self):
        """When it counts as late if nothing more is heard."""
        return self._silent_at(2.5, settings.FLEET_LATE_SECONDS)

    @property
    def offline_at(self):
        """When it counts as offline if nothing more is heard."""
        return self._silent_at(6, settings.FLEET_OFFLINE_SECONDS)

    def _silent_at(self, gaps, least):
        if self.last_heard is None:
            return None
        return self.last_heard + timedelta(seconds=max(gaps * (self.usual_gap or 0), clock.seconds(least)))

    def accepts_password(self):
        """The passwords its signature may be made with, the current one first."""
        if self.previous_password and (
            self.previous_password_until is None or self.previous_password_until > clock.now()
        ):
            return (self.password, self.previous_password)
        return (self.password,)


class PhoneReport(models.Model):
    """A point of a phone's history: written when something changed, or once a minute."""

    phone = models.ForeignKey(Phone, models.CASCADE, related_name="reports")
    at = models.DateTimeField()
    battery = models.SmallIntegerField(null=True)
    power = models.SmallIntegerField(null=True)
    network = models.CharField(max_length=32, blank=True)

    class Meta:
        indexes = [models.Index(fields=["phone", "-at"], name="report_phone_at")]


class PhoneEvent(models.Model):
    """Something about a phone that is worth a line: a state, a charger, an oddity."""

    phone = models.ForeignKey(Phone, models.CASCADE, related_name="events")
    at = models.DateTimeField(default=clock.now)
    kind = models.CharField(max_length=32)
    text = models.CharField(max_length=255, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["phone", "-at"], name="event_phone_at"),
            models.Index(fields=["-at"], name="event_at"),
        ]


class LogChunk(models.Model):
    """Log text of the app as one request brought it, usually a few lines."""

    phone = models.ForeignKey(Phone, models.CASCADE, related_name="log")
    at = models.DateTimeField()
    text = models.TextField()

    class Meta:
        indexes = [models.Index(fields=["phone", "-id"], name="log_phone_newest")]


# ── The operator's verbs ───────────────────────────────────────────────────────────────────────────


@transaction.atomic
def register(number, password, label=""):
    """Add a phone. ``number`` is kept as typed, for the phone will sign with exactly that.

    Raises ValueError for an empty number or password, NumberTaken where the fleet has it already.
    """
    number, label = number.strip(), label.strip()
    if not number:
        raise ValueError("The phone number is empty.")
    if not password:
        raise ValueError("The password is empty.")
    if len(number) > 64:
        raise ValueError("The phone number is longer than 64 characters.")
    if Phone.objects.in_fleet().filter(number=number).exists():
        raise NumberTaken(f"There is already a phone with the number {number}.")
    phone = Phone.objects.create(number=number, password=password, label=label[:100])
    note(phone, "added")
    live.announce("phone", [phone.pk])
    return phone


@transaction.atomic
def change(phone, **values):
    """Change label, number, password, mode or long_poll; NumberTaken where another phone has the number."""
    number = values.get("number", phone.number)
    if Phone.objects.in_fleet().filter(number=number).exclude(pk=phone.pk).exists():
        raise NumberTaken(f"There is already a phone with the number {number}.")
    for name, value in values.items():
        setattr(phone, name, value)
    phone.updated_at = clock.now()
    phone.save(update_fields=[*values, "updated_at"])
    if "mode" in values:
        note(phone, phone.mode)
    live.announce("phone", [phone.pk])


def archive(phone):
    """Take a phone out of the fleet; True if it was in it. Its reports count until it has finished."""
    now = clock.now()
    changed = Phone.objects.in_fleet().filter(pk=phone.pk).update(archived_at=now, updated_at=now, mode=Mode.DRAINING)
    if changed:
        note(phone, "removed")
        live.announce("phone", [phone.pk])
    return bool(changed)


def note(phone, kind, text="", at=None):
    """Put a line among the phone's events."""
    PhoneEvent.objects.create(phone_id=phone.pk, kind=kind, text=text[:255], at=at or clock.now())


# ── What every signed request tells ────────────────────────────────────────────────────────────────


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


# ── What passing time does ─────────────────────────────────────────────────────────────────────────


def sweep_states():
    """Move phones that have gone quiet to late or offline; returns how many moved.

    Guarded by the moment they were last heard, so that a request arriving meanwhile wins.
    """
    now, moved = clock.now(), 0
    for phone in Phone.objects.in_fleet().filter(state__in=[State.ONLINE, State.LATE]).defer("password"):
        if now >= phone.offline_at:
            state = State.OFFLINE
        elif now >= phone.late_at:
            state = State.LATE
        else:
            continue
        if state != phone.state:
            moved += _move(phone, state, now)
    return moved


@transaction.atomic
def _move(phone, state, now):
    changed = Phone.objects.filter(pk=phone.pk, last_heard=phone.last_heard, state=phone.state).update(
        state=state, state_since=now, updated_at=now
    )
    if changed:
        note(phone, state, at=now)
        live.announce("phone", [phone.pk])
    return changed
