"""The bytes of MMS parts: hostile until their first bytes say otherwise, and then still without rights."""

import pytest

from fleet.inbox import MmsPart
from tests.dashboard.helpers import PNG, part
from tests.factories import make_incoming

HTML = b"<html><script>alert(document.cookie)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'


def url_of(data, **values):
    incoming = make_incoming(parts=[part(data, **values)])
    return f"/media/{incoming.parts.get().pk}/"


def body(answer):
    return b"".join(answer.streaming_content)


def test_a_picture_is_shown_whole_and_may_do_nothing(alice):
    answer = alice.get(url_of(PNG, name="flower.png"))
    assert answer["Content-Type"] == "image/png"
    assert answer["Content-Disposition"] == 'inline; filename="flower.png"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert answer["Cache-Control"] == "private, no-cache"
    assert body(answer) == PNG


@pytest.mark.parametrize("data", [HTML, SVG, b"%PDF-1.7", b"BM....", b"", b"\xff\xd8", b"PK\x03\x04"])
@pytest.mark.parametrize("claimed", ["image/png", "text/html", "image/svg+xml", "video/mp4"])
def test_whatever_it_is_called_what_is_no_picture_is_downloaded(alice, data, claimed):
    answer = alice.get(url_of(data, type=claimed, declared_type=claimed, name="x.html"))
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].startswith("attachment")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert body(answer) == data


@pytest.mark.parametrize(
    "data, kind",
    [
        (b"\xff\xd8\xff\xe0rest", "image/jpeg"),
        (b"GIF89a" + HTML, "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"#!AMR\nrest", "audio/amr"),
        (b"\x00\x00\x00\x18ftyp3gp4", "video/3gpp"),
        (b"\x00\x00\x00\x18ftypisom", "video/mp4"),
    ],
)
def test_sound_and_film_open_as_what_their_first_bytes_say(alice, data, kind):
    answer = alice.get(url_of(data, type="text/html"))
    assert answer["Content-Type"] == kind
    assert answer["Content-Disposition"].startswith("inline")


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "a\r\nSet-Cookie: x=1", 'a";x="', "\u202egnp.exe", "C:\\x\\y", "", "...", "ж" * 300, "\x07"],
)
def test_a_name_cannot_leave_its_header_or_its_folder(alice, name):
    answer = alice.get(url_of(PNG, name=name[:255]))
    shown = answer["Content-Disposition"]
    assert shown.startswith("inline; filename")
    assert not set("\r\n\\/\x07\u202e") & set(shown)
    assert "Set-Cookie" not in answer


def test_a_browser_that_has_it_gets_no_bytes(alice):
    url = url_of(PNG)
    tag = alice.get(url)["ETag"]
    answer = alice.get(url, headers={"If-None-Match": tag})
    assert answer.status_code == 304
    assert answer["Cache-Control"] == "private, no-cache"
    assert alice.get(url, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_part_that_is_missing_or_whose_bytes_are_gone_is_not_found(alice):
    incoming = make_incoming(parts=[{"missing": True}, part(PNG + b"gone")])
    missing, lost = incoming.parts.order_by("position")
    lost.path.unlink()
    for row in (missing, lost):
        assert alice.get(f"/media/{row.pk}/").status_code == 404
    assert alice.get("/media/999999/").status_code == 404


def test_bytes_are_only_read(alice):
    url = url_of(PNG)
    assert alice.post(url).status_code == 405
    assert MmsPart.objects.count() == 1


def test_pictures_stand_in_the_list_and_the_rest_is_a_link(alice):
    make_incoming(parts=[part(PNG, name="flower.png"), part(SVG, name="x.svg"), {"missing": True, "name": "lost.jpg"}])
    html = alice.get("/incoming/").content.decode()
    assert html.count("<img ") == 1
    assert 'alt="flower.png"' in html and "x.svg" in html and "lost.jpg" in html
