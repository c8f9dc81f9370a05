"""What the endpoint refuses, and how; and what it keeps though it is odd. All over a socket."""

import asyncio
import json
from urllib.parse import quote

import pytest

from tests.gateway.client import APP_2, APP_3, FORM, PATIENCE, Caller, at_once, connection, exchange, raw, read_reply

MB = 1024 * 1024
SENDER = "+12025550123"


@pytest.fixture(scope="module")
def phone(gateway):
    """A phone that nothing here ever signs in as properly: whatever it learns is a bug."""
    gateway.manage("phone", "add", "+4915780000001", "--password", "never said, naïve")
    return Caller("+4915780000001", "never said, naïve")


def unread(body, **headers):
    """A body that gets nobody as far as a signature."""
    return lambda phone: raw(body, **({"User_Agent": APP_3, "X_Request_Signature": "x" * 28} | headers))


def unsigned(signature):
    return lambda phone: phone.request("outgoing", headers={"X_Request_Signature": signature})


def of(number, password="x"):
    return lambda phone: Caller(phone.number if number is None else number, password, phone.url).request("test")


def well_signed(action="outgoing", **fields):
    return lambda phone: phone.request(action, **fields)


def as_multipart(body):
    return unread(body, Content_Type="multipart/form-data; boundary=limit")


FIELD = b'--limit\r\nContent-Disposition: form-data; name="version"\r\n\r\n30'
NAMELESS = b"--limit\r\nContent-Type: text/plain\r\n\r\n30\r\n--limit--\r\n"
# name → (request of the phone, status, what the error says)
BAD = {
    "no signature": (unsigned(None), 403, "signature"),
    "an empty signature": (unsigned(""), 403, "signature"),
    "a signature of no ASCII": (unsigned("\xe9" * 28), 403, "signature"),
    "a wrong password": (of(None), 403, "signature"),
    "an unknown number": (of("+100"), 403, "not registered"),
    "an empty number": (of(""), 403, "not registered"),
    "a number with a zero byte": (of("+1\x00"), 403, "not registered"),
    "a number of great length": (of("1" * 5000), 403, "not registered"),
    "no number": (well_signed(phone_number=None), 400, "phone_number"),
    "no action": (well_signed(None), 400, "action is missing"),
    "an unknown action": (well_signed("explode\r\n<b>"), 400, "unknown action"),
    "no version": (well_signed(version=None), 400, "version"),
    "a version that is no number": (well_signed(version="3.0"), 400, "version"),
    "a version too large": (well_signed(version="9" * 30), 400, "version"),
    "a field that comes twice": (unread(b"version=30&version=30&phone_number=1"), 400, "twice"),
    "text that is not UTF-8": (unread(b"version=30&phone_number=%ff&action=test"), 400, "UTF-8"),
    "bytes that are not UTF-8": (unread(b"version=30&phone_number=\xc3\x28"), 400, "UTF-8"),
    "an empty body": (unread(b""), 400, "version"),
    "a zero byte": (unread(b"\x00"), 400, "version"),
    "thousands of fields": (unread(b"&".join(b"f%d=" % n for n in range(5000))), 400, "fields"),
    "JSON": (unread(b"{}", Content_Type="application/json"), 400, "is no form"),
    "no content type": (unread(b"version=30", Content_Type=None), 400, "content type"),
    "a multipart form without boundary": (unread(b"x", Content_Type="multipart/form-data"), 400, "boundary"),
    "a broken multipart form": (as_multipart(b"--limit\r\nrubbish"), 400, "multipart"),
    "a multipart form that ends early": (as_multipart(FIELD), 400, "ends too early"),
    "a part without a name": (as_multipart(NAMELESS), 400, "no name"),
}
every_bad = pytest.mark.parametrize("name", BAD)


@every_bad
async def test_bad_input_is_refused_with_a_line_that_explains_it(gateway, phone, name):
    build, status, says = BAD[name]
    reply = await exchange(gateway, build(phone))
    assert reply.status == status
    assert says in reply.error and "\n" not in reply.error


def test_what_is_refused_changes_nothing_but_the_sign_in_problems(gateway, phone):
    def all_there_is():
        return [gateway.json(*words) for words in (("phone", "list"), ("incoming",), ("messages",))]

    before = all_there_is()
    requests = [build(phone) for build, _, _ in BAD.values()]
    asyncio.run(all_of(gateway, requests))
    assert all_there_is() == before
    [seen] = [row for row in before[0] if row["number"] == phone.number]
    assert (seen["state"], seen["version"]) == ("never_seen", None)


