"""Open pages: who may listen, what is painted when, and when the page is asked to fetch instead."""

import contextlib
import json

import pytest
from asgiref.sync import sync_to_async
from channels.auth import AuthMiddlewareStack
from channels.layers import get_channel_layer
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser
from django.db import connections
from django.http import QueryDict

from dashboard import live
from dashboard.consumers import LiveConsumer
from dashboard.routing import websocket_urlpatterns
from fleet import clock, phones
from fleet.live import GROUP
from fleet.outbox import Message
from fleet.phones import Phone
from tests.dashboard.helpers import make_busy_phone, message_on
from tests.factories import make_incoming, make_message, make_phone, make_user

VERSION = iter(range(10_000))


def opened(page, query=""):
    made = live.PAGES[page](QueryDict(query))
    made.start()
    return made


def painted(page, **kinds):
    noted = live.Noted({kind: set(ids) for kind, ids in kinds.items()}, (next(VERSION),))
    return plain("".join(page.paint(noted)))


def plain(html):
    """HTML without its indentation."""
    return " ".join(html.split()).replace(" >", ">")


# ── What is painted ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db
def test_a_phone_is_painted_by_the_template_of_the_page(alice):
    phone = make_phone(label="Moshi", battery=80)
    page = opened("fleet")
    phones.change(phone, battery=42)
    html = painted(page, phone=[phone.pk])
    tile = html[html.index('<a class="tile') :]
    tile = tile[: tile.index("</a>")].replace(' hx-swap-oob="morph"', "").replace(" >", ">")
    assert "42 %" in tile
    shown = plain(alice.get("/").content.decode())
    assert live.TICKING.sub("", tile) in live.TICKING.sub("", shown)


@pytest.mark.django_db
def test_what_did_not_change_is_not_sent_again():
    phone = make_phone(battery=80)
    page = opened("fleet")
    assert f'id="phone-{phone.pk}"' in painted(page, phone=[phone.pk])
    assert painted(page, phone=[phone.pk]) == ""


@pytest.mark.django_db
def test_a_fragment_is_rendered_once_however_many_watch(monkeypatch):
    phone = make_phone()
    pages = [opened("fleet") for _ in range(5)]
    rendered = []
    real = live.render_to_string
    monkeypatch.setattr(live, "render_to_string", lambda name, *rest: rendered.append(name) or real(name, *rest))
    noted = live.Noted({"phone": {phone.pk}}, ("same",))
    frames = {"".join(page.paint(noted)) for page in pages}
    assert len(frames) == 1
    assert rendered.count("fleet/_tile.html") == rendered.count("fleet/_counters.html") == 1


@pytest.mark.django_db
@pytest.mark.parametrize("query", ["", "state=online"])
def test_a_phone_that_changes_its_group_or_leaves_makes_the_page_fetch(query):
    phone = make_phone()
    page = opened("fleet", query)
    Phone.objects.filter(pk=phone.pk).update(state="offline", updated_at=clock.now())
    with pytest.raises(live.Again):
        painted(page, phone=[phone.pk])


@pytest.mark.django_db
def test_a_phone_outside_the_filter_is_not_painted():
    phone = make_phone(label="Arusha")
    html = painted(opened("fleet", "q=moshi"), phone=[phone.pk])
    assert f"phone-{phone.pk}" not in html


@pytest.mark.django_db
def test_a_new_message_goes_to_the_top_of_the_list_and_later_changes_in_place():
    make_message(text="the first")
    page = opened("messages")
    message = make_message(text="the second")
    assert 'hx-swap-oob="afterbegin:#message-rows"' in painted(page, message=[message.pk])
    Message.objects.filter(pk=message.pk).update(state="sent", updated_at=clock.now())
    html = painted(page, message=[message.pk])
    assert f'<tr id="message-{message.pk}" data-wash hx-swap-oob="morph">' in html and "Sent" in html


@pytest.mark.django_db
def test_a_message_that_leaves_the_filter_is_taken_away():
    make_message()
    message = make_message()
    page = opened("messages", "state=waiting")
    Message.objects.filter(pk=message.pk).update(state="sent", updated_at=clock.now())
    assert f'<tr id="message-{message.pk}" hx-swap-oob="delete"></tr>' in painted(page, message=[message.pk])


@pytest.mark.django_db
def test_an_older_page_says_how_many_are_newer_instead_of_jumping():
    messages = [make_message() for _ in range(3)]
    page = opened("messages", f"before={messages[2].pk}")
    new = make_message()
    html = painted(page, message=[new.pk])
    assert "1 new since this page" in html and "afterbegin" not in html


@pytest.mark.django_db
def test_the_first_row_of_an_empty_list_makes_the_page_fetch():
    page = opened("incoming")
    incoming = make_incoming()
    with pytest.raises(live.Again):
        painted(page, incoming=[incoming.pk])


@pytest.mark.django_db
def test_more_than_two_hundred_ids_make_the_page_fetch():
    with pytest.raises(live.Again):
        painted(opened("messages"), message=range(1, 202))


@pytest.mark.django_db
def test_a_phones_page_hears_of_its_own_rows_only():
    mine, other = make_busy_phone(), make_busy_phone()
    page = opened("phone", f"id={mine.pk}")
    theirs = message_on(other)
    html = painted(page, phone=[other.pk], message=[theirs.pk])
    assert "phone-facts" not in html and "phone-messages" not in html
    html = painted(page, phone=[mine.pk], message=[message_on(mine).pk], incoming=[make_incoming(mine).pk])
    for part in ("phone-facts", "phone-events", "phone-log", "phone-messages", "phone-incoming"):
        assert f'id="{part}"' in html


