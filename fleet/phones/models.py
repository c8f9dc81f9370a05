"""Phones: who is in the fleet, how each is doing, what it said of itself."""

import statistics
from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q

from fleet import clock
from fleet.encryption import EncryptedTextField

# How long a removed phone's reports are still taken, in seconds: past its last retry of a message.
REMOVAL_SECONDS = 26 * 3600


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
        if self.long_poll and self.last_poll == self.last_heard:
            # We may be holding its poll: until that is answered it has no reason to say anything.
            least += settings.FLEET_LONG_POLL_SECONDS
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

    phone = models.ForeignKey(Phone, models.CASCADE, related_name="reports", db_index=False)
    at = models.DateTimeField()
    battery = models.SmallIntegerField(null=True)
    power = models.SmallIntegerField(null=True)
    network = models.CharField(max_length=32, blank=True)

    class Meta:
        indexes = [models.Index(fields=["phone", "-at"], name="report_phone_at")]


class PhoneEvent(models.Model):
    """Something about a phone that is worth a line: a state, a charger, an oddity."""

    phone = models.ForeignKey(Phone, models.CASCADE, related_name="events", db_index=False)
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

    phone = models.ForeignKey(Phone, models.CASCADE, related_name="log", db_index=False)
    at = models.DateTimeField()
    text = models.TextField()

    class Meta:
        indexes = [models.Index(fields=["phone", "-id"], name="log_phone_newest")]


def note(phone, kind, text="", at=None):
    """Put a line among the phone's events."""
    PhoneEvent.objects.create(phone_id=phone.pk, kind=kind, text=text[:255], at=at or clock.now())
