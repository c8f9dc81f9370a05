"""Real servers for the tests of the endpoint, shared by its modules."""

import itertools
from urllib.parse import urlsplit

import pytest

from tests.captures import captures
from tests.gateway.client import URL, Caller

PASSWORD = "a password, & ünusual"
# The server URLs the real phones of the captures were given, as far as they lead to the gateway's own path.
PUBLIC_URLS = sorted(
    {c.entry["server_url"] for c in captures() if urlsplit(c.entry["server_url"]).path == "/gateway/"} | {URL}
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


@pytest.fixture(scope="session")
def new_caller():
    """A new phone of a server: ``new_caller(server)``. Registered in dozens, which is much quicker."""
    stock = {}

    def make(server, *, url=None):
        if not stock.get(id(server)):
            stock[id(server)] = register(server, 40)
        return Caller(stock[id(server)].pop(), PASSWORD, url or URL)

    return make


def register(server, count):
    """Register so many phones with PASSWORD; their numbers."""
    numbers = [f"+{next(_numbers)}" for _ in range(count)]
    loop = f"[phones.register(number, {PASSWORD!r}, '') for number in {numbers!r}]"
    server.manage("shell", "--verbosity", "0", "-c", f"from fleet import phones\n{loop}")
    return numbers
