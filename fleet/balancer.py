"""Pure: which phone takes which waiting message, and why the rest wait. No database, no clock."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that waits: its id, SMS parts, the phone asked for (or None), phones that refused it."""

    id: int
    parts: int
    phone: int | None = None
    barred: frozenset[int] = frozenset()


@dataclass(slots=True)
class Sender:
    """A phone that may be given messages: parts it holds unresolved, and how many messages more it may hold."""

    id: int
    held_parts: int
    window: int
    heard: bool = True  # lately; a silent phone is given only what was asked of it by name


@dataclass(slots=True)
class Plan:
    """``assignments`` as (message id, phone id); ``reasons`` as {message id: code} for the rest."""

    assignments: list[tuple[int, int]] = field(default_factory=list)
    reasons: dict[int, str] = field(default_factory=dict)


def plan(messages: Iterable[Waiting], phones: Iterable[Sender]) -> Plan:
    """Give each message, in the order given, to the phone asked for or else to the one with the fewest parts held.

    Codes: ``no_phone`` (no such phone may send), ``phones_silent`` (there are phones, none heard lately),
    ``in_flight`` (all hold as many messages as they may).
    """
    result = Plan()
    by_id = {phone.id: phone for phone in phones}
    free = [(phone.held_parts, phone.id) for phone in by_id.values() if phone.heard and phone.window > 0]
    heapq.heapify(free)
    for message in messages:
        wanted = message.phone
        chosen = _lightest(free, by_id, message.barred) if wanted is None else by_id.get(wanted)
        if chosen is None or chosen.id in message.barred or chosen.window <= 0:
            result.reasons[message.id] = _reason(message, by_id)
            continue
        chosen.window -= 1
        chosen.held_parts += message.parts
        if chosen.heard and chosen.window > 0:
            heapq.heappush(free, (chosen.held_parts, chosen.id))
        result.assignments.append((message.id, chosen.id))
    return result


def _reason(message, by_id):
    """Why no phone takes ``message`` now."""
    if message.phone is None:
        allowed = [phone for phone in by_id.values() if phone.id not in message.barred]
    else:
        allowed = [by_id[message.phone]] if message.phone in by_id and message.phone not in message.barred else []
    if not allowed:
        return "no_phone"
    if message.phone is None and not any(phone.heard for phone in allowed):
        return "phones_silent"
    return "in_flight"


def _lightest(free, by_id, barred):
    """The phone with the fewest parts held that may take the message; stale heap entries are dropped."""
    passed, found = [], None
    while free:
        held, phone_id = heapq.heappop(free)
        phone = by_id[phone_id]
        if held != phone.held_parts or phone.window <= 0:
            continue
        if phone_id in barred:
            passed.append((held, phone_id))
            continue
        found = phone
        break
    for entry in passed:
        heapq.heappush(free, entry)
    return found
