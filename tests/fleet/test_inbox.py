import hashlib
from datetime import UTC, datetime

import pytest

from fleet import clock, inbox, media
from fleet.inbox import Incoming, MmsPart
from tests.factories import TIMESTAMP_MS, make_phone, part, say

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


def take(phone, *said):
    return inbox.receive([(phone, clock.now(), one) for one in said])


@pytest.fixture
def phone(db):
    return make_phone()


@pytest.fixture(autouse=True)
def own_media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


def test_a_received_sms_is_kept_as_it_came(phone):
    (row,) = take(phone, say(text="Habari? 😀\n", age_ms=1500, note="odd"))
    row = Incoming.objects.get()
    assert (row.phone, row.direction, row.type, row.other_party) == (phone, "in", "sms", "+255754310221")
    assert (row.text, row.age_ms, row.note) == ("Habari? 😀\n", 1500, "odd")
    assert row.timestamp == datetime.fromtimestamp(TIMESTAMP_MS / 1000, UTC)
    assert not row.timestamp_odd


def test_a_repeat_changes_nothing_whenever_it_comes(phone):
    take(phone, say(age_ms=0))
    assert take(phone, say(age_ms=86_400_000)) == []
    assert take(phone, say(), say()) == []
    assert Incoming.objects.get().age_ms == 0


def test_copies_that_come_together_are_one_message(phone):
    assert len(take(phone, say(), say(), say())) == 1
    assert Incoming.objects.count() == 1


@pytest.mark.parametrize(
    "other",
    [
        {"timestamp_ms": TIMESTAMP_MS + 1},
        {"text": "Hello!"},
        {"other_party": "+255754310222"},
        {"type": "call"},
        {"direction": "out"},
        {"parts": (part(),)},
    ],
)
def test_what_differs_in_one_thing_is_another_message(phone, other):
    take(phone, say(), say(**other))
    assert Incoming.objects.count() == 2


def test_the_same_text_at_another_phone_is_another_message(phone):
    take(phone, say())
    take(make_phone(), say())
    assert Incoming.objects.count() == 2


def test_no_piece_of_an_identity_runs_into_the_next(phone):
    take(phone, say(other_party="12", timestamp_raw="34"), say(other_party="123", timestamp_raw="4"))
    assert Incoming.objects.count() == 2


def test_an_unusable_timestamp_is_replaced_by_the_time_of_receipt_and_still_tells_messages_apart(phone):
    for raw in ("yesterday", "yesterday", "9" * 30):
        take(phone, say(timestamp_ms=None, timestamp_raw=raw))
    rows = Incoming.objects.all()
    assert len(rows) == 2
    assert all(row.timestamp_odd and row.timestamp == row.received_at for row in rows)


def test_a_hidden_caller_has_no_number(phone):
    take(phone, say(type="call", other_party="", text=""))
    assert Incoming.objects.get().other_party == ""


def test_an_enormous_sender_is_cut_and_a_repeat_of_it_still_known(phone):
    take(phone, say(other_party="9" * 1000, note="x" * 1000))
    take(phone, say(other_party="9" * 1000))
    assert len(Incoming.objects.get().other_party) == 255


# ── MMS ────────────────────────────────────────────────────────────────────────────────────────────


def test_the_parts_of_an_mms_are_kept_byte_for_byte_in_their_order(phone):
    take(
        phone, say(type="mms", parts=(part(PNG), part(b"hi", field="part1", name="a.txt", declared_type="text/plain")))
    )
    first, second = MmsPart.objects.order_by("position")
    assert (first.name, first.cid, first.type, first.size) == ("flower.png", "<a>", "image/png", len(PNG))
    assert first.path.read_bytes() == PNG
    assert first.sha256 == hashlib.sha256(PNG).hexdigest()
    assert (second.position, second.name, second.type) == (1, "a.txt", "text/plain")


def test_an_mms_that_comes_again_has_its_parts_once(phone):
    take(phone, say(type="mms", parts=(part(PNG),)))
    take(phone, say(type="mms", parts=(part(PNG),)))
    assert (Incoming.objects.count(), MmsPart.objects.count()) == (1, 1)


def test_mms_that_differ_in_their_bytes_are_two(phone):
    take(phone, say(parts=(part(PNG),)), say(parts=(part(PNG + b"x"),)))
    assert Incoming.objects.count() == 2


