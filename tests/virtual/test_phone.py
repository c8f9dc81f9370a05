"""A virtual phone over real HTTP, against a server that answers by script."""

import asyncio
import base64
import hashlib
import json
import socket

import pytest

from fleet.virtual.phone import VirtualPhone
from fleet.virtual.requests import Part
from tests.virtual.scripted_server import HANG_UP, XML, ScriptedServer, answer

NUMBER, PASSWORD = "+447700900001", "s3cret, & ü"
SENDER = "+12025550123"


@pytest.fixture
async def server():
    async with ScriptedServer() as server:
        yield server


@pytest.fixture
async def make_phone(server):
    phones = []

    def make(version=30, speed=1000, **options):
        options = {"number": NUMBER, "password": PASSWORD, "server_url": server.url, "seed": 1} | options
        phones.append(VirtualPhone(version=version, speed=speed, **options))
        return phones[-1]

    yield make
    for phone in phones:
        await phone.aclose()


@pytest.fixture
def phone(make_phone):
    return make_phone()


def events(*events):
    return answer(json.dumps({"events": events}))


def send(id, to=SENDER, message="hello", **more):
    return {"event": "send", "messages": [{"id": id, "to": to, "message": message, **more}]}


def signature(url, fields, password=PASSWORD):
    text = ",".join([url, *(f"{name}={fields[name]}" for name in sorted(fields)), password])
    return base64.b64encode(hashlib.sha1(text.encode()).digest()).decode()


def texts(phone):
    return [sms.text for sms in phone.radio.air]


# ── What it says ───────────────────────────────────────────────────────────────────────────────────


async def test_a_poll_is_signed_and_says_who_the_phone_is(phone, server):
    assert (await phone.poll()).status == 200
    [request] = server.requests
    assert request.line == "POST /gateway/ HTTP/1.1"
    assert request.headers["X-Request-Signature"] == signature(server.url, request.fields)
    assert request.headers["User-Agent"] == "EnvayaSMS/3.0.1 (Android; SDK 10; HTC; Wildfire S A510e)"
    assert "Accept-Encoding" not in request.headers
    assert request.fields["phone_number"] == NUMBER and request.fields["version"] == "30"


@pytest.mark.parametrize(
    "version, names",
    [
        (13, "action version phone_number"),
        (17, "action version phone_number log"),
        (18, "action version phone_number log network send_limit"),
        (
            30,
            "action version phone_number log network send_limit "
            "phone_id phone_token now settings_version battery power",
        ),
    ],
)
async def test_each_version_says_what_it_can(make_phone, server, version, names):
    server.usual = answer("<messages></messages>", content_type=XML)
    await make_phone(version).poll()
    assert set(server.requests[0].fields) == set(names.split())
    assert ("User-Agent" in server.requests[0].headers) == (version > 13)


async def test_battery_and_network_are_left_out_where_android_does_not_say(make_phone, server):
    await make_phone(battery=None, network="").poll()
    assert not {"battery", "power", "network"} & set(server.requests[0].fields)


async def test_the_raw_server_url_is_signed(make_phone, server):
    raw = server.url.removesuffix("/gateway/")
    await make_phone(server_url=raw).poll()
    assert server.requests[0].line == "POST / HTTP/1.1"
    assert server.requests[0].headers["X-Request-Signature"] == signature(raw, server.requests[0].fields)


async def test_a_null_text_is_signed_as_the_word_null_and_sent_empty(phone, server):
    await phone.send_by_hand(SENDER, None)
    [request] = server.requests
    assert request.fields["message"] == ""
    assert request.headers["X-Request-Signature"] == signature(server.url, request.fields | {"message": "null"})


async def test_half_a_surrogate_pair_arrives_as_a_question_mark(phone, server):
    await phone.receive_sms(SENDER, "a\ud83db")
    assert server.requests[0].fields["message"] == "a?b"


