"""Requests of the real app, byte for byte over a socket: each is accepted or refused as it should be, and kept once."""

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from tests.captures import MISSING, available, captures
from tests.gateway.client import Reply, at_once, exchange

pytestmark = pytest.mark.skipif(not available(), reason=MISSING)

TO_GATEWAY = [c for c in captures() if c.entry["request_line"].startswith("POST /gateway/ ")]
GOOD = {c.raw for c in captures() if c.entry["signature_valid"]}
# Altered copies may differ from a good one only in what the index says the server knows: as bytes they are good.
ACCEPTED = [c for c in TO_GATEWAY if c.raw in GOOD]
REFUSED = [c for c in TO_GATEWAY if c.raw not in GOOD]
JSON_SINCE = 28


def named(capture):
    return capture.name


@dataclass
class Posted:
    """What came of posting every capture: to four copies at once, and to one more afterwards."""

    together: dict[str, list[Reply]]
    afterwards: dict[str, Reply]
    incoming: list[dict]
    problems: list[dict]
    media: Path


@pytest.fixture(scope="module")
def posted(gateway):
    passwords = {c.entry["phone_number"]: c.entry["password"] for c in captures() if c.entry["signature_valid"]}
    for number in sorted({c.entry["phone_number"] for c in TO_GATEWAY}):
        gateway.manage("phone", "add", number, "--password", passwords[number])
    known = gateway.json("incoming", "--limit", "0"), gateway.json("problems", "--limit", "0")

    async def post():
        together, afterwards = {}, {}
        for capture in TO_GATEWAY:
            together[capture.name] = await at_once(gateway, *[capture.raw] * 4)
        for capture in TO_GATEWAY:
            afterwards[capture.name] = await exchange(gateway, capture.raw)
        return together, afterwards

    together, afterwards = asyncio.run(post())
    incoming = [row for row in gateway.json("incoming", "--limit", "0") if row not in known[0]]
    problems = [row for row in gateway.json("problems", "--limit", "0") if row not in known[1]]
    return Posted(together, afterwards, incoming, problems, Path(gateway.env["FLEET_DATA_DIR"]) / "media")


def test_most_captures_go_to_the_gateway_and_three_altered_ones_are_as_good_as_their_originals():
    assert len(TO_GATEWAY) >= 50
    assert sum(not c.entry["signature_valid"] for c in ACCEPTED) == 3


@pytest.mark.parametrize("capture", ACCEPTED, ids=named)
def test_a_well_signed_request_is_accepted_in_its_dialect(posted, capture):
    reply = posted.together[capture.name][0]
    assert reply.status == 200
    if capture.entry["client_version_code"] >= JSON_SINCE:
        assert (reply.content_type, reply.json) == ("application/json", {"events": []})
    else:
        assert reply.content_type == "text/xml"
        assert reply.body == b"<?xml version='1.0' encoding='UTF-8'?><messages></messages>"


@pytest.mark.parametrize("capture", REFUSED, ids=named)
def test_an_altered_request_is_refused_in_its_dialect(posted, capture):
    reply = posted.together[capture.name][0]
    assert (reply.status, reply.content_type) == (403, "application/json")
    assert reply.error


@pytest.mark.parametrize("capture", TO_GATEWAY, ids=named)
def test_copies_are_answered_alike_at_once_and_later(posted, capture):
    first, *others = posted.together[capture.name]
    said = {(r.status, r.content_type, r.body) for r in [first, *others, posted.afterwards[capture.name]]}
    assert len(said) == 1


def test_each_message_is_kept_once_with_all_it_said(posted):
    def described(capture):
        fields, files = capture.entry["fields"], capture.entry.get("file_parts", [])
        own, outward = capture.entry["phone_number"], capture.entry["action"] == "forward_sent"
        return (
            own,
            "out" if outward else "in",
            fields["message_type"],
            own if outward else fields["from"],
            fields["to"] if outward else own,
            fields["message"],
            int(fields["timestamp"]),
            tuple((part["bytes"], part["sha256"]) for part in files),
        )

    def kept(row):
        return (
            *(row[name] for name in ("phone", "direction", "type", "from", "to", "text")),
            round(datetime.fromisoformat(row["timestamp"]).timestamp() * 1000),
            tuple((part["size"], part["sha256"]) for part in row["parts"]),
        )

    messages = [c for c in ACCEPTED if c.entry["action"] in ("incoming", "forward_sent")]
    assert sorted(map(kept, posted.incoming)) == sorted(set(map(described, messages)))


def test_parts_of_an_mms_are_on_disk_byte_for_byte_under_their_real_names(posted):
    parts = {part["sha256"]: part for row in posted.incoming for part in row["parts"]}
    expected = [(part, c) for c in ACCEPTED for part in c.entry.get("file_parts", [])]
    assert len(expected) >= 8
    for part, capture in expected:
        data = (posted.media / "mms" / part["sha256"][:2] / part["sha256"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (part["bytes"], part["sha256"])
        assert data in capture.body
    names = {part["name"] for part in parts.values()}
    assert not any("?" in name for name in names) and any(not name.isascii() for name in names)


def test_refusals_are_among_the_sign_in_problems_and_say_no_password(posted):
    assert {(row["phone_number"], row["cause"]) for row in posted.problems} == {
        (c.entry["phone_number"], "wrong_password") for c in REFUSED
    }
    assert not any(c.entry["password"] in str(posted.problems) for c in TO_GATEWAY)
