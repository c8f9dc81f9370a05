import asyncio
import threading

import pytest
from channels.layers import get_channel_layer
from django.db import transaction

from fleet import live
from fleet.live import PendingNote


@pytest.fixture
def notes(monkeypatch):
    """What would be handed to pages and polls, as (group, message)."""
    delivered = []
    monkeypatch.setattr(live, "deliver", lambda group, message: delivered.append((group, message)))
    return delivered


@pytest.mark.django_db(transaction=True)
def test_a_transaction_sends_one_note_however_much_it_changed(notes):
    with transaction.atomic():
        live.announce("phone", [3, 1])
        live.announce("message", [7])
        with transaction.atomic():
            live.announce("phone", [2, 3])
        assert notes == []
    ((group, note),) = notes
    assert (group, note["type"]) == ("live", "live.note")
    assert note["kinds"] == {"phone": [1, 2, 3], "message": [7]}


@pytest.mark.django_db(transaction=True)
def test_polls_are_woken_by_a_note_of_their_own(notes):
    with transaction.atomic():
        live.announce("message", [7])
        live.work_for([2, 1])
    assert [(group, note["type"]) for group, note in notes] == [("work", "work.note"), ("live", "live.note")]
    assert notes[0][1]["phones"] == [1, 2]


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_is_rolled_back_says_nothing(notes):
    with pytest.raises(RuntimeError), transaction.atomic():
        live.announce("phone", [1])
        raise RuntimeError
    with transaction.atomic():
        live.announce("phone", [2])
    ((_, note),) = notes
    assert note["kinds"] == {"phone": [2]}


@pytest.mark.django_db(transaction=True)
def test_after_an_inner_rollback_the_rest_of_the_transaction_is_still_told(notes):
    with transaction.atomic():
        with pytest.raises(RuntimeError), transaction.atomic():
            live.announce("phone", [1])
            raise RuntimeError
        live.announce("phone", [2])
    ((_, note),) = notes
    assert note["kinds"] == {"phone": [2]}


@pytest.mark.django_db(transaction=True)
def test_without_a_transaction_a_note_goes_at_once(notes):
    live.announce("incoming", [5])
    assert notes[0][1]["kinds"] == {"incoming": [5]}


@pytest.mark.django_db(transaction=True)
def test_nothing_changed_is_nothing_said(notes):
    live.announce("phone", [])
    live.work_for(set())
    with transaction.atomic():
        live.announce("message", [])
    assert notes == []


@pytest.mark.django_db(transaction=True)
def test_notes_of_one_sender_are_numbered(notes):
    live.announce("phone", [1])
    live.announce("phone", [1])
    first, second = (note for _, note in notes)
    assert first["sender"] == second["sender"] and first["seq"] < second["seq"]


# ── Delivery ───────────────────────────────────────────────────────────────────────────────────────


class BrokenLayer:
    async def group_send(self, group, message):
        raise ConnectionError("Redis is gone")


@pytest.fixture
def server_loop(monkeypatch):
    """An event loop in a thread of its own, as the server's."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    monkeypatch.setattr(live, "_home", loop)
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def on(loop, coroutine):
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result(5)


@pytest.mark.django_db(transaction=True)
def test_a_broken_channel_layer_does_not_break_the_work(monkeypatch, caplog):
    monkeypatch.setattr(live, "get_channel_layer", BrokenLayer)
    live.announce("phone", [1])
    assert "lost" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_channel_layer_that_breaks_later_is_logged(monkeypatch, caplog, server_loop):
    monkeypatch.setattr(live, "get_channel_layer", BrokenLayer)
    live.announce("phone", [1])
    on(server_loop, asyncio.sleep(0))
    assert "Redis is gone" in caplog.text


@pytest.fixture
def embedded(settings):
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "fleet.live.EmbeddedLayer"}}


@pytest.mark.django_db(transaction=True)
def test_another_process_leaves_a_note_that_the_servers_sweep_forwards(embedded, server_loop, monkeypatch):
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(live, "_home", None)
        live.announce("phone", [1])
        live.work_for([2])
        assert PendingNote.objects.count() == 2
        live.forward_pending()  # not the server: nobody would hear it
        assert PendingNote.objects.count() == 2

    async def listen():
        layer = get_channel_layer()
        await layer.group_add("live", "page!1")
        await layer.group_add("work", "poll!1")

    on(server_loop, listen())
    live.forward_pending()
    assert not PendingNote.objects.exists()
    page = on(server_loop, get_channel_layer().receive("page!1"))
    poll = on(server_loop, get_channel_layer().receive("poll!1"))
    assert page["kinds"] == {"phone": [1]}
    assert page["seq"] and page["sender"] == live._sender
    assert poll["phones"] == [2]


@pytest.mark.django_db(transaction=True)
def test_any_thread_reaches_a_page_that_waits_on_the_servers_loop(embedded, server_loop):
    layer = get_channel_layer()

    async def wait_for_a_note():
        await layer.group_add("live", "page!1")
        return await layer.receive("page!1")

    waiting = asyncio.run_coroutine_threadsafe(wait_for_a_note(), server_loop)
    on(server_loop, asyncio.sleep(0))
    threads = [threading.Thread(target=lambda: asyncio.run(layer.group_send("live", {"type": "x"}))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert waiting.result(5) == {"type": "x"}