async def all_of(server, requests):
    return await at_once(server, *requests)


async def test_a_refusal_is_in_the_dialect_the_form_names(gateway, phone):
    for version, kind in ((13, "text/xml"), (18, "text/xml"), (27, "text/xml"), (28, "application/json")):
        reply = await exchange(
            gateway, phone.request("test", version=str(version), headers={"X_Request_Signature": "x"})
        )
        assert (reply.status, reply.content_type) == (403, kind)
        assert reply.error.startswith("Invalid signature")


async def test_where_the_form_cannot_be_read_the_dialect_is_that_of_the_app_in_the_user_agent(gateway):
    for agent, kind in ((APP_3, "application/json"), (APP_2, "text/xml"), (None, "text/xml"), ("curl/8", "text/xml")):
        reply = await exchange(gateway, unread(b"%ff", User_Agent=agent)(None))
        assert (reply.status, reply.content_type) == (400, kind)
        assert "UTF-8" in reply.error


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("path", ["/gateway/", "/gateway", "/gateway/?a=b"])
async def test_whoever_does_not_post_gets_a_page_that_helps(gateway, method, path):
    reply = await exchange(gateway, raw(method=method, path=path), answer_to=method)
    assert (reply.status, reply.headers["allow"]) == (405, "POST")
    assert method == "HEAD" or b"server URL" in reply.body


# ── Too large ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("agent, kind", [(APP_3, "application/json"), (APP_2, "text/xml")])
async def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(gateway, agent, kind):
    reply = await exchange(gateway, raw(Content_Length=32 * MB + 1, User_Agent=agent))
    assert (reply.status, reply.content_type) == (413, kind)
    assert "32 MB" in reply.error


async def test_a_client_that_writes_a_too_large_body_to_its_end_still_reads_why(gateway):
    """The app writes all before it reads."""
    async with connection(gateway) as (reader, writer):
        writer.write(raw(b"a" * (40 * MB), User_Agent=APP_3))
        await writer.drain()
        assert (await read_reply(reader)).status == 413


async def test_a_body_in_chunks_is_refused_as_soon_as_it_is_too_large(gateway):
    async with connection(gateway) as (reader, writer):
        writer.write(raw(Content_Length=None, Transfer_Encoding="chunked", User_Agent=APP_3))
        chunk = b"%x\r\n" % MB + b"a" * MB + b"\r\n"
        reply = asyncio.ensure_future(read_reply(reader))
        sent = 0
        try:
            while not reply.done() and sent < 64:
                writer.write(chunk)
                sent += 1
                await writer.drain()
        except ConnectionError:
            pass
        reply = await reply
        assert (reply.status, reply.content_type) == (413, "application/json")
        assert sent < 64, "it was read to its end"


async def test_a_large_body_within_the_limit_is_read(gateway, new_caller):
    phone = new_caller(gateway)
    request = phone.multipart(
        [("part0", "film.3gp", "video/3gpp", b"\x00" * (20 * MB))],
        **{"from": SENDER, "message": "", "timestamp": "1332460800000"},
        mms_parts=json.dumps([{"name": "part0", "cid": "<0>", "type": "video/3gpp", "filename": "film.3gp"}]),
    )
    assert (await exchange(gateway, request)).status == 200
    [row] = [row for row in gateway.json("incoming") if row["phone"] == phone.number]
    assert [(part["name"], part["size"]) for part in row["parts"]] == [("film.3gp", 20 * MB)]


# ── Signed, but odd ────────────────────────────────────────────────────────────────────────────────

