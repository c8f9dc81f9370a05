"""Real servers for the tests of the endpoint, shared by its modules."""

import itertools
from urllib.parse import urlsplit

import pytest

from tests.captures import captures
from tests.gateway.client import Caller

PASSWORD = "a password, & ünusual"
# The server URLs the real phones of the captures were given, as far as they lead to the gateway's own path.
PUBLIC_URLS = sorted(
    {c.entry["server_url"] for c in captures() if urlsplit(c.entry["server_url"]).path == "/gateway/"}
    | {"http://127.0.0.1:8000/gateway/"}
)
_numbers = itertools.count(4915770000001)


@pytest.fixture(scope="session")
def gateway(start_server):
    """A server that gives up holding a poll quickly and trusts no proxy. It must never log a traceback."""
    server = start_server(FLEET_PUBLIC_URLS=",".join(PUBLIC_URLS), FLEET_LONG_POLL_SECONDS="0.3")
    yield server
    assert "Traceback" not in server.log()


@pytest.fixture(scope="session")
def patient_gateway(start_server):
    """A server that holds polls as long as real ones do, behind a proxy on this machine."""
    server = start_server(FLEET_TRUSTED_PROXIES="127.0.0.1")
    yield server
    assert "Traceback" not in server.log()


@pytest.fixture
def new_caller():
    """A new phone of a server: ``new_caller(server)``."""

    def make(server, *, url=None, password=PASSWORD):
        number = f"+{next(_numbers)}"
        server.manage("phone", "add", number, "--password", password)
        public = server.env.get("FLEET_PUBLIC_URLS", server.gateway_url)
        return Caller(number, password, url or public.split(",")[0])

    return make
