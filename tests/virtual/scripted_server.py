"""A tiny HTTP server on 127.0.0.1 that answers as a test's script says and keeps what it was sent."""

import asyncio
from urllib.parse import parse_qsl

HANG_UP = "hang up"
JSON, XML = "application/json", "text/xml"


class Request:
    def __init__(self, line, headers, body):
        self.line, self.headers, self.body = line, headers, body

    @property
    def raw(self):
        return self.line, tuple(self.headers.items()), self.body

    @property
    def fields(self):
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


def answer(body=b"", status=200, content_type=JSON, headers=""):
    body = body.encode() if isinstance(body, str) else body
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


class ScriptedServer:
    """Answers come from ``script`` in turn (bytes, HANG_UP or a callable of the request), then from ``usual``."""

    def __init__(self):
        self.script = []
        self.usual = answer('{"events":[]}')
        self.requests = []
        self.open = self.most_open = 0
        self.gate = asyncio.Event()
        self.gate.set()  # cleared by a test that wants answers held back

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._connections = set()
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/gateway/"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def posted(self, action):
        return [request.fields for request in self.requests if request.fields.get("action") == action]

    async def _serve(self, reader, writer):
        self._connections.add(asyncio.current_task())
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            while request := await self._read(reader):
                self.requests.append(request)
                await self.gate.wait()
                reply = self.script.pop(0) if self.script else self.usual
                if callable(reply):
                    reply = reply(request)
                if reply == HANG_UP:
                    return
                writer.write(reply)
                await writer.drain()
        finally:
            self.open -= 1
            writer.close()

    async def _read(self, reader):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:
            return None
        line, *lines = head.strip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        body = await reader.readexactly(int(headers.get("Content-Length", 0)))
        return Request(line, headers, body)
