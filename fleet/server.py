"""Daphne in our dress: bodies are bounded before they are read, and held polls are answered before it stops.

Import this module before anything else that uses Twisted: Daphne installs the asyncio reactor.
"""

import asyncio
import functools

import daphne.server
from daphne.http_protocol import HTTPFactory, WebRequest
from django.conf import settings
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from fleet import live
from fleet.asgi import application, gateway
from fleet.gateway.endpoint import too_large

# How long a shutdown waits for answers under way, in seconds.
PATIENCE = 2
# How long the rest of a refused body is taken in and dropped, in seconds. A client that writes all before it reads,
# as the app does, would otherwise find the connection broken instead of our answer.
LINGER = 15


class BoundedRequest(WebRequest):
    """A request refused as soon as it says, or turns out, to be larger than we take."""

    limit = settings.FLEET_MAX_REQUEST_BYTES  # read once: the lazy settings cost more than all else here
    received = 0
    refused = False

    def __init__(self, *args, **kwargs):
        # Twisted would take forms apart as well, on the loop, and refuse some in words no phone reads.
        super().__init__(*args, parsePOSTFormSubmission=False, **kwargs)

    def gotLength(self, length):  # Twisted's name
        if length is not None and length > self.limit:
            self._refuse()
            length = 0
        super().gotLength(length)

    def handleContentChunk(self, data):  # Twisted's name
        self.received += len(data)
        if self.refused or self.received > self.limit:
            self._refuse()
        else:
            super().handleContentChunk(data)

    def requestReceived(self, command, path, version):  # Twisted's name
        # Daphne would let any client say with it under which path our pages are.
        self.requestHeaders.removeHeader(b"daphne-root-path")
        if not self.refused:
            super().requestReceived(command, path, version)

    def _refuse(self):
        if self.refused:
            return
        self.refused = True
        agent = self.requestHeaders.getRawHeaders(b"user-agent", [b""])[0]
        answer = too_large(agent)
        transport = self.channel.transport
        transport.write(
            b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s"
            % (answer.content_type, len(answer.body), answer.body)
        )
        transport.loseWriteConnection()
        reactor.callLater(LINGER, transport.abortConnection)


class FleetFactory(HTTPFactory):
    def buildProtocol(self, addr):  # Twisted's name
        protocol = super().buildProtocol(addr)
        protocol.requestFactory = BoundedRequest
        return protocol


# Daphne's run() makes its own factory and offers no other way to put ours in its place.
daphne.server.HTTPFactory = FleetFactory


class FleetServer(daphne.server.Server):
    """Serves until SIGINT or SIGTERM; ``ready`` is called on the loop once it listens."""

    def __init__(self, host, port, ready=lambda: None):
        super().__init__(
            application,
            endpoints=[f"tcp:port={port}:interface={host.replace(':', chr(92) + ':')}"],
            ready_callable=functools.partial(reactor.callWhenRunning, self._ready, ready),
            server_name=None,
            # Held polls and downloads last longer than any one value would allow.
            http_timeout=None,
            verbosity=1,
        )
        self.failed = False

    def _ready(self, ready):
        live.bind(asyncio.get_event_loop())
        gateway.start()
        ready()

    def kill_all_applications(self):
        """What Daphne does before it stops: it would cut off held polls, and trip over half-sent requests."""
        return Deferred.fromFuture(asyncio.ensure_future(self._drained()))

    async def _drained(self):
        """Every poll has its answer, and every batch its commit, before connections are cut."""
        await gateway.close()
        for _ in range(PATIENCE * 20):
            if not gateway.answering:
                break
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.05)  # Twisted writes the last answers on the loop's next rounds
        running = {
            found
            for connection in self.connections.values()
            if (found := connection.get("application_instance")) and not found.done()
        }
        for pending in running:
            pending.cancel()
        if running:
            await asyncio.wait(running, timeout=1)

    def listen_error(self, failure):
        self.failed = failure.getErrorMessage()
        super().listen_error(failure)
