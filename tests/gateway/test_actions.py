import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.gateway import actions
from fleet.gateway.actions import AmqpStarted, DeviceStatus, Incoming, Outgoing, Part, SendStatus
from fleet.gateway.form import File, Form, Malformed

COMMON = {"version": "30", "phone_number": "15550100"}
SMS = {"from": "+15550199", "message_type": "sms", "message": "hi", "timestamp": "1332460800000"}


def parse(action="outgoing", files=None, **fields):
    return actions.parse(Form({**COMMON, "action": action, **fields}, files or {}))


def incoming(files=None, **fields):
    return parse("incoming", files, **{**SMS, **fields})[1]


def mms(described, *files):
    said = described if isinstance(described, str) else json.dumps(described)
    return incoming({file.field: file for file in files}, message_type="mms", mms_parts=said)


def file(field, data=b"x", filename="?.png"):
    return File(field, filename, "image/png", data)


def test_a_phone_reports_how_it_is():
    report, action = parse(
        log="a\n", network="WIFI", send_limit="100", now="1795418765563", settings_version="7", battery="87", power="2"
    )
    assert report == actions.Report(30, "15550100", "a\n", "WIFI", 100, 1795418765563, 7, 87, 2)
    assert action == Outgoing()


def test_an_old_phone_reports_next_to_nothing():
    assert parse()[0] == actions.Report(30, "15550100", None, None, None, None, None, None, None)


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("battery", "101"), ("battery", "-1"), ("battery", ""), ("battery", "٣"), ("battery", "1_0"),
        ("power", "x"), ("power", "99999"), ("send_limit", "2147483648"), ("settings_version", "1.5"),
        ("settings_version", "9" * 5000), ("now_ms", "9223372036854775808"), ("now_ms", "-1"),
    ],
)  # fmt: skip
def test_an_odd_fact_is_as_good_as_none(field, said):
    report, _ = parse(**{"now" if field == "now_ms" else field: said})
    assert getattr(report, field) is None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"version": None}, "version"),
        ({"version": "3.0"}, "version"),
        ({"version": "99999999999"}, "version"),
        ({"phone_number": None}, "phone_number"),
        ({"action": None}, "action is missing"),
        ({"action": "da\nnce" * 99}, "unknown action"),
    ],
)
def test_a_request_without_its_essentials_is_malformed(changes, why):
    fields = {**COMMON, "action": "outgoing", **changes}
    with pytest.raises(Malformed, match=why) as problem:
        actions.parse(Form({name: value for name, value in fields.items() if value is not None}))
    assert len(str(problem.value).splitlines()) == 1


def test_a_fresh_install_has_an_empty_number():
    assert parse(phone_number="")[0].phone_number == ""


def test_an_sms_is_kept_as_it_came():
    text = "  line1\r\nline2\x01\t "
    assert incoming(message=text, age="11") == Incoming(
        "sms", "+15550199", text, 1332460800000, "1332460800000", 11, (), "", "in"
    )


def test_a_text_sent_by_hand_goes_the_other_way():
    _, action = parse("forward_sent", to="+15550188", message_type="sms", message="m", timestamp="1332460820000")
    assert (action.direction, action.other_party, action.text) == ("out", "+15550188", "m")


def test_a_hidden_caller_has_no_number():
    call = incoming(message_type="call", message="", **{"from": ""})
    assert (call.type, call.other_party, call.note) == ("call", "", "")


@pytest.mark.parametrize("said", ["0", "", "soon", "-5", "946684799999", "4102444800000", "9" * 400, "13324608e5"])
def test_an_impossible_time_is_no_time_but_is_remembered_as_said(said):
    message = incoming(timestamp=said)
    assert (message.timestamp_ms, message.timestamp_raw) == (None, said)


def test_the_first_and_last_possible_times_are_taken():
    assert incoming(timestamp="946684800000").timestamp_ms == 946684800000
    assert incoming(timestamp="4102444799999").timestamp_ms == 4102444799999


def test_an_sms_held_for_a_month_keeps_its_age():
    assert incoming(age=str(31 * 86_400_000)).age_ms == 31 * 86_400_000


