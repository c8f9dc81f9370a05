from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fleet.gateway.form import File, Form, Malformed, parse

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=B"
field_names = st.text(st.characters(exclude_characters='"\r\n', exclude_categories=("Cs",)), min_size=1)


def part(headers, content):
    return b"--B\r\n" + headers + b"\r\n\r\n" + content + b"\r\n"


def field(name, content):
    return part(f'Content-Disposition: form-data; name="{name}"'.encode(), content)


def multipart(*parts):
    return b"".join(parts) + b"--B--\r\n"


@given(st.dictionaries(st.text(), st.text()))
def test_urlencoded_fields_come_back_as_they_were_sent(fields):
    assert parse(URLENCODED, urlencode(fields).encode()) == Form(fields)


@given(st.dictionaries(field_names, st.text()), st.dictionaries(field_names, st.binary()))
def test_multipart_fields_and_files_come_back_as_they_were_sent(fields, files):
    files = {name: data for name, data in files.items() if name not in fields}
    body = multipart(
        *(field(name, value.encode()) for name, value in fields.items()),
        *(
            part(f'Content-Disposition: form-data; name="{name}"; filename="f"\r\nContent-Type: a/b'.encode(), data)
            for name, data in files.items()
        ),
    )
    expected = {name: File(name, "f", "a/b", data) for name, data in files.items()}
    clash = any(b"--B" in content for content in [*files.values(), *(v.encode() for v in fields.values())])
    if not clash:
        assert parse(MULTIPART, body) == Form(fields, expected)


@given(
    st.text() | st.sampled_from([URLENCODED, MULTIPART, MULTIPART + "; a=b", "multipart/form-data", "text/plain"]),
    st.binary() | st.binary().map(lambda tail: b'--B\r\nContent-Disposition: form-data; name="a"' + tail),
)
@example(MULTIPART, b"--B--")
@example('multipart/form-data; boundary="' + "x" * 200 + '"', b"--x")
@example(None, b"a=1")
def test_any_bytes_are_a_form_or_malformed(content_type, body):
    try:
        assert isinstance(parse(content_type, body), Form)
    except Malformed as problem:
        assert str(problem).isprintable() and str(problem)


def test_broken_escapes_stay_as_they_are():
    assert parse(URLENCODED, b"a=100%&b=%zz&c=%4").fields == {"a": "100%", "b": "%zz", "c": "%4"}


def test_nothing_is_trimmed_and_control_characters_stay():
    assert parse(URLENCODED, b"a=+%00%0D%0A&b").fields == {"a": " \0\r\n", "b": ""}
    assert parse(MULTIPART, multipart(field("a", b" \0\r\n"))).fields == {"a": " \0\r\n"}


def test_the_content_type_may_carry_a_charset_and_any_case():
    assert parse("Application/X-WWW-form-urlencoded; charset=UTF-8", b"a=1").fields == {"a": "1"}
    assert parse('Multipart/Form-Data; charset=utf-8; Boundary="B"', multipart(field("a", b"1"))).fields == {"a": "1"}


@pytest.mark.parametrize(
    ("content_type", "body", "why"),
    [
        ("", b"a=1", "no content type"),
        ("text/plain", b"a=1", "is no form"),
        (URLENCODED, b"a=%ff", "not UTF-8"),
        (URLENCODED, b"a=1&a=2", "comes twice"),
        (URLENCODED, b"&".join(b"%d=1" % n for n in range(1001)), "more than 1000"),
        ("multipart/form-data", multipart(field("a", b"1")), "without a boundary"),
        (MULTIPART, multipart(field("a", b"1"), field("a", b"2")), "comes twice"),
        (MULTIPART, multipart(field("a", b"\xff")), "not UTF-8"),
        (MULTIPART, multipart(part(b"Content-Type: a/b", b"1")), "has no name"),
        (MULTIPART, multipart(*(field(str(n), b"") for n in range(1001))), "more than 1000"),
        (MULTIPART, field("a", b"\r\n--Bx" * 1002), "more than 1000"),
        (MULTIPART, field("a", b"\r\n--B   "), "blanks after"),
        (MULTIPART, field("a", b"1"), "ends too early"),
        (MULTIPART, multipart(field("a", b"1"))[:-4], "ends too early"),
        (MULTIPART, b"", "ends too early"),
        (MULTIPART, b"hello", "broken multipart"),
    ],
)
def test_what_is_no_form_is_malformed(content_type, body, why):
    with pytest.raises(Malformed, match=why):
        parse(content_type, body)


def test_a_thousand_parts_are_fine():
    assert len(parse(MULTIPART, multipart(*(field(str(n), b"") for n in range(1000)))).fields) == 1000


def test_quotes_in_a_file_name_are_part_of_it():
    header = b'Content-Disposition: form-data; name="part0"; filename="a"; name="evil".png"'
    parsed = parse(MULTIPART, multipart(part(header, b"x")))
    assert parsed.files["part0"].filename == 'a"; name="evil".png'


def test_a_file_is_not_a_field():
    header = b'Content-Disposition: form-data; name="a"; filename=""\r\nContent-Type: text/plain; charset=UTF-8'
    assert parse(MULTIPART, multipart(part(header, b"x"))) == Form(
        {}, {"a": File("a", "", "text/plain; charset=UTF-8", b"x")}
    )
