"""What passing time does to phones."""

from django.db import transaction

from fleet import clock, live
from fleet.phones.models import Phone, State, note


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