def test_nul_becomes_the_replacement_character_everywhere():
    message = incoming(message="a\0b", timestamp="\0", **{"from": "\0"})
    assert (message.text, message.other_party, message.timestamp_raw) == ("a\ufffdb", "\ufffd", "\ufffd")
    report, status = parse("send_status", id="\0", log="\0", network="\0", phone_number="\0")
    assert (status.id, report.log, report.network, report.phone_number) == ("\ufffd",) * 4


def test_an_unknown_type_of_message_is_an_sms_with_a_note():
    message = incoming(message_type="rcs")
    assert message.type == "sms" and "rcs" in message.note


def test_a_message_without_any_field_of_its_own_is_kept():
    _, message = parse("incoming")
    assert (message.other_party, message.text, message.timestamp_ms) == ("", "", None)
    assert "no from" in message.note


def test_the_description_gives_a_part_its_real_name():
    described = [{"name": "part0", "cid": "<1>", "type": "image/png", "filename": "été.png"}]
    assert mms(described, file("part0")).parts == (Part("part0", "été.png", "<1>", "image/png", b"x", False),)


def test_a_part_without_file_name_or_cid_is_called_by_its_field():
    part = mms([{"name": "part0"}], file("part0")).parts[0]
    assert (part.name, part.cid, part.declared_type) == ("part0", "", "image/png")


def test_an_announced_part_that_did_not_come_is_missing():
    message = mms([{"name": "part0", "filename": "a.jpg"}])
    assert message.parts == (Part("part0", "a.jpg", "", "", None, True),)
    assert "missing" in message.note


def test_a_file_nobody_described_is_kept_under_its_field():
    message = mms([{"name": "part0"}], file("part1"), file("part0"))
    assert [(part.field, part.missing) for part in message.parts] == [("part0", False), ("part1", False)]
    assert "not described" in message.note


@pytest.mark.parametrize("said", ["", "{", "null", "{}", "7", '["part0", 1, null]', "[" * 100_000, "9" * 5000, '"\0"'])
def test_descriptions_nobody_can_read_leave_the_files(said):
    message = mms(said, file("part0", filename="a.png"))
    assert message.parts == (Part("part0", "a.png", "", "image/png", b"x", False),)
    assert "mms_parts" in message.note


def test_an_mms_without_parts_is_nothing_odd():
    message = mms([])
    assert (message.type, message.parts, message.note) == ("mms", (), "")


def test_odd_words_in_a_description_are_tamed():
    described = [{"name": 7, "filename": "a\0\ud800" + "b" * 999, "cid": None, "type": ["x"]}]
    part = mms(described, file("7")).parts[0]
    assert part.field == "7" and part.data == b"x"
    assert part.name.startswith("a\ufffd\ufffdb") and len(part.name) == 255
    assert (part.cid, part.declared_type) == ("", "image/png")


def test_endless_descriptions_are_cut():
    message = mms([{"name": "p"}] * 5000)
    assert len(message.parts) == 1000 and len(message.note) <= 255


def test_the_other_actions():
    assert parse("send_status", id="a1", status="sent", error="")[1] == SendStatus("a1", "sent", "")
    assert parse("send_status")[1] == SendStatus("", "", "")
    assert parse("device_status", status="battery_low")[1] == DeviceStatus("battery_low")
    assert parse("amqp_started", consumer_tag="t")[1] == AmqpStarted("t")
    assert parse("test")[1] == actions.Test()


names = st.sampled_from(
    ["action", "from", "to", "message", "message_type", "timestamp", "age", "mms_parts", "id", "battery", "now", "log"]
)
values = (
    st.text()
    | st.integers().map(str)
    | st.recursive(
        st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    ).map(json.dumps)
)


@given(st.dictionaries(names, values), st.sampled_from(sorted(actions.ACTIONS)), st.sets(st.text(max_size=6)))
def test_whatever_is_signed_is_understood_and_can_be_stored(fields, action, files):
    sent = {field: file(field) for field in files}
    report, said = actions.parse(Form({**COMMON, **fields, "action": action}, sent))
    assert report.version == 30
    if isinstance(said, Incoming):
        texts = [said.text, said.other_party, said.note, said.timestamp_raw]
        texts += [text for part in said.parts for text in (part.field, part.name, part.cid, part.declared_type)]
        assert all("\0" not in text and text.encode() is not None for text in texts)
        if "mms_parts" in fields:
            assert {part.field for part in said.parts} >= {field.replace("\0", "\ufffd") for field in files}
