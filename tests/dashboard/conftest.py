import pytest

from dashboard import live
from tests.factories import make_user


@pytest.fixture
def alice(client, db):
    """A client that is signed in."""
    client.force_login(make_user("alice"))
    return client


@pytest.fixture(autouse=True)
def _no_fragments_of_other_tests():
    live.fragments.clear()