async def test_an_mms_is_multipart_with_ascii_file_names_and_the_real_ones_listed(phone, server):
    parts = [Part("application/smil", b"<smil/>", "smil.xml", "smil"), Part("image/png", b"\x89PNG\r\n", 'é".png')]
    await phone.receive_mms(SENDER, parts, "look")
    [request] = server.requests
    assert request.headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert b'name="part1"; filename="?".png"\r\nContent-Type: image/png\r\n' in request.body
    assert b'"filename":"\xc3\xa9\\".png","name":"part1","type":"image\\/png"}' in request.body
    assert b"\r\n\r\n\x89PNG\r\n\r\n--" in request.body


# ── Its log ────────────────────────────────────────────────────────────────────────────────────────


async def test_the_log_grows_until_a_request_succeeds(phone, server):
    server.script = [answer(status=500)]
    phone.log("first")
    await phone.poll()
    phone.log("second")
    await phone.poll()
    phone.log("third")
    await phone.poll()
    logs = [request.fields["log"] for request in server.requests]
    assert "first\n" in logs[1] and "second\n" in logs[1]
    assert "second" not in logs[2] and "third\n" in logs[2]


async def test_the_log_is_lost_with_a_failed_incoming(phone, server):
    server.script = [answer(status=500)]
    phone.log("precious")
    await phone.receive_sms(SENDER, "hello")
    await phone.poll()
    assert "precious" not in server.posted("outgoing")[0]["log"]


async def test_a_log_event_comes_back_in_the_next_log(phone, server):
    server.script = [events({"event": "log", "message": "hear me"})]
    await phone.poll()
    await phone.poll()
    assert "hear me\n" in server.requests[1].fields["log"]


async def test_the_text_of_a_refusal_is_shown_in_the_log(phone, server):
    server.script = [answer('{"error":{"message":"Wrong password"}}', status=403)]
    await phone.poll()
    await phone.poll()
    assert "Wrong password\n" in server.requests[1].fields["log"]


# ── Broken connections ─────────────────────────────────────────────────────────────────────────────


async def test_a_connection_closed_without_an_answer_is_met_with_identical_copies(phone, server):
    server.script = [HANG_UP, HANG_UP, HANG_UP]
    reply = await phone.receive_sms(SENDER, "hello")
    assert reply.ok and reply.copies == 4
    assert len({request.raw for request in server.requests}) == 1


async def test_after_the_fourth_copy_it_gives_up_and_retries_later(phone, server):
    server.script = [HANG_UP] * 4
    reply = await phone.receive_sms(SENDER, "hello")
    assert reply.status is None and len(server.requests) == 4
    await phone.until(lambda: not phone.kept)
    assert len(server.requests) == 5
    assert server.requests[4].fields["timestamp"] == server.requests[0].fields["timestamp"]


async def test_a_server_that_is_not_there_is_a_plain_failure(make_phone):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        assert (await make_phone(server_url=url).poll()).status is None


async def test_at_most_two_connections_are_open(phone, server):
    server.gate.clear()
    posts = asyncio.gather(*(phone.receive_sms(SENDER, f"text {n}") for n in range(6)))
    await phone.until(lambda: len(server.requests) == 2)
    server.gate.set()
    await posts
    assert server.most_open == 2 and len(server.requests) == 6


async def test_ticks_during_a_poll_cause_exactly_one_more_poll_right_after(phone, server):
    server.gate.clear()
    first = asyncio.create_task(phone.poll())
    await phone.until(lambda: server.requests)
    for _ in range(3):
        assert await phone.poll() is None
    assert len(server.requests) == 1
    server.gate.set()
    await first
    assert len(server.requests) == 2


async def test_a_status_is_posted_once_even_if_the_server_fails(phone, server):
    server.script = [events(send("a")), answer(status=500)]
    await phone.poll()
    await phone.rest()
    await phone.poll()
    assert [post["status"] for post in server.posted("send_status")] == ["sent"]


async def test_an_incoming_message_is_retried_when_the_network_is_back(make_phone, server):
    phone = make_phone(speed=1)
    phone.disconnect()
    assert not (await phone.receive_sms(SENDER, "hello")).ok and not server.requests
    phone.connect("MOBILE")
    await phone.until(lambda: not phone.kept)
    assert server.posted("incoming")[0]["message"] == "hello"
    assert server.posted("incoming")[0]["network"] == "MOBILE"


