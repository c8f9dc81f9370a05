from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from fleet import clock, outbox
from fleet.outbox import Attempt, AttemptState, Message, MessageEvent, MessageState, Policy
from fleet.phones import Mode, State
from tests.factories import make_attempt, make_message, make_phone, make_user

pytestmark = pytest.mark.django_db


def timeline(message):
    return list(message.timeline.order_by("pk").values_list("what", flat=True))


def again(row):
    return type(row).objects.get(pk=row.pk)


# ── Asking for a message ───────────────────────────────────────────────────────────────────────────


def test_a_message_waits_in_the_queue_from_the_start():
    user = make_user("jo")
    message = outbox.enqueue("+255 754 310 221", "Hello €", priority=3, user=user)
    assert (message.to, message.state, message.priority) == ("+255754310221", "queued", 3)
    assert (message.parts, message.encoding, message.policy) == (1, "GSM-7", Policy.NEVER_TWICE)
    assert message.valid_until - message.created_at >= timedelta(hours=23, minutes=59)
    assert MessageEvent.objects.get(message=message).why == "by jo"


def test_a_number_without_a_country_gets_the_fleets(settings):
    settings.FLEET_REGION = "TZ"
    assert outbox.enqueue("0754 310 221", "Hello").to == "+255754310221"


def test_what_no_network_or_database_can_hold_is_left_out_of_a_text():
    assert outbox.enqueue("15001", "a\x00b\r\nc").text == "ab\nc"


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        ({"to": "Anna"}, "not a phone number"),
        ({"to": ""}, "no digits"),
        ({"text": ""}, "empty"),
        ({"text": " \n\x00 "}, "empty"),
        ({"text": "x" * 153 * 100 + "x"}, "101 SMS parts"),
        ({"priority": 40_000}, "priority"),
        ({"valid_until": clock.now() - timedelta(seconds=1)}, "expire"),
    ],
)
def test_what_cannot_be_sent_is_refused_and_queues_nothing(refused, why):
    with pytest.raises(outbox.Refused, match=why):
        outbox.enqueue(**{"to": "15001", "text": "Hello", **refused})
    assert not Message.objects.exists()


def test_a_removed_phone_cannot_be_asked_to_send():
    with pytest.raises(outbox.Refused, match="removed"):
        outbox.enqueue("15001", "Hello", phone=make_phone(archived_at=clock.now()))


# ── Giving it to a phone ───────────────────────────────────────────────────────────────────────────


def test_a_waiting_message_is_bound_to_the_phone_that_holds_the_fewest_parts():
    busy, free = make_phone(), make_phone()
    make_attempt(phone=busy)
    message = outbox.enqueue("15001", "Hello")
    assert outbox.assign() == 1
    attempt = message.attempts.get()
    assert (attempt.phone, attempt.state, attempt.parts) == (free, "assigned", 1)
    assert again(message).state == MessageState.SENDING
    assert timeline(message) == ["queued", "assigned"]


def test_nothing_is_bound_twice():
    make_phone()
    outbox.enqueue("15001", "Hello")
    assert [outbox.assign(), outbox.assign()] == [1, 0]
    assert Attempt.objects.count() == 1


def test_a_message_goes_to_the_phone_it_asked_for_even_while_that_is_silent():
    make_phone()
    asked = make_phone(state=State.OFFLINE)
    message = outbox.enqueue("15001", "Hello", phone=asked)
    assert outbox.assign() == 1
    assert message.attempts.get().phone == asked


def test_bigger_priorities_go_first_then_older_messages():
    phone = make_phone()
    messages = [outbox.enqueue("15001", f"{priority}", priority=priority) for priority in (0, 0, 5, -1)]
    outbox.assign()
    order = Attempt.objects.order_by("pk").values_list("message_id", flat=True)
    assert list(order) == [messages[place].pk for place in (2, 0, 1, 3)]
    assert {attempt.phone for attempt in Attempt.objects.all()} == {phone}


def test_a_phone_holds_six_messages_at_most_and_the_rest_say_why_they_wait():
    make_phone()
    messages = [outbox.enqueue("15001", "Hello") for _ in range(8)]
    assert outbox.assign() == 6
    waiting = [again(message) for message in messages[6:]]
    assert {(message.state, message.reason) for message in waiting} == {("queued", "in_flight")}
    assert waiting[0].reason_text


