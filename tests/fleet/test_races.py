"""What happens at the same moment, in threads with connections of their own."""

import threading

import pytest
from django.db import connection, transaction

from fleet import clock, inbox, outbox, phones, problems
from fleet.inbox import Incoming
from fleet.outbox import Attempt, AttemptState, Message, MessageEvent, MessageState, Status
from fleet.phones import NumberTaken, Phone
from fleet.problems import SignInProblem
from tests.factories import make_attempt, make_message, make_phone, part, say

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*calls):
    """Run the calls at the same moment; their results, exceptions among them."""
    start, results = threading.Barrier(len(calls)), [None] * len(calls)

    def run(place, call):
        try:
            connection.ensure_connection()
            start.wait(10)
            results[place] = call()
        except Exception as error:
            results[place] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def errors(results):
    return [result for result in results if isinstance(result, Exception)]


def test_several_balancers_bind_each_message_once():
    for _ in range(3):
        make_phone()
    for _ in range(12):
        make_message()
    assert errors(at_once(*[outbox.assign] * 4)) == []
    outbox.assign()
    assert Attempt.objects.count() == 12
    assert not Message.objects.filter(state=MessageState.QUEUED).exists()


def test_one_number_is_registered_once():
    results = at_once(*[lambda: phones.register("15550100", "secret")] * 4)
    assert sum(isinstance(result, Phone) for result in results) == 1
    assert {type(error) for error in errors(results)} == {NumberTaken}
    assert Phone.objects.count() == 1


def test_copies_of_an_mms_that_arrive_at_once_are_one(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    phone = make_phone()

    def receive():
        with transaction.atomic():
            return inbox.receive([(phone, clock.now(), say(type="mms", parts=(part(), part(b"2", field="part1"))))])

    assert errors(at_once(*[receive] * 4)) == []
    assert Incoming.objects.get().parts.count() == 2


def test_problems_noted_at_once_are_all_counted():
    def record():
        now = clock.now()
        rows = [SignInProblem(phone_number=str(n), cause="unknown_number", first_at=now, at=now) for n in range(5)]
        problems.record(rows)

    assert errors(at_once(*[record] * 4)) == []
    assert list(SignInProblem.objects.values_list("count", flat=True)) == [4] * 5


def report(attempts, word):
    """The gateway's way: phones locked first, then statuses and offers in one transaction."""
    own = sorted({attempt.phone_id for attempt in attempts})
    with transaction.atomic():
        locked = {phone.pk: phone for phone in Phone.objects.filter(pk__in=own).order_by("pk").select_for_update()}
        said = [Status(locked[a.phone_id], clock.now(), a.public_id, word, "no service") for a in attempts]
        outbox.take_statuses(said)
        outbox.offer([outbox.App(phone, 30, True) for phone in locked.values()], clock.now())


@pytest.mark.parametrize("word", ["sent", "failed"])
def test_word_from_a_phone_at_the_end_of_its_lease_counts(word):
    over = clock.now() - clock.span(601)
    attempts = [make_attempt(handed_at=over) for _ in range(20)]
    results = at_once(lambda: report(attempts, word), outbox.sweep, lambda: report(list(reversed(attempts)), word))
    assert errors(results) == []
    assert {attempt.state for attempt in Attempt.objects.all()} == {word}
    assert not Message.objects.filter(uncertain=True).exists()


def test_what_is_fetched_while_it_is_taken_back_is_either_fetched_or_queued():
    phone = make_phone()
    for _ in range(10):
        make_attempt(phone=phone, state=AttemptState.ASSIGNED)
    results = at_once(lambda: fetch(phone), lambda: outbox.release(phone, "phone paused"))
    assert errors(results) == []
    for attempt in Attempt.objects.select_related("message"):
        assert (attempt.state, attempt.message.state) in [("handed", "sending"), ("withdrawn", "queued")]


def fetch(phone):
    with transaction.atomic():
        locked = Phone.objects.select_for_update().get(pk=phone.pk)
        return outbox.offer([outbox.App(locked, 30, True)], clock.now())


def test_cancelling_while_the_phone_fetches_ends_in_a_clear_state():
    attempt = make_attempt(state=AttemptState.ASSIGNED)
    results = at_once(lambda: fetch(attempt.phone), lambda: outbox.cancel(attempt.message))
    assert errors(results) == []
    attempt.refresh_from_db()
    assert (attempt.state, results[1]) in [("withdrawn", "cancelled"), ("handed", "asked")]


@pytest.mark.production
def test_an_event_may_name_a_phone_that_is_locked_or_sweeps_and_phones_would_wait_for_each_other():
    attempt, other = make_attempt(state=AttemptState.ASSIGNED), make_message()

    def note():
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '3s'")
        return MessageEvent.objects.create(message=other, what="lost", phone=attempt.phone)

    with transaction.atomic():
        outbox.release(attempt.phone, "phone paused")
        assert errors(at_once(note)) == []