def test_a_part_that_was_announced_but_not_sent_is_missing(phone):
    take(phone, say(type="mms", parts=(part(None),)))
    row = MmsPart.objects.get()
    assert (row.missing, row.sha256, row.size, row.type) == (True, "", 0, "")


def test_an_empty_part_is_not_a_missing_one(phone):
    take(phone, say(type="mms", parts=(part(b""),)))
    row = MmsPart.objects.get()
    assert (row.missing, row.size, row.path.read_bytes()) == (False, 0, b"")


def test_the_bytes_are_on_disk_before_a_row_speaks_of_them(phone, monkeypatch):
    def broken(*arguments, **options):
        raise RuntimeError("the database is gone")

    monkeypatch.setattr(inbox.Incoming.objects, "bulk_create", broken)
    with pytest.raises(RuntimeError):
        take(phone, say(type="mms", parts=(part(PNG),)))
    assert media.path(hashlib.sha256(PNG).hexdigest()).read_bytes() == PNG
    assert not Incoming.objects.exists()


def test_no_row_speaks_of_bytes_that_could_not_be_kept(phone, monkeypatch):
    def full(*arguments):
        raise OSError("No space left on device")

    monkeypatch.setattr(media.os, "replace", full)
    with pytest.raises(OSError, match="space"):
        take(phone, say(type="mms", parts=(part(PNG),)))
    assert not Incoming.objects.exists()
    assert [path for path in media.path("ab").parent.parent.rglob("*") if path.is_file()] == []


def test_the_same_bytes_are_stored_once(tmp_path):
    assert media.keep(PNG) == media.keep(PNG)
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


def test_bytes_that_a_crash_cut_short_are_written_again():
    digest = media.keep(PNG)
    media.path(digest).write_bytes(PNG[:3])
    media.keep(PNG)
    assert media.path(digest).read_bytes() == PNG


# ── What bytes are ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("data", "declared", "kind"),
    [
        (b"\xff\xd8\xff\xe0....", "", "image/jpeg"),
        (b"GIF89a\x01\0\x01\0", "text/plain", "image/gif"),
        (b"RIFF....WEBPVP8 ", "", "image/webp"),
        (b"RIFF....WAVEfmt ", "", "audio/wav"),
        (b"BM" + b"\x46\0\0\0" + b"\0\0\0\0" + b"\x36\0\0\0", "", "image/bmp"),
        (b"#!AMR\n", "audio/amr", "audio/amr"),
        (b"\0\0\0\x18ftyp3gp4", "", "video/3gpp"),
        (b"\0\0\0\x18ftypheic", "", "image/heic"),
        (b"\0\0\0\x18ftypisom", "", "video/mp4"),
        (b"hello", "text/plain; charset=utf-8", "text/plain"),
        ("тест".encode(), "TEXT/PLAIN", "text/plain"),
        (b"<smil/>", "application/smil", "application/smil"),
        (b"BEGIN:VCARD\r\n", "text/x-vcard", "text/vcard"),
    ],
)
def test_the_first_bytes_say_what_a_part_is(data, declared, kind):
    assert media.sniff(data, declared) == kind


@pytest.mark.parametrize(
    ("data", "declared"),
    [
        (b"<html><script>alert(1)</script>", "image/png"),
        (b"<html><script>alert(1)</script>", "text/html"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/svg+xml"),
        (b"<?xml version='1.0'?><svg/>", "image/svg+xml"),
        (b"%!PS", "application/postscript"),
        (b"alert(1)", "application/javascript"),
        (b"MZ\x90\0", "image/jpeg"),
        (b"\xff\xfeh\0i\0", "text/plain"),
        (b"\xe9t\xe9", "text/plain"),
        (b"a\0b", "text/plain"),
        (b"x" * 8 + b"WEBP", "image/webp"),
        (b"", "image/png"),
    ],
)
def test_what_a_part_only_claims_to_be_it_is_not(data, declared):
    assert media.sniff(data, declared) == "application/octet-stream"


@pytest.mark.parametrize("text", ["BMW is on sale", "ID3 is a tag", "OggS?", "BM", "ID3"])
def test_a_text_that_begins_like_a_file_is_a_text(text):
    assert media.sniff(text.encode(), "text/plain") == "text/plain"
