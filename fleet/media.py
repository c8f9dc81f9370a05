"""The bytes of MMS parts: kept as they came, under their SHA-256, before the rows that speak of them.

Bytes are written and synced first and the rows committed after, so a crash in between leaves bytes without a
row, never a row without bytes. What a sender calls a file's type is never trusted: ``sniff`` looks at the bytes.
"""

import hashlib
import os
import tempfile
from pathlib import Path

from django.conf import settings

# (offset, signature, type): what a browser may be shown, and what may at least be named.
SIGNATURES = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (0, b"BM", "image/bmp"),
    (0, b"#!AMR", "audio/amr"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"BEGIN:VCARD", "text/vcard"),
)
# Brands of the ISO base media format, by their first three or four letters.
BRANDS = {b"3gp": "video/3gpp", b"3g2": "video/3gpp2", b"hei": "image/heic", b"mif": "image/heic",
          b"avi": "image/avif", b"M4A": "audio/mp4"}  # fmt: skip
UNKNOWN = "application/octet-stream"


def sniff(data, declared=""):
    """The type of ``data`` by its first bytes; text only where the sender said so and the bytes are UTF-8."""
    declared = declared.partition(";")[0].strip().lower()
    # First, for a text may begin with "BM" or "ID3"; what is not text holds a zero or is not UTF-8.
    if declared in ("text/plain", "application/smil") and _is_text(data):
        return declared
    for offset, signature, kind in SIGNATURES:
        if data.startswith(signature, offset) and (offset == 0 or data.startswith(b"RIFF")):
            return kind
    if data[4:8] == b"ftyp":
        return BRANDS.get(bytes(data[8:11]), "video/mp4")
    return UNKNOWN


def _is_text(data):
    if b"\0" in data:
        return False
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def path(sha256):
    """Where the bytes with this hex digest are, or would be."""
    return Path(settings.MEDIA_ROOT) / "mms" / sha256[:2] / sha256


def keep(data):
    """Store bytes durably; their SHA-256 in hex. The same bytes are stored once."""
    digest = hashlib.sha256(data).hexdigest()
    target = path(digest)
    if target.exists() and target.stat().st_size == len(data):
        return digest
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix="part-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return digest
