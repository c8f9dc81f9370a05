"""How the app's HTTP client behaves: two connections, patience, replays, a fatal love of redirects."""

from functools import lru_cache

import httpx

from fleet.virtual.answers import Answer

CONNECT_PATIENCE, READ_PATIENCE = 10, 60  # phone seconds
LEAST_PATIENCE = 2  # real seconds, however fast the clock
REPLAYS = 3
REDIRECTS = (301, 302, 303, 307)


@lru_cache
def certificates():
    """One TLS context for all phones: making one takes longer than a poll."""
    return httpx.create_ssl_context()


class Connection:
    """The HTTP side of one phone. ``complaints`` is told of answers the real client handles badly."""

    def __init__(self, clock, complaints):
        self.complaints = complaints
        connect, read = (max(LEAST_PATIENCE, clock.real(s)) for s in (CONNECT_PATIENCE, READ_PATIENCE))
        self._client = httpx.AsyncClient(
            limits=httpx.Limits(max_connections=2, max_keepalive_connections=2),
            timeout=httpx.Timeout(connect=connect, read=read, write=read, pool=None),
            verify=certificates(),
            trust_env=False,
        )
        for header in ("accept", "accept-encoding"):
            del self._client.headers[header]

    async def aclose(self):
        await self._client.aclose()

    async def post(self, url, headers, body):
        """One exchange as an Answer; nothing is raised."""
        try:
            request = self._client.build_request("POST", url, headers=headers, content=body)
            if "User-Agent" not in headers:
                del request.headers["user-agent"]
            return await self._send(request)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as broken:
            return Answer(None, error=f"{type(broken).__name__}: {broken}")

    async def _send(self, request):
        """Repeat the request byte for byte while the server hangs up without a word."""
        copies = 1
        while True:
            try:
                response = await self._client.send(request, stream=True)
                break
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                if copies > REPLAYS:
                    raise
                copies += 1
        try:
            body = await response.aread()
        finally:
            await response.aclose()
        if response.status_code in REDIRECTS and request.method == "POST":
            return await self._follow(response)
        if response.headers.get("content-encoding"):
            self.complaints.append("a compressed answer")
        return Answer(response.status_code, body, response.headers.get("content-type", ""), copies=copies)

    async def _follow(self, response):
        self.complaints.append(f"a redirect ({response.status_code}): its GET counts as delivered")
        target = response.request.url.join(response.headers.get("location", ""))
        return await self._send(self._client.build_request("GET", target))
