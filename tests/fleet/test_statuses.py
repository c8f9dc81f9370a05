from datetime import timedelta

import pytest
from django.db import transaction

from fleet import clock, outbox
from fleet.outbox import Attempt, AttemptState, MessageState, Policy, Status
from fleet.phones import PhoneEvent
from tests.factories import make_attempt, make_message, make_phone

pytestmark = pytest.mark.django_db


def report(attempt, status, error="", *, phone=None, wire_id=None):
    """``attempt``'s phone posts a status; the attempt and its message as they are then."""
    outbox.take_statuses([Status(phone or attempt.phone, clock.now(), wire_id or attempt.public_id, status, error)])
    attempt = Attempt.objects.get(pk=attempt.pk)
    return attempt, attempt.message


def timeline(message):
    return list(message.timeline.order_by("pk").values_list("what", flat=True))


# ── Sent ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("state", [state for state in AttemptState if state != AttemptState.SENT])
def test_sent_settles_the_attempt_in_any_state(state):
    attempt, message = report(make_attempt(state=state), "sent")
    assert (attempt.state, message.state) == ("sent", "sent")
    assert attempt.handed_at and message.settled_at


@pytest.mark.parametrize("state", MessageState)
def test_a_late_sent_wins_over_whatever_we_made_of_the_message(state):
    message = make_message(state=state, uncertain=True, error="no service", reason="uncertain")
    _, message = report(make_attempt(message, state=AttemptState.LOST), "sent")
    assert message.state == "sent"
    if state != MessageState.SENT:
        assert (message.uncertain, message.error, message.reason) == (False, "", "")


def test_sent_said_twice_counts_once():
    attempt, message = report(make_attempt(), "sent")
    first = attempt.settled_at
    attempt, message = report(attempt, "sent")
    assert (attempt.settled_at, attempt.tries) == (first, 1)
    assert timeline(message) == ["sent"]


def test_a_message_sent_by_two_phones_is_a_duplicate_on_its_timeline():
    message = make_message(policy=Policy.AT_LEAST_ONCE, state=MessageState.SENDING)
    first, second = make_attempt(message, state=AttemptState.LOST), make_attempt(message)
    report(second, "sent")
    _, message = report(first, "sent")
    assert message.state == "sent"
    assert timeline(message) == ["sent", "duplicate"]


def test_when_one_phone_has_sent_it_the_others_let_go():
    message = make_message(policy=Policy.AT_LEAST_ONCE, state=MessageState.SENDING)
    first = make_attempt(message, state=AttemptState.LOST)
    unfetched = make_attempt(message, state=AttemptState.ASSIGNED)
    fetched = make_attempt(message)
    failing = make_attempt(message, state=AttemptState.FAILED)
    report(first, "sent")
    for attempt in (unfetched, fetched, failing):
        attempt.refresh_from_db()
    assert unfetched.state == AttemptState.WITHDRAWN
    assert (fetched.state, fetched.recall_reason) == ("handed", "settled")
    assert (failing.state, failing.recall_reason) == ("failed", "settled")


# ── Failed ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("error", ["generic failure", "radio off", "no service", "null PDU", "Unknown error"])
def test_a_clean_failure_is_not_the_end(error):
    attempt, message = report(make_attempt(), "failed", error)
    assert (attempt.state, attempt.tries, attempt.dirty) == ("failed", 1, False)
    assert (message.state, message.error, message.uncertain) == ("sending", error, False)
    assert attempt.first_failed_at and attempt.settled_at is None and message.settled_at is None


@pytest.mark.parametrize("error", ["Timeout", "Timeout while sending", "something new", ""])
def test_after_a_dirty_failure_it_may_have_been_sent(error):
    attempt, message = report(make_attempt(), "failed", error)
    assert (attempt.state, attempt.dirty) == ("failed", True)
    assert (message.state, message.uncertain) == ("sending", True)


def test_sent_may_follow_failures():
    attempt = make_attempt()
    for _ in range(4):
        attempt, _ = report(attempt, "failed", "Timeout")
    attempt, message = report(attempt, "sent")
    assert (attempt.state, attempt.tries, attempt.error) == ("sent", 5, "")
    assert (message.state, message.uncertain, message.error) == ("sent", False, "")


def test_the_fifth_failure_is_no_outcome_either():
    attempt = make_attempt()
    for _ in range(5):
        attempt, message = report(attempt, "failed", "no service")
    assert (attempt.state, message.state) == ("failed", "sending")


def test_a_late_failed_report_does_not_undo_a_sent_message():
    attempt, _ = report(make_attempt(), "sent")
    attempt, message = report(attempt, "failed", "no service")
    assert (attempt.state, message.state, message.error) == ("sent", "sent", "")


def test_a_failure_elsewhere_leaves_no_error_on_a_sent_message():
    message = make_message(policy=Policy.AT_LEAST_ONCE, state=MessageState.SENDING)
    slow, quick = make_attempt(message), make_attempt(message)
    report(quick, "sent")
    slow, message = report(slow, "failed", "no service")
    assert (slow.state, message.state, message.error) == ("failed", "sent", "")