@pytest.mark.parametrize("held", [AttemptState.ASSIGNED, AttemptState.HANDED, AttemptState.FAILED])
def test_everything_unresolved_counts_as_held(held):
    phone = make_phone()
    for _ in range(6):
        make_attempt(phone=phone, state=held)
    outbox.enqueue("15001", "Hello")
    assert outbox.assign() == 0


@pytest.mark.parametrize("over", ["sent", "withdrawn", "refused", "cancelled", "lost"])
def test_what_is_over_makes_room(over):
    phone = make_phone()
    for _ in range(6):
        make_attempt(phone=phone, state=over)
    outbox.enqueue("15001", "Hello")
    assert outbox.assign() == 1


@pytest.mark.parametrize(
    ("hindrance", "reason"),
    [
        ({"mode": Mode.PAUSED}, "no_phone"),
        ({"mode": Mode.DRAINING}, "no_phone"),
        ({"mode": Mode.DISABLED}, "no_phone"),
        ({"archived_at": clock.now()}, "no_phone"),
        ({"state": State.OFFLINE}, "phones_silent"),
        ({"state": State.NEVER_SEEN}, "phones_silent"),
        ({"closed_until": clock.now() + timedelta(hours=1)}, "in_flight"),
    ],
)
def test_a_message_says_why_no_phone_takes_it(hindrance, reason):
    make_phone(**hindrance)
    message = outbox.enqueue("15001", "Hello")
    assert outbox.assign() == 0
    message = again(message)
    assert (message.state, message.reason) == ("queued", reason)
    assert message.reason_text


def test_the_reason_goes_away_with_the_wait():
    message = outbox.enqueue("15001", "Hello")
    outbox.assign()
    assert again(message).reason == "no_phone"
    make_phone()
    outbox.assign()
    assert (again(message).reason, again(message).reason_text) == ("", "")


def test_a_late_phone_is_still_given_messages():
    make_phone(state=State.LATE)
    outbox.enqueue("15001", "Hello")
    assert outbox.assign() == 1


def test_a_phone_that_refused_a_message_is_not_given_it_again():
    phone = make_phone()
    message = make_message()
    make_attempt(message, phone, state=AttemptState.REFUSED)
    assert outbox.assign() == 0
    other = make_phone()
    assert outbox.assign() == 1
    assert message.attempts.get(state="assigned").phone == other


def test_what_one_phone_lost_goes_to_another_and_to_the_same_only_where_there_is_no_other():
    phone = make_phone()
    message = make_message(policy=Policy.AT_LEAST_ONCE)
    make_attempt(message, phone, state=AttemptState.LOST)
    other = make_phone()
    make_attempt(phone=other)
    outbox.assign()
    assert message.attempts.get(state="assigned").phone == other

    lonely = make_message(policy=Policy.AT_LEAST_ONCE)
    for tried in (phone, other):
        make_attempt(lonely, tried, state=AttemptState.LOST)
    outbox.assign()
    assert lonely.attempts.filter(state="assigned").count() == 1


def test_a_long_queue_for_a_silent_phone_holds_up_nobody_else(monkeypatch):
    monkeypatch.setattr("fleet.outbox.queue.STEP", 10)
    silent, awake = make_phone(state=State.OFFLINE), make_phone()
    for _ in range(20):
        outbox.enqueue("15001", "Hello", phone=silent)
    message = outbox.enqueue("15001", "Hello")
    for _ in range(4):
        outbox.assign()
    assert message.attempts.get().phone == awake
    assert Attempt.objects.filter(phone=silent).count() == 6
    assert set(Message.objects.filter(state="queued").values_list("reason", flat=True)) == {"in_flight"}


# ── One phone at a time ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("second", [AttemptState.ASSIGNED, AttemptState.HANDED, AttemptState.FAILED])
@pytest.mark.parametrize("first", [AttemptState.ASSIGNED, AttemptState.HANDED, AttemptState.FAILED])
def test_a_message_that_must_not_go_out_twice_is_with_one_phone_at_a_time(first, second):
    message = make_message()
    make_attempt(message, state=first)
    with pytest.raises(IntegrityError), transaction.atomic():
        make_attempt(message, state=second)


@pytest.mark.parametrize("over", ["withdrawn", "sent", "refused", "cancelled", "lost"])
def test_an_attempt_that_is_over_leaves_room_for_the_next(over):
    message = make_message()
    make_attempt(message, state=over)
    make_attempt(message, state=AttemptState.ASSIGNED)


