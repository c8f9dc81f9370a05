"""The shared endpoint: a plain ASGI callable that reads a phone's post, has it handled, and answers or holds.

No thread waits for a held poll. It never redirects, and never answers 204 or 304: the app would lose messages.
"""

import asyncio
import ipaddress
import logging
from dataclasses import dataclass, field

from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.conf import settings

from fleet import clock, live, outbox
from fleet.gateway import form, wire
from fleet.gateway.batches import Batches
from fleet.gateway.handlers import Answer, Request, Wake

log = logging.getLogger(__name__)

PATHS = ("/gateway/", "/gateway")
# Bodies above this many bytes are taken apart in a thread: they would keep the loop from everyone else.
LARGE = 64 * 1024
# How often held polls are looked after, in protocol seconds: repeated offers fall due, and a note may be lost.
LOOK_AFTER = 2
HELP = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Gateway</title>
<h1>This is where phones report</h1>
<p>Type this page's address as the <b>server URL</b> into the settings of the EnvayaSMS app. Phones post here;
there is nothing to see in a browser. <a href="/">The dashboard is over there.</a></p></html>"""


@dataclass(slots=True)
class _Held:
    """A poll that waits: resolved with True for work, False for none."""

    phone_id: int
    version: int
    memory_key: str
    since: object
    future: asyncio.Future = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def release(self, work):
        if not self.future.done():
            self.future.set_result(work)


class Gateway:
    """One per process: the batches, the held polls, and the subscription that wakes them."""

    def __init__(self):
        self.batches = Batches()
        self.held = {}  # phone id → _Held
        self.woken_at = {}  # phone id → when a note said that there is work
        self.closing = False
        self.answering = 0  # requests that have no answer yet
        self._tasks = []

    def start(self):
        """Begin to listen for work; called on the server's loop."""
        if not self._tasks:
            self._tasks = [asyncio.ensure_future(self._listen()), asyncio.ensure_future(self._look_after())]

    async def close(self):
        """Answer every held poll; a poll that arrives from now on is answered at once."""
        self.closing = True
        for held in list(self.held.values()):
            held.release(False)
        for task in self._tasks:
            task.cancel()

    async def __call__(self, scope, receive, send):
        self.start()
        self.answering += 1
        try:
            await self._serve(scope, receive, send)
        finally:
            self.answering -= 1

    async def _serve(self, scope, receive, send):
        at = clock.now()
        if scope["method"] != "POST":
            await _respond(send, 405, b"text/html; charset=utf-8", HELP, [(b"allow", b"POST")])
            return
        headers = dict(scope["headers"])
        body = await _read(receive)
        if body is None:
            return
        if len(body) > settings.FLEET_MAX_REQUEST_BYTES:
            answer = too_large(headers.get(b"user-agent", b""))
        else:
            request = await _request(scope, headers, body, at)
            answer = await self._answer(request, receive)
        if answer is not None:
            await _respond(send, answer.status, answer.content_type, answer.body)

    async def _answer(self, request, receive):
        try:
            answer = await self.batches.run(request)
            if answer.hold is not None:
                answer = await self._hold(answer, request, receive)
        except Exception:
            # The phone tries again: 5xx is read by nobody, but keeps what it has.
            return Answer(500, *wire.error(request.version, "The server failed; it will work again soon."))
        return answer

    async def _hold(self, empty, request, receive):
        """Wait for work; the answer with it, or the empty one. None if the phone has gone."""
        if (before := self.held.pop(empty.hold, None)) is not None:
            before.release(False)
        if self.closing or self.woken_at.get(empty.hold, request.at) > request.at:
            return await self._fetch(_Held(empty.hold, empty.version, empty.memory_key, request.at), empty)
        held = self.held[empty.hold] = _Held(empty.hold, empty.version, empty.memory_key, request.at)
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait(
                {held.future, gone},
                timeout=clock.seconds(settings.FLEET_LONG_POLL_SECONDS),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if gone.done():
                return None
            if not held.future.done() or not held.future.result():
                return empty
            return await self._fetch(held, empty, gone)
        finally:
            if self.held.get(held.phone_id) is held:
                del self.held[held.phone_id]
            gone.cancel()

    async def _fetch(self, held, empty, gone=None):
        def wanted():
            return self.held.get(held.phone_id) in (held, None) and not (gone and gone.done())

        return await self.batches.run(Wake(held.phone_id, held.version, held.memory_key, wanted)) or empty

    async def _listen(self):
        """Hear that phones have something to fetch. Starts anew when the channel layer fails."""
        while True:
            try:
                layer = get_channel_layer()
                channel = await layer.new_channel()
                await layer.group_add(live.WORK, channel)
                while True:
                    note = await layer.receive(channel)
                    now = clock.now()
                    for phone_id in note["phones"]:
                        self.woken_at[phone_id] = now
                        self._wake(phone_id)
            except asyncio.CancelledError:
                raise
            except Exception:
                log.exception("Listening for work failed; trying again")
                await asyncio.sleep(1)

    async def _look_after(self):
        """Wake held polls whose time has come, whatever notes were lost."""
        while True:
            await asyncio.sleep(max(0.05, clock.seconds(LOOK_AFTER)))
            if not self.held:
                continue
            try:
                for phone_id in await sync_to_async(outbox.offers_waiting)(list(self.held)):
                    self._wake(phone_id)
            except Exception:
                log.exception("Held polls could not be looked after")

    def _wake(self, phone_id):
        if (held := self.held.get(phone_id)) is not None:
            held.release(True)


def too_large(user_agent):
    """The refusal of a body above the limit, which is never read to its end."""
    limit = settings.FLEET_MAX_REQUEST_BYTES // (1024 * 1024)
    version = wire.dialect_of_user_agent(user_agent)
    return Answer(413, *wire.error(version, f"The request is larger than {limit} MB."))


async def _read(receive):
    """The body, cut a little above the limit; None if the phone went away."""
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        if size <= settings.FLEET_MAX_REQUEST_BYTES:
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
        if not message.get("more_body"):
            return b"".join(chunks)


async def _gone(receive):
    while (await receive())["type"] != "http.disconnect":
        pass


async def _request(scope, headers, body, at):
    content_type = headers.get(b"content-type", b"").decode("latin-1")
    parsed, malformed = None, ""
    try:
        parsed = (
            form.parse(content_type, body)
            if len(body) <= LARGE
            else await asyncio.to_thread(form.parse, content_type, body)
        )
    except form.Malformed as problem:
        malformed = str(problem)
    scheme, host, address = _as_received(scope, headers)
    return Request(
        form=parsed,
        malformed=malformed,
        signature=headers.get(b"x-request-signature", b"").decode("latin-1"),
        user_agent=headers.get(b"user-agent", b"").decode("latin-1").replace("\x00", ""),
        address=address,
        scheme=scheme,
        host=host,
        raw_path=scope.get("raw_path") or scope["path"].encode(),
        query=scope.get("query_string", b""),
        at=at,
        at_gateway=scope["path"] in PATHS,
    )


def _as_received(scope, headers):
    """(scheme, host, client address), by the word of a proxy only where that proxy is trusted."""
    client = (scope.get("client") or [""])[0]
    scheme, host = scope.get("scheme", "http"), headers.get(b"host", b"").decode("latin-1")
    if _trusted(client):
        scheme = _first(headers, b"x-forwarded-proto") or scheme
        host = _first(headers, b"x-forwarded-host") or host
        client = _last(headers, b"x-forwarded-for") or client
    return scheme, host, client[:64]


def _trusted(client):
    if not settings.FLEET_TRUSTED_PROXIES:
        return False
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(network, strict=False) for network in settings.FLEET_TRUSTED_PROXIES)


def _first(headers, name):
    return headers.get(name, b"").decode("latin-1").partition(",")[0].strip()


def _last(headers, name):
    """The entry the trusted proxy itself wrote; those before it are the client's own word."""
    return headers.get(name, b"").decode("latin-1").rpartition(",")[2].strip()


async def _respond(send, status, content_type, body, headers=()):
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", content_type),
                (b"content-length", str(len(body)).encode()),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
