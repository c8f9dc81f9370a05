"""Message, Attempt and the timeline.

    Message   scheduled → queued → sending → sent | failed | cancelled | expired     flag: uncertain
    Attempt   assigned → handed | withdrawn
              handed   → sent | failed | refused | cancelled | lost
              failed   → sent | cancelled | lost      lost → sent | failed | cancelled     cancelled → sent

"Failed" of an attempt is provisional: the app tries five times over a day, and "sent" may still follow.
"Sent" is what the phone says of its radio; there are no delivery reports.
"""

import secrets

from django.conf import settings
from django.db import models
from django.db.models import Count, Q

from fleet import clock
from fleet.phones import Phone


class MessageState(models.TextChoices):
    SCHEDULED = "scheduled"
    QUEUED = "queued"  # bound to no phone
    SENDING = "sending"  # bound to a phone by an attempt
    SENT = "sent"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class AttemptState(models.TextChoices):
    ASSIGNED = "assigned"  # not yet fetched: can be taken back at no risk
    HANDED = "handed"  # in an answer to the phone; nothing acknowledges that
    WITHDRAWN = "withdrawn"  # taken back before it ever left us
    SENT = "sent"
    FAILED = "failed"  # a try failed; the phone goes on trying
    REFUSED = "refused"  # the phone will not even try
    CANCELLED = "cancelled"
    LOST = "lost"  # no word within the lease


class Policy(models.TextChoices):
    NEVER_TWICE = "never_twice"
    AT_LEAST_ONCE = "at_least_once"


class RecallReason(models.TextChoices):
    """Why a phone was asked to give a message back."""

    FAILOVER = "failover"
    OPERATOR = "operator"
    STOP = "stop"
    REMOVED = "removed"
    SETTLED = "settled"


OPEN = (AttemptState.ASSIGNED, AttemptState.HANDED, AttemptState.FAILED)
ON_PHONE = (AttemptState.HANDED, AttemptState.FAILED)
# How long a phone may go on trying to send what it was handed, in protocol seconds: its fifth try comes after a day.
ON_PHONE_SECONDS = 26 * 3600
SETTLED = (MessageState.SENT, MessageState.FAILED, MessageState.CANCELLED, MessageState.EXPIRED)
# Why a message waits that may have been sent: the code, and words.
UNCERTAIN = ("uncertain", "It may have been sent: the phone has not said")
WAITING = (MessageState.SCHEDULED, MessageState.QUEUED)


class Message(models.Model):
    """One text to one number."""

    to = models.CharField(max_length=64)  # as it is dialled
    text = models.TextField()
    parts = models.SmallIntegerField()  # SMS it costs
    encoding = models.CharField(max_length=5)  # GSM-7 or UCS-2
    priority = models.SmallIntegerField(default=0)  # bigger goes first
    policy = models.CharField(max_length=13, choices=Policy, default=Policy.NEVER_TWICE)
    phone = models.ForeignKey(Phone, models.PROTECT, null=True, blank=True, related_name="+")  # as asked for
    state = models.CharField(max_length=9, choices=MessageState, default=MessageState.QUEUED)
    uncertain = models.BooleanField(default=False)  # it may have been sent
    error = models.CharField(max_length=255, blank=True)  # the last one heard
    reason = models.CharField(max_length=16, blank=True)  # why it waits, as a code
    reason_text = models.CharField(max_length=255, blank=True)  # and in words
    waits_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=clock.now)
    updated_at = models.DateTimeField(default=clock.now)  # the version of what pages show
    scheduled_for = models.DateTimeField(null=True, blank=True)
    valid_until = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)
    cancel_asked_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")

    class Meta:
        indexes = [
            # The queue in its order; tiny, however long the history.
            models.Index(fields=["-priority", "id"], name="message_queue", condition=Q(state="queued")),
            models.Index(fields=["scheduled_for"], name="message_due", condition=Q(state="scheduled")),
            models.Index(fields=["valid_until"], name="message_unsettled", condition=Q(settled_at=None)),
            models.Index(fields=["state", "-id"], name="message_state_newest"),
        ]


