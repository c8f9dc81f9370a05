import json
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.gateway import wire
from fleet.gateway.events import Cancel, Log, OutMessage, Send, Settings

anything = st.text(st.characters(exclude_categories=()))
DECLARED = "<?xml version='1.0' encoding='UTF-8'?>"


def send(*messages):
    return Send(tuple(messages))


def xml(*events):
    content_type, body = wire.answer(18, events)
    assert content_type == b"text/xml"
    return body.decode()


def events(version, *said):
    content_type, body = wire.answer(version, said)
    assert content_type == b"application/json"
    return json.loads(body)["events"]


def test_a_new_phone_gets_json():
    assert wire.answer(30, [send(OutMessage("a1", "+1555", "hé 😀", 3)), Cancel("a0"), Log("x")]) == (
        b"application/json",
        rb'{"events":[{"event":"send","messages":['
        rb'{"id":"a1","to":"+1555","message":"h\u00e9 \ud83d\ude00","priority":3}]},'
        rb'{"event":"cancel","id":"a0"},{"event":"log","message":"x"}]}',
    )


def test_nothing_to_say_is_said_in_both_dialects():
    assert wire.answer(30, []) == (b"application/json", b'{"events":[]}')
    assert wire.answer(18, []) == (b"text/xml", f"{DECLARED}<messages></messages>".encode())


def test_an_old_phone_gets_its_messages_as_xml_without_a_blank_between():
    both = send(OutMessage("a1", "+1555", "one", 3)), send(OutMessage("a2", "+1556", "two"))
    assert xml(*both) == (
        f'{DECLARED}<messages><sms id="a1" to="+1555" priority="3">one</sms>'
        '<sms id="a2" to="+1556" priority="0">two</sms></messages>'
    )


def test_the_five_named_entities_and_nothing_else():
    body = xml(send(OutMessage("1", "\"'<", "<b>&amp; \"'😀é\u00a0")))
    assert 'to="&quot;&apos;&lt;"' in body
    assert "&lt;b&gt;&amp;amp; &quot;&apos;😀é\u00a0</sms>" in body
    assert "&#" not in body


def test_line_ends_become_line_feeds_in_xml():
    assert ">a\nb\nc\n</sms>" in xml(send(OutMessage("1", "2", "a\r\nb\rc\n")))


def test_what_xml_forbids_is_removed():
    assert ">abc\td</sms>" in xml(send(OutMessage("1", "2", "a\0b\x1bc\td\ufffe\uffff")))


def test_only_sending_exists_in_xml():
    assert xml(Cancel("1"), Log("x"), Settings({"enabled": True})) == f"{DECLARED}<messages></messages>"


@pytest.mark.parametrize("version", [28, 30])
def test_a_message_without_id_is_never_said(version):
    assert events(version, send(OutMessage("", "1", "x")), Cancel("")) == []
    assert "<sms" not in xml(send(OutMessage("", "1", "x")))


def test_settings_came_with_version_29():
    pushed = Settings({"settings_version": 3, "enabled": True, "password": "p"})
    assert events(28, pushed, Log("x")) == [{"event": "log", "message": "x"}]
    assert events(29, pushed) == [{"event": "settings", "settings": pushed.values}]


@pytest.mark.parametrize(
    "values",
    [
        {"enabled": "true"}, {"enabled": 1}, {"password": 5}, {"outgoing_interval": 2**31}, {"amqp_port": True},
        {"colour": ""},
    ],
)  # fmt: skip
def test_settings_that_would_break_the_app_cannot_be_made(values):
    with pytest.raises(ValueError, match="setting"):
        Settings(values)


def test_a_refusal_is_readable_in_both_dialects():
    assert wire.error(30, "no <such> phone") == (b"application/json", b'{"error":{"message":"no <such> phone"}}')
    body = f"{DECLARED}<response><error>no &lt;such&gt; phone</error></response>"
    assert wire.error(13, "no <such> phone") == (b"text/xml", body.encode())


@pytest.mark.parametrize(
    ("user_agent", "version"),
    [
        ("EnvayaSMS/3.0.1 (Android; SDK 10; HTC; Wildfire S A510e)", 30),
        (b"EnvayaSMS/3.0.1 (\xff)", 30),
        ("EnvayaSMS/2.0.5", 13),
        ("curl/8", 13),
        ("", 13),
        (None, 13),
    ],
)
def test_a_phone_is_guessed_by_its_user_agent(user_agent, version):
    assert wire.dialect_of_user_agent(user_agent) == version


def test_halves_of_a_character_are_joined_or_replaced():
    pair, half = "\ud83d\ude00", "\ud83d"
    assert events(30, Log(pair + half)) == [{"event": "log", "message": "😀\ufffd"}]
    assert ">😀\ufffd</sms>" in xml(send(OutMessage("1", "2", pair + half)))


@given(anything, anything)
def test_any_text_gives_xml_that_parses_to_one_flat_list(to, text):
    root = ElementTree.fromstring(xml(send(OutMessage("1", to, text), OutMessage("2", to, text))).encode())
    assert [sms.get("id") for sms in root] == ["1", "2"]
    assert root.text is None and all(sms.tail is None and len(sms) == 0 for sms in root)
    lines = wire._whole(text).replace("\r\n", "\n").replace("\r", "\n")
    assert (root[0].text or "") == wire.FORBIDDEN_IN_XML.sub("", lines)


@given(anything, st.sampled_from([13, 30]))
def test_any_text_can_be_a_refusal(text, version):
    content_type, body = wire.error(version, text)
    if content_type == wire.JSON:
        assert json.loads(body)["error"]["message"] == wire._whole(text)
    else:
        assert ElementTree.fromstring(body).find("error") is not None


@given(anything, anything)
def test_any_text_survives_json(to, text):
    (event,) = events(30, send(OutMessage("1", to, text)))
    assert event["messages"] == [{"id": "1", "to": wire._whole(to), "message": wire._whole(text), "priority": 0}]