SMS = {"from_": SENDER, "message_type": "sms", "message": "hello", "timestamp": "1332460800000"}
MMS = {"from_": SENDER, "message_type": "mms", "message": "", "timestamp": "1332460800000"}
# name → (fields of an incoming message, what must be kept of it)
ODD = {
    "zero bytes in the text": (SMS | {"message": "a\x00b"}, {"text": "a\ufffdb"}),
    "a timestamp that is no number": (SMS | {"timestamp": "yesterday"}, {"text": "hello"}),
    "a timestamp before 2000": (SMS | {"timestamp": "0"}, {"text": "hello"}),
    "a timestamp far ahead": (SMS | {"timestamp": "9" * 17}, {"text": "hello"}),
    "a timestamp beyond all numbers": (SMS | {"timestamp": "9" * 60}, {"text": "hello"}),
    "no timestamp": (SMS | {"timestamp": None}, {"text": "hello"}),
    "no sender": (SMS | {"from_": None}, {"from": ""}),
    "a hidden caller": (SMS | {"from_": "", "message_type": "call", "message": ""}, {"type": "call", "from": ""}),
    "a sender of great length": (SMS | {"from_": "9" * 3000}, {"text": "hello"}),
    "an unknown type": (SMS | {"message_type": "fax"}, {"type": "sms", "text": "hello"}),
    "no text": (SMS | {"message": None}, {"text": ""}),
    "parts that are not JSON": (MMS | {"mms_parts": "[{"}, {"type": "mms", "parts": []}),
    "parts nested beyond measure": (MMS | {"mms_parts": "[" * 100_000}, {"type": "mms", "parts": []}),
    "parts that are no list": (MMS | {"mms_parts": '{"name": "part0"}'}, {"type": "mms", "parts": []}),
    "parts that are not there": (
        MMS | {"mms_parts": '[{"name": "part0", "filename": "a\\u0000b.jpg", "cid": null, "type": 7}, 5]'},
        {"type": "mms", "parts": [{"name": "a\ufffdb.jpg", "type": "7", "size": 0, "sha256": ""}]}),
    "half a character in a part's name": (
        MMS | {"mms_parts": '[{"name": "part0", "filename": "\\ud83d"}]'},
        {"parts": [{"name": "\ufffd", "type": "", "size": 0, "sha256": ""}]}),
    "an age beyond all numbers": (SMS | {"age": "9" * 60}, {"text": "hello"}),
    "facts that are no facts": (
        SMS | {"battery": "full", "power": "-1", "network": "x" * 500, "send_limit": "many", "now": "soon"},
        {"text": "hello"}),
    "facts out of range": (
        SMS | {"battery": "101", "power": "99999", "send_limit": str(2**31), "settings_version": str(-(2**31))},
        {"text": "hello"}),
    "zero bytes everywhere": (SMS | {"log": "\x00", "network": "\x00", "from_": "\x00"}, {"from": "\ufffd"}),
    "a clock at the end of time": (SMS | {"now": str(2**62)}, {"text": "hello"}),
    "fields nobody knows": (SMS | {"surprise": "yes", "": "nameless"}, {"text": "hello"}),
}  # fmt: skip


async def test_what_is_signed_but_odd_is_kept_and_answered_200(gateway, new_caller):
    phones = {name: new_caller(gateway) for name in ODD}
    replies = await at_once(gateway, *(phones[name].request("incoming", **fields) for name, (fields, _) in ODD.items()))
    assert {name: reply.status for name, reply in zip(ODD, replies, strict=True)} == dict.fromkeys(ODD, 200)
    rows = {row["phone"]: row for row in gateway.json("incoming", "--limit", "0")}
    for name, (_, kept) in ODD.items():
        row = rows[phones[name].number]
        assert {key: row[key] for key in kept} == kept, name


async def test_files_that_nobody_described_are_kept_under_the_name_of_their_field(gateway, new_caller):
    phone = new_caller(gateway)
    files = [("part7", "", "image/png", b"\x89PNG\r\n\x1a\n..."), ("other", 'a"b.txt', "text/plain", b"hi")]
    reply = await exchange(
        gateway, phone.multipart(files, **{"from": SENDER, "message": "", "timestamp": "1332460800001"})
    )
    assert reply.status == 200
    [row] = [row for row in gateway.json("incoming") if row["phone"] == phone.number]
    assert [(p["name"], p["type"]) for p in row["parts"]] == [("part7", "image/png"), ('a"b.txt', "text/plain")]


@pytest.mark.parametrize(
    "action, fields",
    [
        ("send_status", {"id": "nobody", "status": "sent", "error": ""}),
        ("send_status", {}),
        ("send_status", {"id": "\x00" * 600, "status": "\x00", "error": "\x00" * 600}),
        ("device_status", {}),
        ("device_status", {"status": "on_fire"}),
        ("amqp_started", {}),
        ("forward_sent", {}),
        ("incoming", {}),
        ("test", {"log": "x" * 300_000}),
        ("test", {"log": quote("\x00" * 1000)}),
    ],
)
async def test_signed_reports_that_make_no_sense_are_answered_200(gateway, new_caller, action, fields):
    assert (await exchange(gateway, new_caller(gateway).request(action, **fields))).status == 200