def test_the_first_word_about_a_lost_message_may_be_a_failure():
    message = make_message(state=MessageState.SENDING, uncertain=True, reason="uncertain")
    attempt, message = report(make_attempt(message, state=AttemptState.LOST), "failed", "no service")
    assert attempt.state == "failed"
    assert (message.state, message.uncertain, message.reason) == ("sending", False, "")


def test_a_status_proves_that_an_assigned_message_left_us():
    attempt, _ = report(make_attempt(state=AttemptState.ASSIGNED), "failed", "no service")
    assert attempt.state == "failed" and attempt.handed_at


def test_a_message_thought_to_be_taken_back_stays_with_the_phone_that_tries_it():
    message = make_message()
    attempt, message = report(make_attempt(message, state=AttemptState.WITHDRAWN), "failed", "no service")
    assert (attempt.state, message.state) == ("failed", "sending")
    assert outbox.assign() == 0


def test_a_message_thought_to_be_taken_back_and_given_to_another_phone_is_uncertain():
    message = make_message(state=MessageState.SENDING)
    taken_back = make_attempt(message, state=AttemptState.WITHDRAWN)
    other = make_attempt(message)
    attempt, message = report(taken_back, "failed", "no service")
    other.refresh_from_db()
    assert (attempt.state, other.state) == ("lost", "handed")
    assert message.uncertain


# ── Refused ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("error", ["Message body is empty", "Message has too many parts"])
def test_what_no_phone_can_send_fails_the_message(error):
    attempt, message = report(make_attempt(), "failed", error)
    assert (attempt.state, message.state, message.error) == ("refused", "failed", error)
    assert message.settled_at


@pytest.mark.parametrize("error", ["Destination address is not allowed", "Destination address is empty"])
def test_what_this_phone_may_not_send_goes_back_for_another(error):
    message = make_message(state=MessageState.SENDING, uncertain=True, reason="uncertain", waits_until=clock.now())
    attempt, message = report(make_attempt(message), "failed", error)
    assert (attempt.state, message.state, message.error) == ("refused", "queued", error)
    assert (message.uncertain, message.reason, message.waits_until) == (False, "", None)


def test_what_the_phone_asked_for_refuses_fails():
    phone = make_phone()
    message = make_message(state=MessageState.SENDING, phone=phone)
    _, message = report(make_attempt(message, phone), "failed", "Destination address is not allowed")
    assert message.state == "failed"


def test_a_refusal_does_not_take_the_message_from_the_phone_that_has_it_now():
    message = make_message(policy=Policy.AT_LEAST_ONCE, state=MessageState.SENDING)
    lost = make_attempt(message, state=AttemptState.LOST)
    make_attempt(message)
    _, message = report(lost, "failed", "Destination address is not allowed")
    assert message.state == "sending"


def test_a_refusal_after_the_outcome_changes_nothing_of_it():
    message = make_message(state=MessageState.EXPIRED)
    attempt, message = report(make_attempt(message), "failed", "Message body is empty")
    assert (attempt.state, message.state) == ("refused", "expired")


# ── Given back or deleted ──────────────────────────────────────────────────────────────────────────

DELETED = "deleted by user"
WORDS = [
    ("cancelled", ""),
    ("cancelled", DELETED),
    ("failed", DELETED),
    ("failed", "Deleted by user"),
]


def recalled(reason, **values):
    now = clock.now()
    return make_attempt(recall_reason=reason, recall_asked_at=now, recall_sent_at=now, **values)


def test_what_the_owner_of_a_phone_that_cannot_be_asked_deletes_is_cancelled_too():
    attempt = make_attempt(phone=make_phone(version=17), recall_reason="failover", recall_asked_at=clock.now())
    attempt, message = report(attempt, "failed", DELETED)
    assert (attempt.state, message.state, message.error) == ("cancelled", "cancelled", "deleted on the phone")


@pytest.mark.parametrize(("status", "error"), WORDS)
def test_what_the_phones_owner_deletes_is_cancelled(status, error):
    attempt, message = report(make_attempt(), status, error)
    assert (attempt.state, message.state, message.error) == ("cancelled", "cancelled", "deleted on the phone")
    assert timeline(message) == ["deleted"]


@pytest.mark.parametrize("reason", ["operator", "stop"])
def test_what_we_asked_for_to_stop_it_is_cancelled(reason):
    attempt, message = report(recalled(reason), "cancelled", DELETED)
    assert (attempt.state, message.state, message.error) == ("cancelled", "cancelled", "")
    assert timeline(message) == ["given_back"]


