"""Whatever happens in whatever order, some things always hold."""

from datetime import UTC, datetime

import pytest
import time_machine
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet import clock, outbox, phones
from fleet.outbox import App, Attempt, AttemptState, Message, MessageState, Policy, Status
from fleet.outbox.models import OPEN, SETTLED
from fleet.phones import Mode, Phone
from tests.factories import make_message, make_phone

# What a status may do to an attempt, and what we and time may.
MAY_BECOME = {
    "assigned": {"handed", "withdrawn"},
    "handed": {"sent", "failed", "refused", "cancelled", "lost"},
    "failed": {"sent", "refused", "cancelled", "lost"},
    "lost": {"sent", "failed", "refused", "cancelled"},
    "cancelled": {"sent"},
    "refused": {"sent"},
    "withdrawn": set(),
    "sent": set(),
}
WORDS = [
    ("sent", ""),
    ("failed", "no service"),
    ("failed", "Timeout"),
    ("failed", "Destination address is not allowed"),
    ("failed", "Message body is empty"),
    ("cancelled", "deleted by user"),
    ("queued", ""),
]
PLACE = st.integers(0, 9)
STEPS = st.one_of(
    st.tuples(st.just("assign")),
    st.tuples(st.just("poll"), PLACE),
    st.tuples(st.just("say"), PLACE, st.sampled_from(WORDS)),
    st.tuples(st.just("say"), PLACE, st.sampled_from(WORDS)),
    st.tuples(st.just("wait"), st.sampled_from([5, 25, 31, 601, 3700, 50_000])),
    st.tuples(st.just("sweep")),
    st.tuples(st.just("cancel"), PLACE),
    st.tuples(st.just("restart"), PLACE),
    st.tuples(st.just("mode"), PLACE, st.sampled_from([Mode.ACTIVE, Mode.PAUSED, Mode.DRAINING])),
    st.tuples(st.just("remove"), PLACE),
)


class World:
    """Two phones or three, a few messages, and what can happen to them."""

    def __init__(self, traveller, versions, policies):
        self.traveller = traveller
        self.phones = [make_phone(version=version).pk for version in versions]
        self.messages = [make_message(policy=policy).pk for policy in policies]

    def phone(self, place):
        return Phone.objects.get(pk=self.phones[place % len(self.phones)])

    def assign(self):
        outbox.assign()

    def poll(self, place):
        phone = self.phone(place)
        outbox.offer([App(phone, phone.version, True)], clock.now())

    def say(self, place, said):
        known = list(Attempt.objects.exclude(handed_at=None).select_related("phone").order_by("pk"))
        if known:
            attempt = known[place % len(known)]
            outbox.take_statuses([Status(attempt.phone, clock.now(), attempt.public_id, *said)])

    def wait(self, seconds):
        self.traveller.shift(seconds)

    def sweep(self):
        outbox.sweep()

    def cancel(self, place):
        outbox.cancel(Message.objects.get(pk=self.messages[place % len(self.messages)]))

    def restart(self, place):
        outbox.forget({self.phone(place).pk})

    def mode(self, place, mode):
        phone = self.phone(place)
        if phone.archived_at is None:
            phones.change(phone, mode=mode)

    def remove(self, place):
        phones.archive(self.phone(place))


def check(before, world):
    now = {attempt.pk: attempt.state for attempt in Attempt.objects.all()}
    for pk, state in before["attempts"].items():
        assert now[pk] == state or now[pk] in MAY_BECOME[state], f"an attempt went from {state} to {now[pk]}"
    for message in Message.objects.prefetch_related("attempts"):
        attempts = sorted(message.attempts.all(), key=lambda attempt: attempt.pk)
        live = [attempt for attempt in attempts if attempt.state in OPEN]
        was = before["messages"].get(message.pk)
        if was == MessageState.SENT:
            assert message.state == MessageState.SENT
        elif was in SETTLED:
            assert message.state in (was, MessageState.SENT)
        assert (message.settled_at is not None) == (message.state in SETTLED)
        if message.state in SETTLED:
            assert (message.reason, message.waits_until) == ("", None)
        if message.state == MessageState.SENT:
            assert any(attempt.state == AttemptState.SENT for attempt in attempts) and not message.uncertain
            assert all(attempt.recall_asked_at for attempt in live)
        if message.state == MessageState.SENDING:
            held = [a for a in attempts if a.state in (*OPEN, "lost") or (a.state == "cancelled" and a.dirty)]
            assert held, "it waits for a phone that does not have it"
        if message.state == MessageState.CANCELLED:
            assert not any(attempt.state == AttemptState.ASSIGNED for attempt in attempts)
        if message.policy == Policy.NEVER_TWICE:
            assert len(live) <= 1
            if message.state == MessageState.QUEUED:
                assert not live
            left = [attempt for attempt in attempts if attempt.handed_at and attempt.state != AttemptState.SENT]
            for earlier in left:
                if earlier.pk != attempts[-1].pk and earlier.state != AttemptState.REFUSED:
                    assert earlier.state == AttemptState.CANCELLED and not earlier.dirty and earlier.recall_asked_at
    return {"attempts": now, "messages": dict(Message.objects.values_list("pk", "state"))}


@pytest.mark.django_db
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    versions=st.lists(st.sampled_from([13, 18, 30, 30]), min_size=1, max_size=3),
    policies=st.lists(
        st.sampled_from([Policy.NEVER_TWICE, Policy.NEVER_TWICE, Policy.AT_LEAST_ONCE]), min_size=1, max_size=3
    ),
    steps=st.lists(STEPS, max_size=40),
)
def test_no_order_of_events_breaks_the_rules(versions, policies, steps):
    with time_machine.travel(datetime(2026, 3, 1, tzinfo=UTC), tick=False) as traveller, transaction.atomic():
        world = World(traveller, versions, policies)
        before = {"attempts": {}, "messages": {}}
        for name, *arguments in [("assign",), ("poll", 0), ("poll", 1), ("poll", 2), *steps]:
            getattr(world, name)(*arguments)
            before = check(before, world)
        transaction.set_rollback(True)
