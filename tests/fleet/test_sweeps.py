from datetime import timedelta

import pytest

from fleet import clock, outbox, phones
from fleet.outbox import App, Attempt, AttemptState, MessageState, Policy, Status
from fleet.phones import Mode, State
from tests.factories import make_attempt, make_message, make_phone

pytestmark = pytest.mark.django_db


def seconds(number):
    return timedelta(seconds=number)


def swept(attempt):
    """The attempt and its message after a round of sweeps."""
    outbox.sweep()
    attempt = Attempt.objects.get(pk=attempt.pk)
    return attempt, attempt.message


def swept_message(message):
    outbox.sweep()
    message.refresh_from_db()
    return message


def timeline(message):
    return list(message.timeline.order_by("pk").values_list("what", flat=True))


def test_a_sweep_with_nothing_to_do_does_nothing():
    attempt, message = swept(make_attempt())
    assert (attempt.state, message.state, timeline(message)) == ("handed", "sending", [])


# ── Scheduled ──────────────────────────────────────────────────────────────────────────────────────


def test_a_scheduled_message_queues_when_its_time_has_come():
    due = make_message(state=MessageState.SCHEDULED, scheduled_for=clock.now())
    later = make_message(state=MessageState.SCHEDULED, scheduled_for=clock.now() + seconds(60))
    assert swept_message(due).state == MessageState.QUEUED
    assert swept_message(later).state == MessageState.SCHEDULED


def test_a_scheduled_message_is_given_to_no_phone_before_its_time():
    make_phone()
    make_message(state=MessageState.SCHEDULED, scheduled_for=clock.now() + seconds(60))
    assert outbox.assign() == 0


# ── Not fetched ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", [Mode.PAUSED, Mode.DRAINING, Mode.DISABLED])
def test_what_a_phone_may_no_longer_send_goes_back_to_the_queue(mode):
    attempt, message = swept(make_attempt(phone=make_phone(mode=mode), state=AttemptState.ASSIGNED))
    assert (attempt.state, message.state) == ("withdrawn", "queued")
    assert timeline(message) == ["withdrawn"]


@pytest.mark.parametrize(
    "trouble",
    [{"state": State.OFFLINE}, {"closed_until": clock.now() + timedelta(hours=1)}, {"archived_at": clock.now()}],
)
def test_what_a_phone_cannot_fetch_goes_back_to_the_queue(trouble):
    attempt, message = swept(make_attempt(phone=make_phone(**trouble), state=AttemptState.ASSIGNED))
    assert (attempt.state, message.state) == ("withdrawn", "queued")


def test_what_a_phone_has_not_fetched_within_two_of_its_gaps_goes_back_to_the_queue():
    patient = make_attempt(phone=make_phone(poll_gaps=[300] * 5), state=AttemptState.ASSIGNED)
    hasty = make_attempt(phone=make_phone(poll_gaps=[5] * 5), state=AttemptState.ASSIGNED)
    Attempt.objects.update(created_at=clock.now() - seconds(100))
    assert swept(patient)[0].state == AttemptState.ASSIGNED
    assert swept(hasty)[0].state == AttemptState.WITHDRAWN


def test_a_message_stays_with_the_silent_phone_that_it_asked_for():
    phone = make_phone(state=State.OFFLINE)
    message = make_message(state=MessageState.SENDING, phone=phone)
    attempt, _ = swept(make_attempt(message, phone, state=AttemptState.ASSIGNED))
    assert attempt.state == AttemptState.ASSIGNED


@pytest.mark.parametrize("state", [AttemptState.HANDED, AttemptState.FAILED])
def test_what_a_phone_has_fetched_stays_with_it_even_when_paused(state):
    attempt, message = swept(make_attempt(phone=make_phone(mode=Mode.PAUSED), state=state))
    assert (attempt.state, message.state) == (state, "sending")


# ── Removed phones ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("state", [AttemptState.HANDED, AttemptState.FAILED])
def test_a_removed_phone_is_asked_for_what_it_holds_so_that_another_sends_it(state):
    attempt = make_attempt(state=state)
    phones.archive(attempt.phone)
    attempt, _ = swept(attempt)
    assert (attempt.state, attempt.recall_reason) == (state, "removed")
    assert outbox.offers_waiting([attempt.phone_id]) == {attempt.phone_id}
    outbox.offer([App(attempt.phone, 30, True)], clock.now())
    outbox.take_statuses([Status(attempt.phone, clock.now(), attempt.public_id, "cancelled", "deleted by user")])
    other = make_phone()
    assert outbox.assign() == 1
    assert attempt.message.attempts.get(state="assigned").phone == other


def test_a_removed_phone_that_cannot_be_asked_finishes_what_it_holds():
    attempt = make_attempt(phone=make_phone(version=18))
    phones.archive(attempt.phone)
    attempt, message = swept(attempt)
    assert (attempt.state, attempt.recall_asked_at, message.state) == ("handed", None, "sending")


def test_a_phone_of_the_fleet_is_asked_for_nothing():
    assert swept(make_attempt())[0].recall_asked_at is None


# ── The lease ──────────────────────────────────────────────────────────────────────────────────────


def over(**values):
    return make_attempt(handed_at=clock.now() - seconds(601), **values)


