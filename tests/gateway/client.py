"""Phones as bytes on a socket: what they write, and what the server writes back."""

import asyncio
import base64
import hashlib
import json
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlencode
from xml.etree import ElementTree

FORM = "application/x-www-form-urlencoded"
APP_3 = "EnvayaSMS/3.0.1 (Android; SDK 10; HTC; Wildfire S A510e)"
APP_2 = "EnvayaSMS/2.0.4"
HOST = "127.0.0.1:8000"  # as phones were told, whatever the server's real port
URL = f"http://{HOST}/gateway/"
PATIENCE = 40  # seconds until a test gives up


@dataclass(frozen=True)
class Reply:
    """What the server answered; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def content_type(self):
        return self.headers.get("content-type", "")

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def messages(self):
        """The messages to send, in either dialect, as (id, to, text)."""
        if self.content_type == "text/xml":
            return [(sms.get("id"), sms.get("to"), sms.text or "") for sms in ElementTree.fromstring(self.body)]
        sends = [event for event in self.json["events"] if event["event"] == "send"]
        return [(m["id"], m["to"], m["message"]) for event in sends for m in event["messages"]]

    @property
    def error(self):
        """The text of a refusal, in either dialect."""
        if self.content_type == "text/xml":
            return ElementTree.fromstring(self.body).findtext("error")
        return self.json["error"]["message"]


def signature(url, fields, password):
    text = ",".join([url, *(f"{name}={fields[name]}" for name in sorted(fields)), password])
    return base64.b64encode(hashlib.sha1(text.encode()).digest()).decode()


def raw(body=b"", *, method="POST", path="/gateway/", host=HOST, **headers):
    """A request as bytes. A header's name is written with ``_`` for ``-``; None leaves it out."""
    lines = {"Host": host, "Content-Type": FORM, "Content-Length": str(len(body))}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in lines.items() if value is not None)]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


@dataclass(frozen=True)
class Caller:
    """A phone that writes signed requests; ``url`` is its server URL setting."""

    number: str
    password: str
    url: str = URL

    def fields(self, action, **more):
        """The fields of app 3.0.1; every request differs in ``now``. A field named like a Python word ends in _."""
        said = {"version": "30", "phone_number": self.number, "action": action, "now": str(time.time_ns() // 1000)}
        said |= {name.rstrip("_"): value for name, value in more.items()}
        return {name: value for name, value in said.items() if value is not None}

    def request(self, action, *, path="/gateway/", headers=None, **more):
        """A well signed request as bytes; a field that is None is left out."""
        fields = self.fields(action, **more)
        headers = {"User_Agent": APP_3, "X_Request_Signature": self.sign(fields)} | (headers or {})
        return raw(urlencode(fields).encode(), path=path, **headers)

    def multipart(self, files, **more):
        """An MMS as bytes: ``files`` are (field, file name, type, data)."""
        fields = self.fields("incoming", message_type="mms", **more)
        parts = [
            f'--limit\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields.items()
        ]
        for field, filename, kind, data in files:
            disposition = f'Content-Disposition: form-data; name="{field}"; filename="{filename}"'
            parts.append(f"--limit\r\n{disposition}\r\nContent-Type: {kind}\r\n\r\n".encode() + data + b"\r\n")
        return raw(
            b"".join([*parts, b"--limit--\r\n"]),
            Content_Type="multipart/form-data; boundary=limit",
            User_Agent=APP_3,
            X_Request_Signature=self.sign(fields),
        )

    def sign(self, fields):
        return signature(self.url, fields, self.password)


@asynccontextmanager
async def connection(server):
    """(reader, writer) of a new connection to ``server``."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def exchange(server, request, *, answer_to="POST"):
    """Write ``request`` as it is to a connection of its own; the Reply, or None if the server hangs up."""
    async with connection(server) as (reader, writer):
        writer.write(request)
        return await read_reply(reader, has_body=answer_to != "HEAD")


async def at_once(server, *requests):
    """Each request on a connection of its own, all at the same time; their Replies in order."""
    return await asyncio.gather(*(exchange(server, request) for request in requests))


async def read_reply(reader, *, has_body=True):
    async with asyncio.timeout(PATIENCE):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return None
        status_line, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0)) if has_body else 0
        return Reply(int(status_line.split()[1]), headers, await reader.readexactly(length))
