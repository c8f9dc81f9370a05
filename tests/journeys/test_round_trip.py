"""Virtual phones of every version against a real server over HTTP: what is asked for is sent, what comes in arrives."""

import asyncio
import base64
import itertools
import time
from contextlib import asynccontextmanager

import pytest

from fleet.virtual.phone import VirtualPhone
from fleet.virtual.requests import Part, compose
from tests.gateway.client import exchange, raw

pytestmark = pytest.mark.journey

PATIENCE = 40  # seconds until a test gives up
SPEED = 60  # a minute of the protocol passes in a second
PASSWORD = "s3cret, & ü"
SENDER, RECEIVER = "+12025550123", "+12025550124"
VERSIONS = (13, 17, 18, 30)
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
_numbers = itertools.count(447700900001)


@pytest.fixture(scope="module")
def server(start_server):
    server = start_server(FLEET_CLOCK_SPEED=SPEED)
    yield server
    assert "Traceback" not in server.log()


@pytest.fixture
def make_phone(server):
    """New phones of the fleet: ``make_phone(version=18)``. Whatever they complain of fails the test."""
    made = []

    def make(on=server, **options):
        number = f"+{next(_numbers)}"
        on.manage("phone", "add", number, "--password", PASSWORD)
        made.append(VirtualPhone(number, PASSWORD, on.gateway_url, **{"speed": SPEED, "seed": 1} | options))
        return made[-1]

    yield make
    assert [phone.complaints for phone in made] == [[] for _ in made]


@asynccontextmanager
async def living(*phones):
    """The phones live, and poll, within the block."""
    lives = [asyncio.ensure_future(phone.run()) for phone in phones]
    try:
        yield
    finally:
        for life in lives:
            life.cancel()
        await asyncio.gather(*lives, return_exceptions=True)
        await asyncio.gather(*(phone.aclose() for phone in phones))


async def ask(server, *words):
    return await asyncio.to_thread(server.json, *words)


async def send(server, text, *more):
    return (await ask(server, "send", RECEIVER, text, *more))["id"]


async def send_each(server, texts, phones=(None,)):
    """Queue a message per text, for the phones in turn; their ids."""
    numbers = [phone and phone.number for phone in phones]
    pairs = list(zip(texts, itertools.cycle(numbers)))
    script = f"""
from fleet import outbox
from fleet.phones import Phone
for text, number in {pairs!r}:
    phone = number and Phone.objects.get(number=number)
    print(outbox.enqueue({RECEIVER!r}, text, phone=phone).pk)
"""
    printed = await asyncio.to_thread(server.manage, "shell", "--verbosity", "0", "-c", script)
    return [int(line) for line in printed.split()]


async def becomes(server, id, state):
    [found] = await all_become(server, [id], state)
    return found


async def all_become(server, ids, state):
    """Wait until these messages are in ``state``; what is known of them then."""
    until = time.monotonic() + PATIENCE
    while True:
        found = [row for row in await ask(server, "messages", "--limit", "0") if row["id"] in ids]
        others = [row for row in found if row["state"] != state]
        if not others:
            return found
        assert time.monotonic() < until, others


def what(message):
    return [event["what"] for event in message["timeline"]]


def texts(phone):
    return [sms.text for sms in phone.radio.air]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_message_goes_out_through_a_phone_of_each_version(server, make_phone, version):
    phone = make_phone(version=version)
    text = 'ä "quoted" <b> & 😀\nsecond line'
    async with living(phone):
        sent = await becomes(server, await send(server, text, "--phone", phone.number, "--priority", "3"), "sent")
    assert [(sms.to, sms.text) for sms in phone.radio.air] == [(RECEIVER, text)]
    assert (sent["phone"], sent["priority"], sent["uncertain"]) == (phone.number, 3, False)
    assert what(sent) == ["queued", "assigned", "handed", "sent"]
    [attempt] = sent["attempts"]
    assert (attempt["phone"], attempt["state"]) == (phone.number, "sent")


async def test_a_message_for_no_phone_in_particular_goes_to_one_that_is_heard(server, make_phone):
    phone, silent = make_phone(), make_phone()
    async with living(phone):
        await phone.until(lambda: phone.requests)
        sent = await becomes(server, await send(server, "to whom it may concern"), "sent")
    assert (sent["phone"], silent.requests) == (phone.number, 0)
    assert texts(phone) == ["to whom it may concern"]


async def test_a_message_that_failed_is_sent_after_all(server, make_phone):
    phone = make_phone()
    phone.radio.plan("no service", "sent")
    async with living(phone):
        sent = await becomes(server, await send(server, "try again", "--phone", phone.number), "sent")
    assert what(sent) == ["queued", "assigned", "handed", "failed", "sent"]
    assert sent["uncertain"] is False
    assert texts(phone) == ["try again"]


async def test_many_messages_go_out_once_each(server, make_phone):
    phones = [make_phone(version=version) for version in VERSIONS]
    async with living(*phones):
        await asyncio.gather(*(phone.until(lambda phone=phone: phone.requests, PATIENCE) for phone in phones))
        ids = await send_each(server, [f"number {n}" for n in range(12)])
        await all_become(server, ids, "sent")
    assert sorted(text for phone in phones for text in texts(phone)) == sorted(f"number {n}" for n in range(12))