def test_a_message_that_must_arrive_may_be_with_two_phones():
    message = make_message(policy=Policy.AT_LEAST_ONCE)
    make_attempt(message, state=AttemptState.FAILED)
    make_attempt(message, state=AttemptState.ASSIGNED)


def test_ids_on_the_wire_are_short_and_fit_a_url():
    ids = {make_attempt().public_id for _ in range(20)}
    assert len(ids) == 20
    assert all(len(wire_id) == 12 and wire_id.replace("-", "").replace("_", "").isalnum() for wire_id in ids)


# ── Taking it back ─────────────────────────────────────────────────────────────────────────────────


def test_what_a_phone_has_not_fetched_goes_back_to_its_old_place():
    phone = make_phone()
    first = outbox.enqueue("15001", "first")
    outbox.assign()
    outbox.enqueue("15001", "second")
    assert outbox.release(phone, "phone paused") == 1
    assert again(first).state == MessageState.QUEUED
    assert first.attempts.get().state == AttemptState.WITHDRAWN
    assert timeline(first) == ["queued", "assigned", "withdrawn"]
    outbox.assign()
    assert Attempt.objects.filter(state="assigned").order_by("pk")[0].message == first


def test_what_a_phone_has_fetched_is_not_taken_back():
    phone = make_phone()
    attempt = make_attempt(phone=phone)
    assert outbox.release(phone, "phone paused") == 0
    assert again(attempt).state == AttemptState.HANDED


# ── Cancelling ─────────────────────────────────────────────────────────────────────────────────────


def test_a_waiting_message_is_cancelled_at_once():
    message = make_message()
    assert outbox.cancel(message, make_user("jo")) == "cancelled"
    assert again(message).state == MessageState.CANCELLED
    assert again(message).settled_at
    assert message.timeline.get().why == "by jo"


def test_a_message_that_no_phone_has_fetched_is_cancelled_at_once():
    attempt = make_attempt(state=AttemptState.ASSIGNED)
    assert outbox.cancel(attempt.message) == "cancelled"
    assert again(attempt).state == AttemptState.WITHDRAWN
    assert again(attempt.message).state == MessageState.CANCELLED


@pytest.mark.parametrize("state", [AttemptState.HANDED, AttemptState.FAILED])
def test_a_phone_is_asked_to_give_back_what_it_fetched(state):
    attempt = make_attempt(state=state)
    assert outbox.cancel(attempt.message) == "asked"
    attempt = again(attempt)
    assert (attempt.state, attempt.recall_reason) == (state, "operator")
    assert attempt.message.state == MessageState.SENDING
    assert attempt.message.cancel_asked_at


def test_asking_twice_changes_nothing():
    attempt = make_attempt()
    outbox.cancel(attempt.message)
    first = again(attempt).recall_asked_at
    assert outbox.cancel(attempt.message) == "asked"
    assert again(attempt).recall_asked_at == first
    assert timeline(attempt.message) == ["cancel_asked"]


def test_an_old_phone_cannot_be_asked():
    attempt = make_attempt(phone=make_phone(version=18))
    assert outbox.cancel(attempt.message) == "beyond_recall"
    assert again(attempt).recall_asked_at is None
    assert again(attempt.message).state == MessageState.SENDING


@pytest.mark.parametrize("state", ["sent", "failed", "cancelled", "expired"])
def test_an_outcome_is_not_cancelled(state):
    message = make_message(state=state)
    assert outbox.cancel(message) == "too_late"
    assert again(message).state == state


def test_a_phones_counts_are_what_waits_what_it_holds_and_what_it_sent_since():
    phone, other = make_phone(), make_phone()
    now = clock.now()
    for state in (AttemptState.ASSIGNED, AttemptState.HANDED, AttemptState.FAILED, AttemptState.LOST):
        make_attempt(phone=phone, state=state)
    make_attempt(phone=phone, state=AttemptState.SENT)
    make_attempt(phone=phone, state=AttemptState.SENT, settled_at=now - timedelta(days=2))
    counts = Attempt.objects.counts_by_phone([phone.pk, other.pk], now - timedelta(days=1))
    assert counts == {phone.pk: {"waiting": 1, "on_phone": 2, "sent": 1}}
