"""Requests of the real app, byte for byte, with what is known of each. ``FLEET_CAPTURES`` names their folder."""

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
CAPTURES_DIR = (REPOSITORY / os.environ.get("FLEET_CAPTURES", "../shared/captures")).resolve()
MISSING = f"no captured requests in {CAPTURES_DIR}: set FLEET_CAPTURES to their folder"


@dataclass(frozen=True)
class Capture:
    """One request: ``raw`` as it went over the wire, header names in lower case, ``entry`` from the index."""

    file: str
    raw: bytes
    headers: dict[str, str]
    body: bytes
    entry: dict

    @property
    def name(self):
        return self.file.removesuffix(".http")

    @property
    def signature(self):
        return self.headers.get("x-request-signature")

    @property
    def content_type(self):
        return self.headers.get("content-type", "")


def available():
    return (CAPTURES_DIR / "index.json").is_file()


@cache
def captures():
    """All captures in the order of their index; none where the folder is missing."""
    if not available():
        return []
    entries = json.loads((CAPTURES_DIR / "index.json").read_text("utf-8"))
    return [_read(entry) for entry in entries]


def _read(entry):
    raw = (CAPTURES_DIR / entry["file"]).read_bytes()
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = [line.decode("latin-1").partition(":") for line in head.split(b"\r\n")[1:]]
    headers = {name.lower(): value.removeprefix(" ") for name, _, value in lines}
    return Capture(entry["file"], raw, headers, body, entry)