async def test_an_answer_that_was_lost_is_given_again_once(server, make_phone):
    phone = make_phone()
    id = await send(server, "lost on the way", "--phone", phone.number)
    async with asyncio.timeout(PATIENCE):
        while not (reply := await deaf_poll(server, phone)).messages:
            pass
    async with phone:
        async with asyncio.timeout(PATIENCE):
            while not phone.radio.air:
                await phone.poll()
        await phone.rest()
    sent = await becomes(server, id, "sent")
    assert texts(phone) == ["lost on the way"]
    assert what(sent).count("offered_again") == 1
    assert [attempt["id"] for attempt in sent["attempts"]] == [wire_id for wire_id, _, _ in reply.messages]


async def deaf_poll(server, phone):
    """A poll of ``phone`` whose answer never reaches it."""
    headers, body = compose(
        server.gateway_url, PASSWORD, {"action": "outgoing", **phone._about_itself()}, None, phone.rng
    )
    names = {name.replace("-", "_"): value for name, value in headers.items()}
    return await exchange(server, raw(body, host=f"127.0.0.1:{server.port}", **names))


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_a_phone_receives_arrives(server, make_phone, version):
    phone = make_phone(version=version)
    picture = Part("image/png", PNG, "Bild ä.png")
    async with phone:
        for answer in (
            await phone.receive_sms(SENDER, "line one\r\nline two 😀", timestamp=1_332_460_800_123),
            await phone.receive_mms(SENDER, [Part("text/plain", b"look", "text.txt"), picture]),
            await phone.receive_call(SENDER),
            await phone.test(),
        ):
            assert answer is None or answer.ok
        assert phone.kept == []
    rows = {row["type"]: row for row in await ask(server, "incoming") if row["phone"] == phone.number}
    assert set(rows) == {"sms", "mms", "call"}
    assert (rows["sms"]["text"], rows["sms"]["from"]) == ("line one\r\nline two 😀", SENDER)
    assert rows["sms"]["timestamp"].startswith("2012-03-23T00:00:00")
    assert rows["mms"]["text"] == "look"
    assert [(part["name"], part["size"]) for part in rows["mms"]["parts"]] == [
        ("text.txt", 4),
        ("Bild ä.png", len(PNG)),
    ]


async def test_what_an_owner_sends_by_hand_is_kept_as_outgoing(server, make_phone):
    phone = make_phone()
    phone.settings.forward_sent = True
    async with phone:
        assert (await phone.send_by_hand(RECEIVER, "typed myself")).ok
    [row] = [row for row in await ask(server, "incoming") if row["phone"] == phone.number]
    assert (row["direction"], row["from"], row["to"], row["text"]) == ("out", phone.number, RECEIVER, "typed myself")


async def test_what_a_phone_says_of_itself_is_known(server, make_phone):
    phone = make_phone(battery=41, power=2, network="MOBILE")
    async with phone:
        await phone.poll()
    [row] = [row for row in await ask(server, "phone", "list") if row["number"] == phone.number]
    known = {name: row[name] for name in ("battery", "power", "network", "version", "send_limit", "model")}
    assert known == {
        "battery": 41,
        "power": 2,
        "network": "MOBILE",
        "version": 30,
        "send_limit": 100,
        "model": "HTC Wildfire S A510e",
    }


async def test_a_server_killed_under_load_has_lost_nothing_it_acknowledged(start_server, make_phone):
    server = start_server(FLEET_CLOCK_SPEED=SPEED)
    phones = [make_phone(server) for _ in range(6)]
    acknowledged, received = [], itertools.count()

    async def busy(phone):
        """Receives SMS without a break; the phone itself repeats what the server did not take."""
        while True:
            text = f"in {next(received)}"
            if (await phone.receive_sms(SENDER, text)).ok:
                acknowledged.append(text)

    async with living(*phones):
        await asyncio.gather(*(phone.until(lambda phone=phone: phone.requests, PATIENCE) for phone in phones))
        ids = await send_each(server, [f"out {n}" for n in range(12)], phones)
        loads = [asyncio.ensure_future(busy(phone)) for phone in phones]
        await phones[0].until(
            lambda: len(acknowledged) > 40 and any(texts(phone) for phone in phones), timeout=PATIENCE
        )
        server.kill()
        for load in loads:
            load.cancel()
        await asyncio.gather(*loads, return_exceptions=True)
        before = list(acknowledged)
        await asyncio.to_thread(server.start_again)
        kept = [row["text"] for row in await ask(server, "incoming", "--limit", "0")]
        assert set(before) <= set(kept)
        for phone in phones:
            phone.connect()
        await phones[0].until(lambda: not any(phone.kept for phone in phones), timeout=PATIENCE)
        await all_become(server, ids, "sent")
    kept = [row["text"] for row in await ask(server, "incoming", "--limit", "0")]
    assert len(kept) == len(set(kept)), "a repeated message was kept twice"
    assert sorted(text for phone in phones for text in texts(phone)) == sorted(f"out {n}" for n in range(12))
