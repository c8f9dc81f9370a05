from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from fleet import balancer
from fleet.balancer import Sender, Waiting

PHONE_IDS = st.integers(1, 6)
PHONES = st.lists(
    st.builds(Sender, PHONE_IDS, st.integers(0, 20), st.integers(-1, 4), st.booleans()),
    max_size=6,
    unique_by=lambda phone: phone.id,
)
MESSAGES = st.lists(
    st.builds(Waiting, st.integers(1, 999), st.integers(1, 5), st.none() | PHONE_IDS, st.frozensets(PHONE_IDS)),
    max_size=30,
    unique_by=lambda message: message.id,
)


def copies(phones):
    return [Sender(phone.id, phone.held_parts, phone.window, phone.heard) for phone in phones]


def plan(messages, phones):
    return balancer.plan(messages, copies(phones))


@given(MESSAGES, PHONES)
def test_every_message_is_given_to_a_phone_or_told_why_not(messages, phones):
    made = plan(messages, phones)
    given_away = [message_id for message_id, _ in made.assignments]
    assert Counter(given_away + list(made.reasons)) == Counter(message.id for message in messages)
    assert set(made.reasons.values()) <= {"no_phone", "phones_silent", "in_flight"}


@given(MESSAGES, PHONES)
def test_no_phone_is_given_more_than_it_may_hold(messages, phones):
    taken = Counter(phone_id for _, phone_id in plan(messages, phones).assignments)
    assert all(taken[phone.id] <= max(phone.window, 0) for phone in phones)
    assert set(taken) <= {phone.id for phone in phones}


@given(MESSAGES, PHONES)
def test_a_message_goes_to_the_phone_it_asked_for_and_to_no_other(messages, phones):
    asked = {message.id: message.phone for message in messages}
    assert all(asked[message_id] in (None, phone_id) for message_id, phone_id in plan(messages, phones).assignments)


@given(MESSAGES, PHONES)
def test_a_phone_that_refused_a_message_is_not_given_it_again(messages, phones):
    barred = {message.id: message.barred for message in messages}
    assert all(phone_id not in barred[message_id] for message_id, phone_id in plan(messages, phones).assignments)


@given(MESSAGES, PHONES)
def test_a_silent_phone_is_given_only_what_was_asked_of_it_by_name(messages, phones):
    heard = {phone.id: phone.heard for phone in phones}
    asked = {message.id: message.phone for message in messages}
    assert all(heard[phone] or asked[message] == phone for message, phone in plan(messages, phones).assignments)


@given(MESSAGES, PHONES)
def test_each_message_goes_to_the_phone_that_holds_the_fewest_parts(messages, phones):
    state = {phone.id: phone for phone in copies(phones)}
    chosen = dict(plan(messages, phones).assignments)
    for message in messages:
        takers = [
            phone
            for phone in state.values()
            if phone.heard and phone.window > 0 and phone.id not in message.barred and message.phone is None
        ]
        if message.id in chosen:
            phone = state[chosen[message.id]]
            if message.phone is None:
                assert (phone.held_parts, phone.id) == min((taker.held_parts, taker.id) for taker in takers)
            phone.held_parts += message.parts
            phone.window -= 1
        else:
            assert not takers


@given(MESSAGES, PHONES)
def test_the_same_question_gets_the_same_plan(messages, phones):
    assert plan(messages, phones) == plan(messages, list(reversed(phones)))


def test_a_message_nobody_may_take_says_so():
    assert plan([Waiting(1, 1)], []).reasons == {1: "no_phone"}
    assert plan([Waiting(1, 1, phone=7)], [Sender(8, 0, 6)]).reasons == {1: "no_phone"}
    assert plan([Waiting(1, 1, barred=frozenset({8}))], [Sender(8, 0, 6)]).reasons == {1: "no_phone"}


def test_a_message_waits_for_phones_to_be_heard_again():
    assert plan([Waiting(1, 1)], [Sender(8, 0, 6, heard=False)]).reasons == {1: "phones_silent"}


def test_a_message_waits_for_room_on_the_phones():
    assert plan([Waiting(1, 1)], [Sender(8, 0, 0)]).reasons == {1: "in_flight"}
    assert plan([Waiting(1, 1, phone=8)], [Sender(8, 0, 0)]).reasons == {1: "in_flight"}
