"""Every request the real app was seen to make is understood as the app meant it."""

import hashlib
import json

import pytest

from fleet.gateway import actions, form, signature
from tests.captures import MISSING, available, captures

pytestmark = pytest.mark.skipif(not available(), reason=MISSING)
every_capture = pytest.mark.parametrize("capture", captures(), ids=lambda capture: capture.name)
well_signed = pytest.mark.parametrize(
    "capture", [c for c in captures() if c.entry["signature_valid"]], ids=lambda capture: capture.name
)
with_files = pytest.mark.parametrize(
    "capture", [c for c in captures() if c.entry.get("file_parts")], ids=lambda capture: capture.name
)


def read(capture):
    return form.parse(capture.content_type, capture.body)


def test_there_are_captures():
    assert len(captures()) >= 50


@every_capture
def test_the_fields_are_read_as_the_phone_meant_them(capture):
    assert read(capture).fields == capture.entry["fields"]


@every_capture
def test_the_signature_fits_exactly_where_it_should(capture):
    fields, entry = read(capture).fields, capture.entry
    fits = signature.matches(capture.signature, entry["server_url"], fields, entry["password"])
    assert fits == entry["signature_valid"]


@well_signed
def test_the_url_a_phone_signed_is_found_in_what_arrived(capture):
    entry = capture.entry
    _, target, _ = entry["request_line"].split(" ")
    path, _, query = target.partition("?")
    host = capture.headers["host"]
    scheme = entry["server_url"].partition(":")[0]
    assert entry["server_url"] in signature.candidates([], scheme, host, path, query)


@every_capture
def test_the_action_is_understood_and_nothing_about_it_is_odd(capture):
    report, action = actions.parse(read(capture))
    assert report.version == capture.entry["client_version_code"]
    assert report.phone_number == capture.entry["phone_number"]
    if isinstance(action, actions.Incoming):
        assert (action.note, str(action.timestamp_ms)) == ("", capture.entry["fields"]["timestamp"])


@with_files
def test_files_arrive_byte_for_byte_under_their_real_names(capture):
    parsed = read(capture)
    _, incoming = actions.parse(parsed)
    expected = [(part["name"], part["bytes"], part["sha256"]) for part in capture.entry["file_parts"]]
    assert [
        (file.field, len(file.data), hashlib.sha256(file.data).hexdigest()) for file in parsed.files.values()
    ] == expected
    assert [(p.field, len(p.data), hashlib.sha256(p.data).hexdigest()) for p in incoming.parts] == expected
    described = json.loads(capture.entry["fields"]["mms_parts"])
    assert [p.name for p in incoming.parts] == [entry["filename"] for entry in described]
    assert not any(p.missing for p in incoming.parts)


def test_a_phone_that_signed_https_behind_a_plain_proxy_is_told_so():
    capture = next(c for c in captures() if c.name == "bad_http_instead_of_https")
    fit = signature.diagnose(
        capture.signature, read(capture).fields, [capture.entry["password"]], [], "http", "sms.example.org", "/gateway/"
    )
    assert (fit.server_url, fit.difference) == ("https://sms.example.org/gateway/", "other scheme")
