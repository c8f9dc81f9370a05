"""The operator's verbs: who belongs to the fleet, and what each phone may do."""

from django.db import IntegrityError, transaction

from fleet import clock, live
from fleet.phones.models import Mode, Phone, note


class NumberTaken(ValueError):
    """Another phone of the fleet has this number."""


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
    try:
        with transaction.atomic():
            phone = Phone.objects.create(number=number, password=password, label=label[:100])
    except IntegrityError:  # somebody else was quicker
        raise NumberTaken(f"There is already a phone with the number {number}.") from None
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
    try:
        with transaction.atomic():
            phone.save(update_fields=[*values, "updated_at"])
    except IntegrityError:
        raise NumberTaken(f"There is already a phone with the number {number}.") from None
    if "mode" in values:
        note(phone, phone.mode)
    live.announce("phone", [phone.pk])


@transaction.atomic
def archive(phone):
    """Take a phone out of the fleet; True if it was in it. Its reports count until it has finished."""
    now = clock.now()
    changed = Phone.objects.in_fleet().filter(pk=phone.pk).update(archived_at=now, updated_at=now, mode=Mode.DRAINING)
    if changed:
        note(phone, "removed")
        live.announce("phone", [phone.pk])
    return bool(changed)