@pytest.mark.django_db
def test_two_phones_pages_do_not_share_their_facts():
    one, two = make_phone(label="One"), make_phone(label="Two")
    noted = live.Noted({"phone": {one.pk, two.pk}}, ("same",))
    html = ["".join(opened("phone", f"id={phone.pk}").paint(noted)) for phone in (one, two)]
    assert "<h1>One</h1>" in html[0] and "<h1>Two</h1>" in html[1]


@pytest.mark.django_db
@pytest.mark.parametrize("page", [name for name in live.PAGES if name != "fleet"])
@pytest.mark.parametrize("query", ["", "id=x", "id=999999", "before=-1&state=%00&kind=x"])
def test_odd_parameters_break_no_page(page, query):
    phone = make_busy_phone()
    message = message_on(phone)
    with contextlib.suppress(live.Again):
        painted(opened(page, query), phone=[phone.pk], message=[message.pk], incoming=[1], problem=[1])


# ── Who may listen, and how notes become frames ────────────────────────────────────────────────────


@pytest.fixture
async def threads_closed():
    """Lets go of the connections that consumers opened in other threads: PostgreSQL drops no database in use."""
    yield
    await sync_to_async(connections.close_all)()


pages_listen = pytest.mark.usefixtures("threads_closed")


def socket(user, query="page=fleet"):
    communicator = WebsocketCommunicator(LiveConsumer.as_asgi(), f"/live/?{query}")
    communicator.scope["user"] = user
    return communicator


def note(seq=1, sender="a", **kinds):
    return {"type": "live.note", "sender": sender, "seq": seq, "kinds": kinds}


async def announce(*args, **kinds):
    await get_channel_layer().group_send(GROUP, note(*args, **kinds))


async def frames(communicator):
    """All that comes until the page is quiet."""
    found = []
    while not await communicator.receive_nothing(timeout=0.4):
        found.append(await communicator.receive_from())
    return found


@pages_listen
@pytest.mark.django_db(transaction=True)
async def test_a_stranger_or_an_unknown_page_is_turned_away():
    user = await sync_to_async(make_user)()
    for who, query in ((AnonymousUser(), "page=fleet"), (user, "page=secrets"), (user, "")):
        accepted, _code = await socket(who, query).connect()
        assert not accepted
    routed = AuthMiddlewareStack(URLRouter(websocket_urlpatterns))
    accepted, _code = await WebsocketCommunicator(routed, "/live/?page=fleet").connect()
    assert not accepted


@pages_listen
@pytest.mark.django_db(transaction=True)
async def test_a_note_paints_at_once_and_those_after_it_together():
    user, phone = await sync_to_async(make_user)(), await sync_to_async(make_phone)()
    communicator = socket(user, "page=messages")
    assert (await communicator.connect())[0]
    older = await sync_to_async(make_message)()
    await announce(1, phone=[phone.pk], message=[older.pk])
    assert json.loads((await frames(communicator))[0]) == {"again": True}
    new = [await sync_to_async(make_message)(text=f"text {count}") for count in range(3)]
    for seq, message in enumerate(new, 2):
        await announce(seq, message=[message.pk])
    rows = [frame for frame in await frames(communicator) if "afterbegin" in frame]
    assert "text 0" in rows[0]
    assert len(rows) <= 2 and "text 1" in rows[-1] and "text 2" in rows[-1]
    await communicator.disconnect()


@pages_listen
@pytest.mark.django_db(transaction=True)
async def test_a_lost_note_makes_the_page_fetch_but_another_sender_does_not():
    user, phone = await sync_to_async(make_user)(), await sync_to_async(make_phone)()
    communicator = socket(user)
    assert (await communicator.connect())[0]
    await announce(7, phone=[phone.pk])
    assert not any(frame.startswith("{") for frame in await frames(communicator))
    await announce(1, "b", phone=[phone.pk])
    await announce(8, phone=[phone.pk])
    assert not any(frame.startswith("{") for frame in await frames(communicator))
    await announce(10, phone=[phone.pk])
    assert await frames(communicator) == [json.dumps({"again": True})]
    await communicator.disconnect()


@pages_listen
@pytest.mark.django_db(transaction=True)
async def test_a_page_that_cannot_be_painted_fetches_and_lives_on(monkeypatch):
    user, phone = await sync_to_async(make_user)(), await sync_to_async(make_phone)()
    communicator = socket(user)
    assert (await communicator.connect())[0]
    with monkeypatch.context() as broken:
        broken.setattr(live.FleetPage, "frames", lambda page, noted: 1 / 0)
        await announce(1, phone=[phone.pk])
        assert await frames(communicator) == [json.dumps({"again": True})]
    await announce(2, phone=[phone.pk])
    assert any(f'id="phone-{phone.pk}"' in frame for frame in await frames(communicator))
    await communicator.disconnect()


async def test_a_socket_to_a_path_that_is_none_of_ours_is_refused():
    accepted, _code = await WebsocketCommunicator(URLRouter(websocket_urlpatterns), "/elsewhere/").connect()
    assert not accepted
