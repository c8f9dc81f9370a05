"""Requests that arrive together share a transaction, and one phone's trouble stays its own."""

import asyncio
import itertools
import threading

import pytest
from django.db import InterfaceError, OperationalError

from fleet import outbox, phones
from fleet.gateway import batches, form, handlers
from fleet.inbox import Incoming
from fleet.outbox import Attempt, Message
from fleet.phones import LogChunk, Phone
from fleet.problems import SignInProblem
from tests.gateway.client import APP_3, FORM, HOST, Caller

NUMBER, PASSWORD = "+4915790000001", "s3cret"
SMS = {"from_": "+12025550123", "message_type": "sms", "message": "hello", "timestamp": "1332460800000"}


class Handling:
    """Stands in for the handler: keeps the batches it was given, and fails as told."""

    def __init__(self, *failures, poison=()):
        self.batches, self.failures, self.poison = [], list(failures), set(poison)
        self.go = threading.Event()
        self.go.set()

    def __call__(self, jobs):
        assert self.go.wait(10)
        self.batches.append(list(jobs))
        if self.failures:
            raise self.failures.pop(0)
        if self.poison.intersection(jobs):
            raise ValueError("poison")
        return [f"answer to {job}" for job in jobs]


async def answers_of(handling, jobs):
    """Have ``jobs`` arrive together; what each got, exceptions included."""
    collected = batches.Batches(handling)
    return await asyncio.gather(*(collected.run(job) for job in jobs), return_exceptions=True)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(batches, "PAUSES", (0, 0, 0))


async def test_what_arrives_together_is_handled_together_in_order():
    handling = Handling()
    assert await answers_of(handling, "abc") == ["answer to a", "answer to b", "answer to c"]
    assert handling.batches == [["a", "b", "c"]]


async def test_what_arrives_meanwhile_is_the_next_batch():
    handling = Handling()
    handling.go.clear()
    collected = batches.Batches(handling)
    first = collected.run("a")
    while not collected._thread._threads:
        await asyncio.sleep(0)
    later = [collected.run(job) for job in "bc"]
    assert not collected.idle
    handling.go.set()
    await asyncio.gather(first, *later)
    assert handling.batches == [["a"], ["b", "c"]]
    await asyncio.sleep(0)
    assert collected.idle


async def test_a_batch_has_a_largest_size():
    handling = Handling()
    await answers_of(handling, range(batches.LARGEST + 1))
    assert [len(batch) for batch in handling.batches] == [batches.LARGEST, 1]


@pytest.mark.parametrize("trouble", [OperationalError("deadlock detected"), InterfaceError("connection is closed")])
async def test_a_deadlock_or_lost_connection_has_the_whole_batch_tried_again(trouble):
    handling = Handling(trouble, trouble)
    assert await answers_of(handling, "ab") == ["answer to a", "answer to b"]
    assert handling.batches == [["a", "b"]] * 3


async def test_any_other_error_has_each_tried_alone_so_that_one_cannot_fail_another():
    handling = Handling(poison="b")
    first, failed, last = await answers_of(handling, "abc")
    assert (first, last) == ("answer to a", "answer to c")
    assert isinstance(failed, ValueError)
    assert handling.batches == [["a", "b", "c"], ["a"], ["b"], ["c"]]


async def test_a_database_that_stays_away_fails_each_request_and_the_next_batch_is_tried_anew():
    handling = Handling(*[OperationalError("gone")] * 6)
    collected = batches.Batches(handling)
    failed = await asyncio.gather(collected.run("a"), collected.run("b"), return_exceptions=True)
    assert [type(answer) for answer in failed] == [OperationalError] * 2
    assert await collected.run("c") == "answer to c"


async def test_trouble_before_a_batch_leaves_nobody_waiting(monkeypatch):
    def fail():
        raise RuntimeError("no thread of ours")

    monkeypatch.setattr(batches, "close_old_connections", fail)
    failed = await answers_of(Handling(), "ab")
    assert [type(answer) for answer in failed] == [RuntimeError] * 2


async def test_a_phone_that_no_longer_waits_does_no_harm():
    handling = Handling()
    collected = batches.Batches(handling)
    left, stayed = collected.run("a"), collected.run("b")
    left.cancel()
    assert await stayed == "answer to b"


# ── What a batch does ──────────────────────────────────────────────────────────────────────────────

_clock = itertools.count(1_800_000_000_000)


@pytest.fixture
def phone(db):
    phones.register(NUMBER, PASSWORD, "")
    return Caller(NUMBER, PASSWORD)