async def test_two_copies_at_different_times_are_one_message_and_two_timestamps_are_two(gateway, new_caller):
    phone = new_caller(gateway)
    later = SMS | {"timestamp": "1332460800001"}
    for fields in (SMS, SMS, later, later):
        assert (await exchange(gateway, phone.request("incoming", **fields))).status == 200
    assert len([row for row in gateway.json("incoming") if row["phone"] == phone.number]) == 2


async def test_a_phone_never_touches_the_message_of_another(gateway, new_caller):
    own, other = new_caller(gateway), new_caller(gateway)
    wanted = gateway.json("send", SENDER, "mine", "--phone", own.number)["id"]
    [(wire_id, _, _)] = await poll_until_work(gateway, own)
    for status in ("sent", "failed", "cancelled"):
        request = other.request("send_status", id=wire_id, status=status, error="")
        assert (await exchange(gateway, request)).status == 200
    [message] = [row for row in gateway.json("messages") if row["id"] == wanted]
    assert (message["state"], [a["state"] for a in message["attempts"]]) == ("sending", ["handed"])
    await exchange(gateway, own.request("send_status", id=wire_id, status="sent", error=""))
    [message] = [row for row in gateway.json("messages") if row["id"] == wanted]
    assert message["state"] == "sent"


async def poll_until_work(server, phone):
    async with asyncio.timeout(PATIENCE):
        while True:
            if messages := (await exchange(server, phone.request("outgoing"))).messages:
                return messages


# ── Sign-in problems ───────────────────────────────────────────────────────────────────────────────


async def test_sign_in_problems_have_their_cause_and_never_a_password(gateway, new_caller):
    phone = new_caller(gateway)
    stranger = Caller("+4911", "the stranger's own secret", phone.url)
    for request in (
        Caller(phone.number, "a wrong secret", phone.url).request("test"),
        stranger.request("test"),
        Caller(phone.number, phone.password, phone.url.rstrip("/")).request("test"),
        phone.request("dance"),
    ):
        assert (await exchange(gateway, request)).status in (400, 403)
    problems = gateway.json("problems", "--limit", "0")
    found = {row["cause"]: row for row in problems if row["phone_number"] in (phone.number, "+4911")}
    assert set(found) == {"wrong_password", "unknown_number", "other_url", "malformed"}
    assert found["unknown_number"]["phone_number"] == "+4911"
    assert phone.url.rstrip("/") + " " in found["other_url"]["detail"] and phone.url in found["other_url"]["detail"]
    for secret in (phone.password, stranger.password, "a wrong secret"):
        assert secret not in str(problems) and secret not in gateway.log()


@pytest.mark.parametrize(
    "path", ["/", "/gateway/x", "/gateway//", "/sms/index.php?site=3", "//gateway/", "/%67ateway/x"]
)
async def test_a_phone_that_posts_to_another_path_is_told_the_right_server_url(gateway, new_caller, path):
    host = "sms.example.net"
    lost = new_caller(gateway, url=f"http://{host}{path}")
    reply = await exchange(gateway, lost.request("incoming", path=path, headers={"Host": host}, **SMS))
    assert reply.status == 403
    assert gateway.env["FLEET_PUBLIC_URLS"].split(",")[0] in reply.error
    [problem] = [row for row in gateway.json("problems") if row["phone_number"] == lost.number]
    assert (problem["cause"], "other path" in problem["detail"]) == ("other_url", True)
    assert not [row for row in gateway.json("incoming") if row["phone"] == lost.number]


async def test_nobody_tells_the_server_under_which_path_it_is(gateway, new_caller):
    phone = new_caller(gateway)
    for value in ("/elsewhere", "\xff"):
        reply = await exchange(gateway, phone.request("test", headers={"Daphne_Root_Path": value}))
        assert reply.status == 200


async def test_a_page_of_the_browser_that_posts_is_none_of_the_gateways_business(gateway):
    reply = await exchange(gateway, raw(b"a=b", path="/", Content_Type=FORM))
    assert reply.status == 403 and "html" in reply.content_type
