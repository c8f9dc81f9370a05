"""Held polls, and the URLs under which the endpoint answers. All over a socket."""

import asyncio
import signal
import time
from contextlib import asynccontextmanager

import pytest

from tests.gateway.client import APP_2, PATIENCE, Caller, at_once, connection, exchange, raw, read_reply
from tests.gateway.conftest import PASSWORD, register

SENDER = "+12025550123"
NOTHING = {"events": []}
# Long enough for an answer that is not held to be here, in seconds.
MOMENT = 0.4


@asynccontextmanager
async def held(server, phone, **fields):
    """A poll that the server holds: (task of its Reply, writer of its connection)."""
    async with connection(server) as (reader, writer):
        reply = asyncio.ensure_future(read_reply(reader))
        writer.write(phone.request("outgoing", **fields))
        await asyncio.wait({reply}, timeout=MOMENT)
        assert not reply.done(), "the poll was not held"
        yield reply, writer
        reply.cancel()


async def manage(server, *words):
    return await asyncio.to_thread(server.json, *words)


async def message(server, id):
    return next(row for row in await manage(server, "messages") if row["id"] == id)


async def until(happened):
    """The first true answer of the coroutine function ``happened``."""
    async with asyncio.timeout(PATIENCE):
        while not (result := await happened()):
            pass
        return result


@pytest.mark.parametrize("version", [13, 17, 18, 30])
async def test_an_idle_poll_is_held_and_answered_the_moment_a_message_is_assigned(
    patient_gateway, new_caller, version, capsys
):
    phone = new_caller(patient_gateway)
    async with held(patient_gateway, phone, version=str(version)) as (reply, _):
        sent = await manage(patient_gateway, "send", SENDER, "ä <b> & c", "--phone", phone.number)
        queued = time.monotonic()
        [(wire_id, to, text)] = (await reply).messages
        waited = time.monotonic() - queued
        assert (to, text) == (SENDER, "ä <b> & c") and wire_id
    with capsys.disabled():
        print(f"\n  version {version}: from the end of `manage.py send` to the answered poll: {waited:.2f} s")
    found = await message(patient_gateway, sent["id"])
    assert (found["state"], found["attempts"][0]["id"]) == ("sending", wire_id)


async def test_a_poll_with_work_is_not_held(patient_gateway, new_caller):
    phone = new_caller(patient_gateway)
    sent = await manage(patient_gateway, "send", SENDER, "hello", "--phone", phone.number)

    async def assigned():
        return (await message(patient_gateway, sent["id"]))["attempts"]

    await until(assigned)
    asked = time.monotonic()
    assert (await exchange(patient_gateway, phone.request("outgoing"))).messages
    assert time.monotonic() - asked < 5


async def test_a_newer_poll_supersedes_the_held_one_and_gets_the_work(patient_gateway, new_caller):
    phone = new_caller(patient_gateway)
    async with held(patient_gateway, phone) as (older, _), held(patient_gateway, phone) as (newer, _):
        assert (await older).json == NOTHING
        await manage(patient_gateway, "send", SENDER, "hello", "--phone", phone.number)
        assert [text for _, _, text in (await newer).messages] == ["hello"]


async def test_a_held_poll_leaves_the_other_connection_free(patient_gateway, new_caller):
    phone = new_caller(patient_gateway)
    async with held(patient_gateway, phone) as (poll, _):
        reply = await exchange(patient_gateway, phone.request("test"))
        assert (reply.status, reply.json) == (200, NOTHING)
        assert not poll.done()


async def test_work_for_a_phone_that_went_away_is_kept_for_its_next_poll(patient_gateway, new_caller):
    phone = new_caller(patient_gateway)
    async with held(patient_gateway, phone) as (_, writer):
        writer.close()
        await writer.wait_closed()
    sent = await manage(patient_gateway, "send", SENDER, "hello", "--phone", phone.number)

    async def attempts():
        return (await message(patient_gateway, sent["id"]))["attempts"]

    [attempt] = await until(attempts)
    assert (attempt["state"], attempt["handed_at"]) == ("assigned", None)
    assert len((await exchange(patient_gateway, phone.request("outgoing"))).messages) == 1


async def test_work_rides_on_the_answer_to_a_report(patient_gateway, new_caller):
    phone, silent = new_caller(patient_gateway), new_caller(patient_gateway)
    sent = await manage(patient_gateway, "send", SENDER, "hello", "--phone", phone.number)

    async def assigned():
        return (await message(patient_gateway, sent["id"]))["attempts"]

    await until(assigned)
    assert (await exchange(patient_gateway, silent.request("device_status", status="battery_okay"))).json == NOTHING
    assert (await exchange(patient_gateway, phone.request("test"))).json == NOTHING
    reply = await exchange(patient_gateway, phone.request("device_status", status="battery_okay"))
    assert len(reply.messages) == 1