async def test_a_redirect_loses_the_message_and_is_complained_about(phone, server):
    server.script = [answer(status=302, headers="Location: /elsewhere\r\n")]
    reply = await phone.receive_sms(SENDER, "hello")
    assert reply.ok and server.requests[1].line == "GET /elsewhere HTTP/1.1" and not server.requests[1].body
    assert "redirect" in phone.complaints[0]


# ── What it does with an answer ────────────────────────────────────────────────────────────────────


async def test_it_sends_what_a_poll_brings_and_reports_it(phone, server):
    server.script = [events(send("a", message="hi"), send("b", message="ho"))]
    await phone.poll()
    await phone.rest()
    assert sorted(texts(phone)) == ["hi", "ho"]
    assert {(post["id"], post["status"], post["error"]) for post in server.posted("send_status")} == {
        ("a", "sent", ""),
        ("b", "sent", ""),
    }
    assert not phone.complaints


async def test_a_reply_without_destination_goes_back_to_the_sender(phone, server):
    server.script = [events({"event": "send", "messages": [{"id": "a", "message": "thanks"}]})]
    await phone.receive_sms(SENDER, "hello")
    await phone.rest()
    assert phone.radio.air[0].to == SENDER


async def test_without_destination_anything_else_is_dropped_in_silence(phone, server):
    server.script = [events({"event": "send", "messages": [{"id": "a", "message": "lost"}]})]
    await phone.poll()
    await phone.rest()
    assert not phone.radio.air and not server.posted("send_status") and phone.complaints


async def test_events_ride_on_every_answer_but_that_to_a_test(phone, server):
    server.script = [events(send("never")), events(send("a"))]
    await phone.test()
    await phone.device_status("battery_low")
    await phone.rest()
    assert [sms.id for sms in phone.radio.air] == ["a"]


async def test_one_broken_event_stops_those_behind_it(phone, server):
    server.script = [events(send("a"), {"event": "send"}, send("b"))]
    await phone.poll()
    await phone.rest()
    assert [sms.id for sms in phone.radio.air] == ["a"] and phone.complaints


async def test_a_cancel_may_ride_on_the_answer_to_a_status(phone, server):
    phone.radio.plan("lost", "lost")
    server.script = [events(send("x"), send("y"), send("waits")), events({"event": "cancel", "id": "waits"})]
    await phone.poll()
    await phone.device_status("power_connected")
    await phone.until(lambda: server.posted("send_status"))
    assert server.posted("send_status")[0] | {"log": ""} == server.posted("send_status")[0] | {
        "id": "waits",
        "status": "cancelled",
        "log": "",
    }


async def test_cancel_all_removes_one_and_loses_the_rest_of_the_answer(phone, server):
    phone.radio.plan("lost", "lost")
    server.script = [
        events(send("x"), send("y"), send("a"), send("b")),
        events({"event": "cancel_all"}, send("c")),
    ]
    await phone.poll()
    await phone.poll()
    assert [sms.id for sms in phone.outbox.waiting] == ["b"]


async def test_new_settings_hold_from_the_very_next_request(phone, server):
    new_url = server.url + "new/"
    change = {"server_url": new_url, "password": "other", "settings_version": 7}
    server.script = [events({"event": "settings", "settings": change})]
    await phone.poll()
    await phone.poll()
    request = server.requests[1]
    assert request.line == "POST /gateway/new/ HTTP/1.1"
    assert request.headers["X-Request-Signature"] == signature(new_url, request.fields, "other")
    assert request.fields["settings_version"] == "7"
    assert "Checking for outgoing messages every 10 sec" in request.fields["log"]


async def test_a_settings_event_restarts_the_poll_timer(make_phone, server):
    phone = make_phone(speed=1, interval=3600)
    server.script = [events({"event": "settings", "settings": {"settings_version": 1}})]
    run = asyncio.create_task(phone.run())
    await phone.until(lambda: len(server.requests) == 2)
    run.cancel()


async def test_no_interval_means_no_polls(make_phone, server):
    phone = make_phone(speed=1, interval=0)
    run = asyncio.create_task(phone.run())
    await phone.test()
    run.cancel()
    assert not server.posted("outgoing")