@pytest.fixture
def other(db):
    phones.register("+4915790000002", PASSWORD, "")
    return Caller("+4915790000002", PASSWORD)


def request(caller, action, **fields):
    """A request as the endpoint would have read it."""
    head, _, body = caller.request(action, **{"now": str(next(_clock))} | fields).partition(b"\r\n\r\n")
    signature = next(line for line in head.split(b"\r\n") if line.startswith(b"X-Request-Signature: "))
    return handlers.Request(
        form=form.parse(FORM, body),
        malformed="",
        signature=signature.split(b": ")[1].decode(),
        user_agent=APP_3,
        address="127.0.0.1",
        scheme="http",
        host=HOST,
        raw_path=b"/gateway/",
        query=b"",
    )


def handed_over(phone):
    """A message that ``phone`` was given; its wire id."""
    outbox.enqueue("+12025550123", "hello", phone=Phone.objects.get(number=phone.number))
    outbox.assign()
    [answer] = handlers.handle([request(phone, "outgoing")])
    assert answer.body.count(b'"event":"send"') == 1
    return Attempt.objects.get().public_id


def test_identical_copies_in_a_batch_are_folded_into_one(phone):
    copy = {"now": str(next(_clock)), "log": "Received SMS\n"}
    first, second, another = handlers.handle(
        [
            request(phone, "incoming", **SMS, **copy),
            request(phone, "incoming", **SMS, **copy),
            request(phone, "incoming", **SMS, log="again\n"),
        ]
    )
    assert (first.status, first.body) == (second.status, second.body) == (another.status, another.body)
    assert Incoming.objects.count() == 1
    assert sorted(LogChunk.objects.values_list("text", flat=True)) == ["Received SMS\n", "again\n"]


def test_a_copy_in_a_later_batch_gets_the_same_messages_again(phone):
    outbox.enqueue("+12025550123", "hello", phone=Phone.objects.get())
    outbox.assign()
    copy = {"now": str(next(_clock))}
    [first] = handlers.handle([request(phone, "outgoing", **copy)])
    [second] = handlers.handle([request(phone, "outgoing", **copy)])
    assert b'"event":"send"' in first.body and first.body == second.body
    assert Attempt.objects.get().offers == 1


def test_statuses_of_one_phone_take_effect_in_the_order_they_arrived(phone):
    wire_id = handed_over(phone)
    failed, sent = ({"id": wire_id, "status": status, "error": ""} for status in ("failed", "sent"))
    handlers.handle([request(phone, "send_status", **failed), request(phone, "send_status", **sent)])
    assert Message.objects.get().state == "sent"
    assert [event.what for event in Message.objects.get().timeline.order_by("pk")][-2:] == ["failed", "sent"]


def test_the_last_of_several_reports_in_a_batch_is_what_is_known_of_the_phone(phone):
    handlers.handle([request(phone, "outgoing", battery=str(level)) for level in (80, 20, 50)])
    assert Phone.objects.get().battery == 50


def test_one_answer_of_a_batch_carries_the_work(phone):
    outbox.enqueue("+12025550123", "hello", phone=Phone.objects.get())
    outbox.assign()
    answers = handlers.handle(
        [request(phone, "device_status", status="battery_okay"), request(phone, "outgoing"), request(phone, "test")]
    )
    assert [b'"event":"send"' in answer.body for answer in answers] == [False, True, False]


def test_phones_in_one_batch_stay_apart(phone, other):
    wire_id = handed_over(phone)
    stranger = Caller("+4915790000003", "x")
    answers = handlers.handle(
        [
            request(other, "send_status", id=wire_id, status="sent", error=""),
            request(stranger, "outgoing"),
            request(phone, "incoming", **SMS),
            request(Caller(NUMBER, "wrong"), "incoming", **SMS | {"message": "forged"}),
        ]
    )
    assert [answer.status for answer in answers] == [200, 403, 200, 403]
    assert Attempt.objects.get().state == "handed"
    assert Incoming.objects.get().phone.number == NUMBER
    assert sorted(SignInProblem.objects.values_list("phone_number", "cause")) == [
        (NUMBER, "wrong_password"),
        (stranger.number, "unknown_number"),
    ]


def test_a_wake_for_a_phone_that_has_gone_hands_nothing_over(phone):
    outbox.enqueue("+12025550123", "hello", phone=Phone.objects.get())
    outbox.assign()
    [answer] = handlers.handle([handlers.Wake(Phone.objects.get().pk, 30, "", lambda: False)])
    assert answer.body == b'{"events":[]}'
    assert Attempt.objects.get().state == "assigned"