async def test_a_poll_is_given_up_when_its_time_is_over(gateway, new_caller):
    reply = await exchange(gateway, new_caller(gateway).request("outgoing"))
    assert (reply.status, reply.json) == (200, NOTHING)


async def test_polls_of_a_phone_that_is_not_to_be_held_are_answered_at_once(patient_gateway, new_caller):
    phone = new_caller(patient_gateway)
    switch_off = (
        f"from fleet.phones import Phone; Phone.objects.filter(number={phone.number!r}).update(long_poll=False)"
    )
    patient_gateway.manage("shell", "--verbosity", "0", "-c", switch_off)
    asked = time.monotonic()
    assert (await exchange(patient_gateway, phone.request("outgoing"))).json == NOTHING
    assert time.monotonic() - asked < 5


async def test_several_requests_on_one_connection_are_answered_in_turn(patient_gateway, new_caller):
    phone = new_caller(patient_gateway)
    async with connection(patient_gateway) as (reader, writer):
        for _ in range(3):
            writer.write(phone.request("test"))
            assert (await read_reply(reader)).status == 200
        writer.write(phone.request("test") + phone.request("amqp_started", consumer_tag="c"))
        assert [(await read_reply(reader)).status for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("stop, count", [(signal.SIGINT, 300), (signal.SIGTERM, 5)])
async def test_held_polls_are_answered_before_the_server_stops_within_seconds(start_server, stop, count):
    server = start_server()
    phones = [Caller(number, PASSWORD) for number in register(server, count)]
    polls = [asyncio.ensure_future(exchange(server, phone.request("outgoing"))) for phone in phones]

    async def all_held():
        rows = await manage(server, "phone", "list", "--limit", "0")
        return sum(row["last_heard"] is not None for row in rows) == len(phones)

    await until(all_held)
    [process] = [process for name, process in server.processes.items() if name in ("up", "web")]
    asked = time.monotonic()
    process.send_signal(stop)
    replies = await asyncio.gather(*polls)
    assert {(reply.status, reply.body) for reply in replies} == {(200, b'{"events":[]}')}
    assert await asyncio.to_thread(process.wait, 10) == 0
    assert time.monotonic() - asked < 5
    assert "Traceback" not in server.log()


# ── Where it answers ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/gateway", "/gateway/", "/gateway/?site=3&x=a%20b", "/gateway?"])
async def test_it_answers_with_and_without_slash_and_never_redirects(patient_gateway, new_caller, path):
    host = f"127.0.0.1:{patient_gateway.port}"
    phone = new_caller(patient_gateway, url=f"http://{host}{path}")
    assert (await exchange(patient_gateway, phone.request("test", path=path, headers={"Host": host}))).status == 200


async def test_the_host_counts_as_the_phone_wrote_it(patient_gateway, new_caller):
    phone = new_caller(patient_gateway, url="http://SMS.Example.COM:8000/gateway/")
    wrote, other = {"Host": "SMS.Example.COM:8000"}, {"Host": "sms.example.com:8000"}
    assert (await exchange(patient_gateway, phone.request("test", headers=wrote))).status == 200
    assert (await exchange(patient_gateway, phone.request("test", headers=other))).status == 403


async def test_a_trusted_proxy_says_which_url_the_phone_called(patient_gateway, new_caller):
    phone = new_caller(patient_gateway, url="https://sms.example.com/gateway/")
    forwarded = {"Host": "backend:8000", "X_Forwarded_Proto": "https", "X_Forwarded_Host": "sms.example.com"}
    assert (await exchange(patient_gateway, phone.request("test", headers=forwarded))).status == 200
    [direct, kept_host] = await at_once(
        patient_gateway,
        phone.request("test", headers={"Host": "sms.example.com"}),
        phone.request("test", headers={"Host": "sms.example.com", "X_Forwarded_Proto": "https"}),
    )
    assert (direct.status, kept_host.status) == (403, 200)


async def test_a_stranger_does_not_say_which_url_the_phone_called(gateway, new_caller):
    phone = new_caller(gateway, url="https://sms.example.com/gateway/")
    forwarded = {"Host": "backend:8000", "X_Forwarded_Proto": "https", "X_Forwarded_Host": "sms.example.com"}
    assert (await exchange(gateway, phone.request("test", headers=forwarded))).status == 403


@pytest.mark.parametrize("path", ["/gateway", "/gateway/"])
async def test_what_is_refused_is_not_redirected_either(patient_gateway, path):
    for request in (raw(b"", path=path), raw(b"%ff", path=path, User_Agent=APP_2)):
        reply = await exchange(patient_gateway, request)
        assert reply.status in (400, 403) and "location" not in reply.headers