@pytest.mark.parametrize("value", [{"password": 12}, {"outgoing_interval": "30"}, {"settings_version": 2**31}])
async def test_a_setting_of_the_wrong_type_breaks_the_phone(phone, server, value):
    server.script = [events({"event": "settings", "settings": value})]
    await phone.poll()
    assert phone.crashed and not (await phone.poll()).ok and len(server.requests) == 1


async def test_a_boolean_in_quotes_switches_the_app_off(phone, server):
    server.script = [events({"event": "settings", "settings": {"enabled": "true"}})]
    await phone.poll()
    assert phone.settings.enabled is False and phone.complaints


@pytest.mark.parametrize(
    "reply",
    [
        answer("<messages></messages>", content_type="text/html"),
        answer("[]"),
        answer("\ufeff{}"),
        answer(status=204),
        answer(status=201),
    ],
    ids=["type", "list", "bom", "204", "201"],
)
async def test_an_answer_it_cannot_digest_is_no_success_for_a_poll(phone, server, reply):
    server.script = [reply]
    assert not (await phone.poll()).ok


async def test_version_30_takes_any_200_as_received(phone, server):
    server.script = [answer("gibberish")]
    await phone.receive_sms(SENDER, "hello")
    assert not phone.kept and phone.complaints


# ── XML ────────────────────────────────────────────────────────────────────────────────────────────


def xml(*messages):
    return answer(f"<?xml version='1.0' encoding='UTF-8'?><messages>{''.join(messages)}</messages>", content_type=XML)


@pytest.mark.parametrize("version", [13, 17, 18])
async def test_old_versions_send_what_xml_brings(make_phone, server, version):
    phone = make_phone(version)
    server.script = [xml(f'<sms id="1" to="{SENDER}" priority="2">a &amp; b &lt;é😀</sms>')]
    server.usual = xml()
    await phone.poll()
    await phone.rest()
    assert texts(phone) == ["a & b <é😀"] and not phone.complaints
    assert server.posted("send_status")[0]["status"] == "sent"


@pytest.mark.parametrize("between", ["\n", "<!-- comment -->"])
async def test_white_space_between_messages_loses_the_whole_answer(make_phone, server, between):
    phone = make_phone(18)
    server.script = [xml(f'<sms id="1" to="{SENDER}">a</sms>', between)]
    assert not (await phone.poll()).ok and not phone.outbox.in_radio and phone.complaints


async def test_a_reference_beyond_the_basic_plane_puts_null_into_the_text(make_phone, server):
    phone = make_phone(17)
    server.script = [xml(f'<sms id="1" to="{SENDER}">&#128512; &nbsp; &#233;</sms>')]
    server.usual = xml()
    await phone.poll()
    await phone.rest()
    assert texts(phone) == ["null null é"] and len(phone.complaints) == 2


async def test_an_old_version_resends_what_was_answered_in_no_xml(make_phone, server):
    phone = make_phone(18)
    server.script = [answer("{}")]
    server.usual = xml()
    assert not (await phone.receive_sms(SENDER, "hello")).ok
    await phone.until(lambda: not phone.kept)
    first, second = server.posted("incoming")
    assert first["timestamp"] == second["timestamp"] and int(second["age"]) > int(first["age"])


async def test_old_versions_do_not_read_the_answer_to_a_status(make_phone, server):
    phone = make_phone(18)
    server.script = [xml(f'<sms id="1" to="{SENDER}">a</sms>')]
    await phone.device_status("battery_low")
    assert not phone.outbox.in_radio


# ── Restarts ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_restart_shows_in_the_log_and_starts_polling_anew(make_phone, server):
    phone = make_phone(speed=1, interval=3600)
    run = asyncio.create_task(phone.run())
    await phone.until(lambda: len(server.requests) == 1)
    await phone.rest()
    phone.restart()
    await phone.until(lambda: len(server.requests) == 2)
    assert "Checking for outgoing messages every 3600 sec" in server.requests[1].fields["log"]
    run.cancel()


async def test_a_restart_forwards_again_what_was_kept(make_phone, server):
    phone = make_phone(speed=1)
    server.script = [answer(status=500)]
    await phone.receive_sms(SENDER, "hello")
    phone.restart()
    await phone.until(lambda: not phone.kept)
    assert len(server.posted("incoming")) == 2
