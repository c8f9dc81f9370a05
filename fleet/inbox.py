"""The inbox: what phones received (SMS, MMS, calls), and what their owners sent by hand.

The app gives no message ids and repeats what it could not hand over, perhaps days later. So the identity of a
message is all that stays the same in a repeat: phone, direction, type, other party, timestamp, text and parts.
"""

import hashlib
from datetime import UTC, datetime

from django.db import models

from fleet import clock, live, media
from fleet.phones import Phone


class Direction(models.TextChoices):
    IN = "in"  # received by the phone
    OUT = "out"  # typed and sent on the phone itself


class Type(models.TextChoices):
    SMS = "sms"
    MMS = "mms"
    CALL = "call"


class Incoming(models.Model):
    """One SMS, MMS or call that a phone told about."""

    phone = models.ForeignKey(Phone, models.CASCADE, related_name="incoming", db_index=False)
    direction = models.CharField(max_length=3, choices=Direction, default=Direction.IN)
    type = models.CharField(max_length=4, choices=Type, default=Type.SMS)
    other_party = models.CharField(max_length=255, blank=True)  # empty: a hidden caller
    text = models.TextField(blank=True)
    timestamp = models.DateTimeField()  # by the phone's clock
    timestamp_odd = models.BooleanField(default=False)  # the phone's was unusable: this is the time of receipt
    received_at = models.DateTimeField(default=clock.now)
    age_ms = models.BigIntegerField(null=True)  # how long the phone held it
    note = models.CharField(max_length=255, blank=True)  # what was odd about it
    identity = models.CharField(max_length=64, unique=True)

    class Meta:
        indexes = [
            models.Index(fields=["-received_at", "-id"], name="incoming_newest"),
            models.Index(fields=["phone", "-received_at"], name="incoming_phone_newest"),
            models.Index(fields=["other_party", "-received_at"], name="incoming_party_newest"),
        ]
        verbose_name_plural = "incoming"


class MmsPart(models.Model):
    """One part of an MMS; its bytes are in ``media`` under their SHA-256."""

    incoming = models.ForeignKey(Incoming, models.CASCADE, related_name="parts", db_index=False)
    position = models.SmallIntegerField()
    field = models.CharField(max_length=255)  # of the form
    name = models.CharField(max_length=255, blank=True)  # as the sender called it
    cid = models.CharField(max_length=255, blank=True)  # what SMIL refers to
    declared_type = models.CharField(max_length=255, blank=True)
    type = models.CharField(max_length=64, blank=True)  # what the bytes are
    size = models.IntegerField(default=0)  # bytes
    sha256 = models.CharField(max_length=64, blank=True)
    missing = models.BooleanField(default=False)  # described by the phone, but not sent

    class Meta:
        constraints = [models.UniqueConstraint(fields=["incoming", "position"], name="part_position")]

    @property
    def path(self):
        return media.path(self.sha256)


def receive(received):
    """Store what phones told: ``received`` are (phone, at, said) with ``said`` a gateway Incoming.

    A repeat changes nothing. Bytes are on disk before the rows are written. Returns the new rows.
    """
    rows = {}
    for phone, at, said in received:
        digests = [None if part.data is None else media.keep(part.data) for part in said.parts]
        row = Incoming(
            phone_id=phone.pk,
            direction=said.direction,
            type=said.type,
            other_party=said.other_party[:255],
            text=said.text,
            timestamp=at if said.timestamp_ms is None else datetime.fromtimestamp(said.timestamp_ms / 1000, UTC),
            timestamp_odd=said.timestamp_ms is None,
            received_at=at,
            age_ms=said.age_ms,
            note=said.note[:255],
            identity=_identity(phone, said, digests),
        )
        rows.setdefault(row.identity, (row, said.parts, digests))
    known = set(Incoming.objects.filter(identity__in=rows).values_list("identity", flat=True))
    Incoming.objects.bulk_create(
        [row for identity, (row, _, _) in rows.items() if identity not in known], ignore_conflicts=True
    )
    new = [identity for identity in rows if identity not in known]
    if not new:
        return []
    keys = dict(Incoming.objects.filter(identity__in=new).values_list("identity", "pk"))
    MmsPart.objects.bulk_create(
        [
            MmsPart(
                incoming_id=keys[identity],
                position=position,
                field=part.field[:255],
                name=part.name[:255],
                cid=part.cid[:255],
                declared_type=part.declared_type[:255],
                type="" if part.data is None else media.sniff(part.data, part.declared_type),
                size=0 if part.data is None else len(part.data),
                sha256=digest or "",
                missing=part.data is None,
            )
            for identity in new
            for position, (part, digest) in enumerate(zip(*rows[identity][1:], strict=True))
        ],
        # Two processes may have got the same copy at once: the loser's parts are the same parts.
        ignore_conflicts=True,
    )
    live.announce("incoming", keys.values())
    return [rows[identity][0] for identity in new]


def _identity(phone, said, digests):
    """SHA-256 over what a repeat keeps; each piece with its length, so that none runs into the next."""
    pieces = [str(phone.pk), said.direction, said.type, said.other_party, said.timestamp_raw, said.text]
    pieces += [f"{part.field}:{part.name}:{digest}" for part, digest in zip(said.parts, digests, strict=True)]
    hashed = hashlib.sha256()
    for piece in pieces:
        data = piece.encode("utf-8", "surrogatepass")
        hashed.update(b"%d:" % len(data) + data)
    return hashed.hexdigest()