def test_without_a_word_what_must_not_go_out_twice_is_lost_and_waits_for_word():
    attempt, message = swept(over())
    assert (attempt.state, attempt.recall_reason) == ("lost", "failover")
    assert (message.state, message.uncertain, message.reason) == ("sending", True, "uncertain")
    assert message.waits_until == message.valid_until
    assert timeline(message) == ["lost"]
    make_phone()
    assert outbox.assign() == 0


def test_without_a_word_what_must_arrive_queues_again():
    attempt, message = swept(over(message=make_message(policy=Policy.AT_LEAST_ONCE, state=MessageState.SENDING)))
    assert attempt.state == AttemptState.LOST
    assert (message.state, message.uncertain, message.reason) == ("queued", True, "")
    make_phone()
    assert outbox.assign() == 1


def test_a_lost_message_is_lost_once():
    attempt, message = swept(over())
    swept(attempt)
    assert timeline(message) == ["lost"]


def test_a_lost_message_can_still_be_reported_sent():
    attempt, _ = swept(over())
    outbox.take_statuses([Status(attempt.phone, clock.now(), attempt.public_id, "sent", "")])
    attempt.refresh_from_db()
    assert (attempt.state, attempt.message.state, attempt.message.uncertain) == ("sent", "sent", False)


def test_an_operator_can_still_cancel_a_lost_message():
    attempt, message = swept(over())
    assert outbox.cancel(message) == "asked"
    outbox.take_statuses([Status(attempt.phone, clock.now(), attempt.public_id, "cancelled", "deleted by user")])
    message.refresh_from_db()
    assert message.state == MessageState.CANCELLED


def test_a_phone_that_reports_failures_has_said_its_word_and_keeps_the_message():
    attempt, message = swept(over(state=AttemptState.FAILED))
    assert (attempt.state, message.state) == ("failed", "sending")


def test_a_lease_that_ends_after_the_outcome_leaves_the_outcome_alone():
    attempt, message = swept(over(message=make_message(state=MessageState.CANCELLED)))
    assert attempt.state == AttemptState.LOST
    assert (message.state, message.uncertain) == ("cancelled", False)


def test_a_lease_passes_faster_on_a_fast_clock(settings):
    settings.FLEET_CLOCK_SPEED = 600
    assert swept(make_attempt(handed_at=clock.now() - seconds(2)))[0].state == AttemptState.LOST


# ── Validity ───────────────────────────────────────────────────────────────────────────────────────


def old_message(**values):
    return make_message(valid_until=clock.now() - seconds(1), **values)


@pytest.mark.parametrize("state", [MessageState.QUEUED, MessageState.SCHEDULED])
def test_a_message_that_no_phone_took_in_time_expires(state):
    message = swept_message(old_message(state=state, reason="no_phone", reason_text="No phone may send it"))
    assert (message.state, message.uncertain, message.reason) == ("expired", False, "")
    assert message.settled_at
    assert timeline(message) == ["expired"]


def test_a_message_that_was_not_fetched_in_time_expires_and_is_taken_back():
    attempt, message = swept(make_attempt(old_message(state=MessageState.SENDING), state=AttemptState.ASSIGNED))
    assert (attempt.state, message.state, message.uncertain) == ("withdrawn", "expired", False)


def test_a_message_that_a_phone_took_without_a_word_expires_as_perhaps_sent():
    attempt, message = swept(make_attempt(old_message(state=MessageState.SENDING)))
    assert (message.state, message.uncertain) == ("expired", True)
    assert (attempt.state, attempt.recall_reason) == ("handed", "settled")
    assert message.timeline.get().why == "it may have been sent"


def test_a_lost_message_expires_as_perhaps_sent():
    message = old_message(state=MessageState.SENDING, uncertain=True)
    _, message = swept(make_attempt(message, state=AttemptState.LOST))
    assert (message.state, message.uncertain) == ("expired", True)


def test_a_message_whose_tries_all_failed_cleanly_ends_failed_with_the_last_error():
    message = old_message(state=MessageState.SENDING, error="no service")
    attempt, message = swept(make_attempt(message, state=AttemptState.FAILED))
    assert (message.state, message.uncertain, message.error) == ("failed", False, "no service")
    assert attempt.recall_reason == "settled"


def test_a_message_with_a_dirty_try_ends_as_perhaps_sent():
    message = old_message(state=MessageState.SENDING)
    _, message = swept(make_attempt(message, state=AttemptState.FAILED, dirty=True))
    assert (message.state, message.uncertain) == ("expired", True)


@pytest.mark.parametrize("state", ["sent", "failed", "cancelled"])
def test_an_outcome_does_not_expire(state):
    message = swept_message(old_message(state=state))
    assert (message.state, timeline(message)) == (state, [])


def test_a_message_expires_once():
    message = swept_message(old_message())
    assert timeline(swept_message(message)) == ["expired"]


def test_sent_wins_over_expired():
    attempt, _ = swept(make_attempt(old_message(state=MessageState.SENDING)))
    outbox.take_statuses([Status(attempt.phone, clock.now(), attempt.public_id, "sent", "")])
    attempt.refresh_from_db()
    assert (attempt.message.state, attempt.message.uncertain) == ("sent", False)