def public_id():
    """An id for the wire: short, opaque, URL-safe, 72 random bits."""
    return secrets.token_urlsafe(9)


class AttemptQuerySet(models.QuerySet):
    def open(self):
        """Attempts that may still lead to an SMS, as far as we know."""
        return self.filter(state__in=OPEN)

    def to_answer(self):
        """Attempts that an answer to their phone may still be about: open ones, and lost ones it is to give back."""
        asked_since = clock.now() - clock.span(ON_PHONE_SECONDS)
        lost = Q(state=AttemptState.LOST, recall_asked_at__isnull=False, handed_at__gt=asked_since)
        return self.filter(Q(state__in=OPEN) | lost)

    def counts_by_phone(self, phone_ids, since):
        """{phone id: {"waiting", "on_phone", "sent"}}: assigned, handed or failing, and sent since ``since``."""
        rows = self.filter(Q(state__in=OPEN) | Q(state=AttemptState.SENT, settled_at__gte=since))
        rows = rows.filter(phone_id__in=phone_ids).values("phone_id")
        return {
            row.pop("phone_id"): row
            for row in rows.annotate(
                waiting=Count("id", filter=Q(state=AttemptState.ASSIGNED)),
                on_phone=Count("id", filter=Q(state__in=ON_PHONE)),
                sent=Count("id", filter=Q(state=AttemptState.SENT)),
            )
        }


class Attempt(models.Model):
    """A message bound to one phone."""

    public_id = models.CharField(max_length=16, unique=True, default=public_id)
    message = models.ForeignKey(Message, models.CASCADE, related_name="attempts")
    phone = models.ForeignKey(Phone, models.PROTECT, related_name="attempts")
    parts = models.SmallIntegerField()
    exclusive = models.BooleanField(default=True)  # the message's policy is "never twice"
    state = models.CharField(max_length=9, choices=AttemptState, default=AttemptState.ASSIGNED)
    created_at = models.DateTimeField(default=clock.now)
    handed_at = models.DateTimeField(null=True)
    offers = models.SmallIntegerField(default=0)  # answers that carried it
    last_offer_at = models.DateTimeField(null=True)
    next_offer_at = models.DateTimeField(null=True)  # None: never again
    lease_until = models.DateTimeField(null=True)
    tries = models.SmallIntegerField(default=0)  # statuses heard
    dirty = models.BooleanField(default=False)  # a try failed in a way that may have sent it
    first_failed_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=255, blank=True)
    settled_at = models.DateTimeField(null=True)
    recall_reason = models.CharField(max_length=8, choices=RecallReason, blank=True)
    recall_asked_at = models.DateTimeField(null=True)
    recall_sent_at = models.DateTimeField(null=True)  # the last cancel event we wrote

    objects = AttemptQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["message"],
                condition=Q(state__in=["assigned", "handed", "failed"], exclusive=True),
                name="one_live_attempt_under_never_twice",
            )
        ]
        indexes = [
            models.Index(
                fields=["phone", "id"], name="attempt_open", condition=Q(state__in=["assigned", "handed", "failed"])
            ),
            models.Index(
                fields=["phone", "id"],
                name="attempt_recalled",
                condition=Q(state="lost", recall_asked_at__isnull=False),
            ),
            models.Index(fields=["phone", "settled_at"], name="attempt_sent", condition=Q(state="sent")),
            models.Index(fields=["lease_until"], name="attempt_lease", condition=Q(state="handed")),
        ]


class MessageEvent(models.Model):
    """A step on a message's timeline."""

    message = models.ForeignKey(Message, models.CASCADE, related_name="timeline", db_index=False)
    at = models.DateTimeField(default=clock.now)
    what = models.CharField(max_length=16)
    phone = models.ForeignKey(Phone, models.SET_NULL, null=True, related_name="+", db_index=False)
    why = models.CharField(max_length=255, blank=True)

    class Meta:
        indexes = [models.Index(fields=["message", "id"], name="timeline_of_message")]