@pytest.mark.parametrize("reason", ["failover", "removed"])
@pytest.mark.parametrize("state", [AttemptState.HANDED, AttemptState.FAILED, AttemptState.LOST])
def test_what_we_asked_for_to_send_it_elsewhere_queues_again(reason, state):
    message = make_message(state=MessageState.SENDING, uncertain=True, reason="uncertain")
    attempt, message = report(recalled(reason, message=message, state=state), "cancelled", DELETED)
    assert (attempt.state, message.state) == ("cancelled", "queued")
    assert (message.uncertain, message.reason) == (False, "")


def test_what_we_asked_for_after_the_outcome_keeps_its_outcome():
    message = make_message(state=MessageState.SENT)
    attempt, message = report(recalled("settled", message=message), "cancelled", DELETED)
    assert (attempt.state, message.state) == ("cancelled", "sent")


@pytest.mark.parametrize("reason", ["failover", "operator", ""])
def test_after_a_dirty_try_no_other_phone_takes_what_must_not_go_out_twice(reason):
    attempt = make_attempt(
        state=AttemptState.FAILED, dirty=True, recall_reason=reason, recall_asked_at=clock.now() if reason else None
    )
    attempt, message = report(attempt, "cancelled", DELETED)
    assert (attempt.state, message.state, message.uncertain) == ("cancelled", "sending", True)
    assert (message.reason, message.waits_until) == ("uncertain", message.valid_until)
    assert outbox.assign() == 0
    assert report(attempt, "sent")[1].state == "sent"


def test_after_a_dirty_try_another_phone_takes_what_must_arrive():
    message = make_message(state=MessageState.SENDING, policy=Policy.AT_LEAST_ONCE)
    attempt = recalled("failover", message=message, state=AttemptState.FAILED, dirty=True)
    _, message = report(attempt, "cancelled", DELETED)
    assert (message.state, message.uncertain) == ("queued", True)


def test_a_cancelled_message_that_was_sent_after_all_is_sent():
    attempt, _ = report(recalled("operator"), "cancelled", DELETED)
    attempt, message = report(attempt, "sent")
    assert (attempt.state, message.state) == ("sent", "sent")


def test_after_cancelled_only_sent_counts():
    attempt, _ = report(recalled("operator"), "cancelled", DELETED)
    attempt, message = report(attempt, "failed", "no service")
    assert (attempt.state, message.state) == ("cancelled", "cancelled")


# ── Words that mean nothing to us ──────────────────────────────────────────────────────────────────


def test_a_status_for_an_unknown_id_is_noted_and_nothing_else():
    phone = make_phone()
    outbox.take_statuses([Status(phone, clock.now(), "no-such-id", "sent", "")])
    event = PhoneEvent.objects.get(phone=phone)
    assert event.kind == "odd" and "no-such-id" in event.text


@pytest.mark.parametrize("status", ["sent", "failed", "cancelled"])
def test_a_phone_cannot_touch_the_messages_of_another(status):
    attempt, stranger = make_attempt(), make_phone()
    after, message = report(attempt, status, phone=stranger)
    assert (after.state, after.tries, message.state) == ("handed", 0, "sending")
    assert timeline(message) == []
    assert PhoneEvent.objects.get(phone=stranger).kind == "odd"


def test_an_unknown_word_is_noted_and_changes_no_state():
    attempt, message = report(make_attempt(), "delivered")
    assert (attempt.state, message.state) == ("handed", "sending")
    assert "delivered" in PhoneEvent.objects.get(phone=attempt.phone).text


def test_queued_is_no_news():
    attempt, message = report(make_attempt(), "queued")
    assert (attempt.state, attempt.tries, message.state) == ("handed", 0, "sending")
    assert not PhoneEvent.objects.exists()


def test_an_enormous_error_is_cut():
    attempt, message = report(make_attempt(), "failed", "x" * 9999)
    assert len(attempt.error) == len(message.error) == 255


def test_statuses_of_many_phones_are_taken_together_and_in_order():
    attempts = [make_attempt() for _ in range(3)]
    now = clock.now()
    said = [Status(attempt.phone, now, attempt.public_id, "failed", "no service") for attempt in attempts]
    said.append(Status(attempts[1].phone, now, attempts[1].public_id, "sent", ""))
    with transaction.atomic():
        outbox.take_statuses(said)
    states = [Attempt.objects.get(pk=attempt.pk).state for attempt in attempts]
    assert states == ["failed", "sent", "failed"]


# ── The sending limit ──────────────────────────────────────────────────────────────────────────────


def test_what_a_phone_at_its_limit_holds_may_take_an_hour_longer():
    attempt, other = make_attempt(), make_attempt()
    at = clock.now()
    outbox.limit_exceeded([attempt.phone_id], at)
    attempt.refresh_from_db()
    before = other.lease_until
    other.refresh_from_db()
    assert attempt.lease_until == at + timedelta(seconds=3605 + 600)
    assert other.lease_until == before


def test_a_longer_lease_is_not_shortened():
    until = clock.now() + timedelta(days=1)
    attempt = make_attempt(lease_until=until)
    outbox.limit_exceeded([attempt.phone_id], clock.now())
    attempt.refresh_from_db()
    assert attempt.lease_until == until
