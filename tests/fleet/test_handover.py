from datetime import timedelta

import pytest
from django.db import transaction

from fleet import clock, outbox
from fleet.outbox import App, Attempt, AttemptState, MessageState, RecallReason, Status
from fleet.phones import Mode
from tests.factories import make_attempt, make_message, make_phone

pytestmark = pytest.mark.django_db


def seconds(number):
    return timedelta(seconds=number)


def poll(phone, *, after=0, asked=True, version=None):
    """What ``phone`` gets when it asks (or merely reports) so many seconds from now."""
    app = App(phone, version or phone.version, asked)
    with transaction.atomic():
        return outbox.offer([app], clock.now() + seconds(after)).get(phone.pk) or outbox.handover.Offer([], [])


def ids(offer):
    return [attempt.public_id for attempt, _ in offer.messages]


def again(row):
    return type(row).objects.get(pk=row.pk)


def timeline(attempt):
    return list(attempt.message.timeline.order_by("pk").values_list("what", flat=True))


# ── The first time ─────────────────────────────────────────────────────────────────────────────────


def test_a_phone_gets_what_it_was_assigned_with_a_lease():
    attempt = make_attempt(state=AttemptState.ASSIGNED)
    offer = poll(attempt.phone)
    assert ids(offer) == [attempt.public_id]
    attempt = again(attempt)
    assert (attempt.state, attempt.offers) == ("handed", 1)
    assert attempt.lease_until - attempt.handed_at == seconds(600)
    assert timeline(attempt) == ["handed"]


def test_a_phone_gets_nothing_of_another():
    make_attempt(state=AttemptState.ASSIGNED)
    assert ids(poll(make_phone())) == []


def test_the_answer_to_a_mere_report_carries_a_first_offer():
    attempt = make_attempt(state=AttemptState.ASSIGNED)
    assert ids(poll(attempt.phone, asked=False)) == [attempt.public_id]


def test_what_was_just_handed_over_is_not_repeated():
    attempt = make_attempt(state=AttemptState.ASSIGNED)
    poll(attempt.phone)
    assert ids(poll(attempt.phone)) == []


@pytest.mark.parametrize("mode", [Mode.PAUSED, Mode.DRAINING, Mode.DISABLED])
def test_a_phone_that_may_send_nothing_new_gets_nothing_new(mode):
    attempt = make_attempt(phone=make_phone(mode=mode), state=AttemptState.ASSIGNED)
    assert ids(poll(attempt.phone)) == []
    assert outbox.offers_waiting([attempt.phone_id]) == set()
    assert again(attempt).state == AttemptState.ASSIGNED


def test_messages_are_handed_over_by_priority_then_age():
    phone = make_phone()
    old, urgent, young = (
        make_attempt(make_message(priority=priority), phone, state=AttemptState.ASSIGNED) for priority in (0, 9, 0)
    )
    assert ids(poll(phone)) == [urgent.public_id, old.public_id, young.public_id]


def test_a_message_whose_time_is_over_is_not_handed_over_any_more():
    message = make_message(valid_until=clock.now() - seconds(1))
    attempt = make_attempt(message, state=AttemptState.ASSIGNED)
    assert ids(poll(attempt.phone)) == []


# ── The same id again ──────────────────────────────────────────────────────────────────────────────


def test_without_a_word_the_same_id_is_offered_again_after_20_seconds_then_twice_as_long_up_to_5_minutes():
    attempt, start = make_attempt(), clock.now()
    offered = []
    with transaction.atomic():
        for second in range(0, 620):
            found = outbox.offer([App(attempt.phone, 30, True)], attempt.handed_at + seconds(second))
            if found and found[attempt.phone_id].messages:
                offered.append(second)
    assert offered == [20, 60, 140, 300]
    assert again(attempt).offers == 5
    assert again(attempt).lease_until < start + seconds(601)
    assert set(timeline(attempt)) == {"offered_again"}


def test_the_wait_never_grows_beyond_5_minutes():
    attempt = make_attempt(offers=9, next_offer_at=clock.now())
    poll(attempt.phone, after=1)
    attempt = again(attempt)
    assert attempt.next_offer_at - attempt.last_offer_at == seconds(300)


def test_only_a_poll_is_offered_an_id_again():
    attempt = make_attempt()
    assert ids(poll(attempt.phone, after=20, asked=False)) == []


def test_an_id_is_not_offered_again_when_its_lease_is_over():
    attempt = make_attempt()
    assert ids(poll(attempt.phone, after=600)) == []


def test_an_id_is_never_offered_again_to_version_13_which_remembers_none():
    attempt = make_attempt(phone=make_phone(version=13), state=AttemptState.ASSIGNED)
    assert ids(poll(attempt.phone)) == [attempt.public_id]
    assert again(attempt).next_offer_at is None
    assert ids(poll(attempt.phone, after=60)) == []


def test_an_id_handed_to_a_newer_app_is_not_offered_again_once_the_phone_runs_version_13():
    attempt = make_attempt()
    assert ids(poll(attempt.phone, after=20, version=13)) == []


@pytest.mark.parametrize(("status", "error"), [("failed", "no service"), ("failed", "Timeout"), ("cancelled", "")])
def test_an_id_is_never_offered_again_once_the_phone_has_reported_on_it(status, error):
    attempt = make_attempt()
    outbox.take_statuses([Status(attempt.phone, clock.now(), attempt.public_id, status, error)])
    assert ids(poll(attempt.phone, after=60)) == []


def test_an_id_is_never_offered_again_after_the_app_was_started_anew():
    attempt, other = make_attempt(), make_attempt()
    outbox.forget({attempt.phone_id})
    assert ids(poll(attempt.phone, after=60)) == []
    assert ids(poll(other.phone, after=60)) == [other.public_id]


