"""What a phone says: form fields, their signature and the body, byte for byte in the app's manner."""

import json
from dataclasses import dataclass
from urllib.parse import quote_plus

from fleet.gateway.signature import sign

# Versions of the app by their code.
APPS = {13: "2.0", 17: "2.0.4", 18: "2.0.5", 30: "3.0.1"}
FORM = "application/x-www-form-urlencoded"
MULTIPART_LETTERS = "-_1234567890abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Part:
    """One part of an MMS; ``cid`` is what a SMIL part refers to it by."""

    type: str
    data: bytes
    filename: str = ""
    cid: str = ""


def user_agent(version, sdk, maker, model):
    """The User-Agent of this version of the app; None for 2.0, which has none."""
    if version <= 13:
        return None
    if version == 17:
        return "EnvayaSMS/2.0.4"
    return f"EnvayaSMS/{APPS.get(version, '3.0.1')} (Android; SDK {sdk}; {maker}; {model})"


def listed(parts):
    """The ``mms_parts`` field: JSON as Android writes it, with every slash escaped."""
    entries = []
    for position, part in enumerate(parts):
        entry = {"filename": part.filename, "name": f"part{position}", "type": part.type}
        if part.cid:
            entry["cid"] = f"<{part.cid}>"
        entries.append(entry)
    return json.dumps(entries, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/")


def compose(server_url, password, fields, parts=None, rng=None):
    """(headers, body) of a signed request; ``parts`` is None or the MMS parts, which are not signed.

    A value of None is signed as the word ``null`` and sent empty, for the app does so.
    """
    fields = {name: None if value is None else as_java(str(value)) for name, value in fields.items()}
    signed = {name: "null" if value is None else value for name, value in fields.items()}
    sent = {name: value or "" for name, value in fields.items()}
    headers = {"X-Request-Signature": sign(server_url, signed, password)}
    if parts is None:
        body = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in sent.items()).encode()
        return headers | {"Content-Type": FORM}, body
    boundary = "".join(rng.choices(MULTIPART_LETTERS, k=rng.randint(30, 40)))
    return headers | {"Content-Type": f"multipart/form-data; boundary={boundary}"}, multipart(boundary, sent, parts)


def multipart(boundary, fields, parts):
    """A multipart body: fields as 8bit text, parts as binary files with their names forced into ASCII."""
    pieces = []
    for name, value in fields.items():
        head = f'form-data; name="{name}"\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: 8bit'
        pieces.append((head, value.encode()))
    for position, part in enumerate(parts):
        charset = "; charset=UTF-8" if part.type in ("text/plain", "application/smil") else ""
        pieces.append(
            (
                f'form-data; name="part{position}"; filename="{part.filename}"\r\n'
                f"Content-Type: {part.type}{charset}\r\nContent-Transfer-Encoding: binary",
                part.data,
            )
        )
    body = b"".join(
        b"--%s\r\nContent-Disposition: %s\r\n\r\n%s\r\n" % (boundary.encode(), head.encode("ascii", "replace"), data)
        for head, data in pieces
    )
    return body + f"--{boundary}--\r\n".encode()


def as_java(text):
    """The text as Java encodes it: half a surrogate pair becomes a question mark."""
    return text.encode("utf-8", "replace").decode()
