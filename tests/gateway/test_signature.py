import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.gateway.signature import candidates, diagnose, matches, sign

URL = "http://192.168.70.1:3000/sg/kalsms"
POLL = {"action": "outgoing", "version": "2", "phone_number": "16505551212"}
KNOWN = [
    (POLL, "139CL71b7r1Zw/E2wcccWFviSlg="),
    (
        {
            "id": "1536", "status": "sent", "error": "", "action": "send_status", "version": "2",
            "phone_number": "16505551212",
        },
        "6uJtI6+QqlVBbUsR4T0WsQomods=",
    ),
    (
        {
            "from": "6505551234", "message_type": "sms", "message": "test", "version": "2",
            "phone_number": "16505551212", "action": "incoming",
        },
        "sAemG31uRllk/K9xck2WRNaF/WI=",
    ),
]  # fmt: skip
# Hypothesis leaves surrogates out of texts unless asked.
anything = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(("fields", "signature"), KNOWN, ids=["outgoing", "send_status", "incoming"])
def test_the_published_answers_hold(fields, signature):
    assert sign(URL, fields, "foobar") == signature
    assert matches(signature, URL, fields, "foobar")


def test_the_order_of_fields_does_not_matter():
    assert sign(URL, dict(reversed(POLL.items())), "foobar") == KNOWN[0][1]


@pytest.mark.parametrize("around", ["{} ", " {}", "\t{}\r\n"])
def test_white_space_around_the_header_does_not_matter(around):
    assert matches(around.format(KNOWN[0][1]), URL, POLL, "foobar")


@pytest.mark.parametrize("header", [None, "", b"", " ", "é", "\udcff", KNOWN[0][1][:-1], KNOWN[0][1] + "%0A"])
def test_any_other_header_does_not_match(header):
    assert not matches(header, URL, POLL, "foobar")


@given(anything, st.dictionaries(anything, anything, max_size=5), anything)
def test_any_text_can_be_signed_and_matches_itself_only(url, fields, password):
    signature = sign(url, fields, password)
    assert matches(signature, url, fields, password)
    assert matches(signature.encode(), url, fields, password)
    assert not matches(signature, url, fields, password + "x")


@given(anything | st.binary() | st.none(), anything, anything, st.binary(), st.binary())
def test_a_stranger_cannot_make_it_raise(header, text, host, path, query):
    assert not matches(header, text, {text: text}, text)
    assert diagnose(header, {text: text}, [text], [text], "http", host, path, query) is None


def test_public_urls_are_taken_verbatim_and_first():
    typed = "HTTPS://SMS.example.org:443/Gateway"
    assert candidates([typed], "http", "10.0.0.1:8000", b"/gateway/", b"a=%20b")[:2] == [
        typed,
        "http://10.0.0.1:8000/gateway/?a=%20b",
    ]


def test_a_url_typed_without_path_arrives_as_a_slash():
    assert {"http://h:8000", "http://h:8000/"} <= set(candidates([], "http", "h:8000", "/"))


def test_a_bare_question_mark_cannot_be_seen_and_is_taken():
    assert candidates([], "http", "h", "/g/") == ["http://h/g/", "http://h/g/?"]


PUBLIC = "https://sms.example.org/gateway/"


@pytest.mark.parametrize(
    ("typed", "difference"),
    [
        ("http://sms.example.org/gateway/", "other scheme"),
        ("https://sms.example.org/gateway", "without trailing slash"),
        ("https://sms.example.org:443/gateway/", "with port 443"),
        ("https://sms.example.org", "without path"),
        ("https://sms.example.org/gateway/?phone=1", "with query"),
        ("http://sms.example.org:80/gateway", "other scheme, with port 80, without trailing slash"),
    ],
)
def test_a_mistyped_url_is_named(typed, difference):
    fit = diagnose(
        sign(typed, POLL, "old"), POLL, ["new", "old"], [PUBLIC], "https", "sms.example.org", b"/other", b"phone=1"
    )
    assert (fit.server_url, fit.difference) == (typed, difference)


def test_a_port_left_out_is_named():
    fit = diagnose(sign("http://h/g/", POLL, "p"), POLL, ["p"], ["http://h:8000/g/"], "http", "h:8000", "/g/")
    assert str(fit) == "signed for http://h/g/ (without port)"


def test_a_wrong_password_has_no_variant():
    assert diagnose(sign(PUBLIC, POLL, "typo"), POLL, ["p"], [PUBLIC], "https", "h", "/") is None


def test_a_missing_text_signed_as_null_is_recognised():
    sent = {**POLL, "message": ""}
    signature = sign(PUBLIC, {**POLL, "message": "null"}, "p")
    assert "null" in diagnose(signature, sent, ["p"], [PUBLIC], "https", "h", "/").difference


def test_a_huge_unsigned_form_is_not_worth_a_diagnosis():
    fields = {**POLL, "log": "x" * 1_000_000}
    assert diagnose(sign("http://h/", fields, "p"), fields, ["p"], ["https://h/"], "https", "h", "/") is None