def test_an_id_is_never_offered_again_when_the_phone_has_sent_so_many_others_that_it_may_have_forgotten_it():
    phone = make_phone()
    attempt = make_attempt(phone=phone)
    message = make_message(state=MessageState.SENT)
    for _ in range(91):
        make_attempt(message, phone, state=AttemptState.SENT, settled_at=clock.now())
    assert ids(poll(phone, after=20)) == []
    assert again(attempt).next_offer_at is None


def test_a_recalled_id_is_not_offered_again():
    attempt = make_attempt()
    outbox.cancel(attempt.message)
    assert ids(poll(attempt.phone, after=20)) == []


def test_a_draining_phone_is_reminded_of_what_it_holds_and_a_paused_one_is_not():
    draining, paused = make_phone(mode=Mode.DRAINING), make_phone(mode=Mode.PAUSED)
    attempt = make_attempt(phone=draining)
    make_attempt(phone=paused)
    assert ids(poll(draining, after=20)) == [attempt.public_id]
    assert ids(poll(paused, after=20)) == []


def test_the_waits_pass_faster_on_a_fast_clock(settings):
    settings.FLEET_CLOCK_SPEED = 20
    attempt = make_attempt(state=AttemptState.ASSIGNED)
    poll(attempt.phone)
    assert ids(poll(attempt.phone, after=1.1)) == [attempt.public_id]
    assert again(attempt).lease_until - again(attempt).handed_at == seconds(30)


# ── Giving back ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("state", [AttemptState.HANDED, AttemptState.FAILED, AttemptState.LOST])
def test_a_phone_is_asked_to_give_back_at_its_polls_30_seconds_apart(state):
    attempt = make_attempt(state=state, recall_reason=RecallReason.FAILOVER, recall_asked_at=clock.now())
    asked = [bool(poll(attempt.phone, after=second).recalls) for second in (0, 10, 29, 31, 40, 62)]
    assert asked == [True, False, False, True, False, True]


def test_only_a_poll_is_asked_to_give_back():
    attempt = make_attempt(recall_reason=RecallReason.FAILOVER, recall_asked_at=clock.now())
    assert poll(attempt.phone, asked=False).recalls == []


def test_a_phone_before_version_28_is_not_asked_to_give_back():
    phone = make_phone(version=18)
    attempt = make_attempt(phone=phone, recall_reason=RecallReason.SETTLED, recall_asked_at=clock.now())
    assert poll(attempt.phone).recalls == []
    assert outbox.offers_waiting([phone.pk]) == set()


@pytest.mark.parametrize("state", [AttemptState.SENT, AttemptState.CANCELLED, AttemptState.REFUSED])
def test_what_is_over_is_not_asked_for(state):
    attempt = make_attempt(state=state, recall_reason=RecallReason.OPERATOR, recall_asked_at=clock.now())
    assert poll(attempt.phone).recalls == []


def test_after_a_day_a_silent_phone_no_longer_has_it_and_is_not_asked_any_more():
    handed = clock.now() - timedelta(hours=26, seconds=1)
    attempt = make_attempt(
        state=AttemptState.LOST, handed_at=handed, recall_reason=RecallReason.FAILOVER, recall_asked_at=clock.now()
    )
    assert poll(attempt.phone).recalls == []
    assert outbox.offers_waiting([attempt.phone_id]) == set()


def test_a_paused_phone_is_still_asked_to_give_back():
    phone = make_phone(mode=Mode.PAUSED)
    attempt = make_attempt(phone=phone, recall_reason=RecallReason.OPERATOR, recall_asked_at=clock.now())
    assert poll(phone).recalls == [attempt.public_id]


# ── Whose held poll to end ─────────────────────────────────────────────────────────────────────────


def test_a_held_poll_ends_for_something_new_something_overdue_or_something_to_give_back():
    now = clock.now()
    fresh = make_attempt(state=AttemptState.ASSIGNED)
    overdue = make_attempt(next_offer_at=now - seconds(1))
    wanted = make_attempt(recall_reason=RecallReason.OPERATOR, recall_asked_at=now)
    idle = make_attempt()
    phones = [attempt.phone_id for attempt in (fresh, overdue, wanted, idle)]
    assert outbox.offers_waiting(phones) == set(phones[:3])


def test_a_held_poll_is_not_ended_for_what_its_answer_would_not_carry():
    overdue = clock.now() - seconds(1)
    attempts = [
        make_attempt(phone=make_phone(mode=Mode.PAUSED), next_offer_at=overdue),
        make_attempt(next_offer_at=overdue, lease_until=overdue),
        make_attempt(
            next_offer_at=overdue, recall_asked_at=overdue, recall_sent_at=clock.now(), recall_reason="operator"
        ),
    ]
    assert outbox.offers_waiting([attempt.phone_id for attempt in attempts]) == set()


def test_every_phone_whose_poll_is_ended_gets_something():
    for state in AttemptState:
        for mode in Mode:
            for version in (13, 18, 30):
                for asked in (None, clock.now()):
                    phone = make_phone(mode=mode, version=version)
                    reason = "operator" if asked else ""
                    make_attempt(phone=phone, state=state, recall_asked_at=asked, recall_reason=reason)
    Attempt.objects.filter(state=AttemptState.HANDED).update(next_offer_at=clock.now() - seconds(1))
    Attempt.objects.filter(state=AttemptState.HANDED, phone__version=13).update(next_offer_at=None)
    phones = {attempt.phone_id: attempt.phone for attempt in Attempt.objects.select_related("phone")}
    waiting = outbox.offers_waiting(phones)
    served = {pk for pk, phone in phones.items() if (offer := poll(phone)).messages or offer.recalls}
    assert waiting == served
