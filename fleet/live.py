"""Telling open pages and held polls that something changed, after commit, in tiny notes.

The domain says ``announce("phone", ids)`` as often as it likes; each transaction sends one note. The note
holds kinds and ids only: whoever shows them asks the database again. A broken channel layer is logged and
never fails the work it would have told about.

In the embedded mode the channel layer lives in the server's memory, which another process (the command line)
cannot reach: there a note becomes a row, which the server's next sweep forwards.
"""

import asyncio
import itertools
import logging
import os
import threading
import uuid

from asgiref.sync import async_to_sync
from channels.layers import InMemoryChannelLayer, get_channel_layer
from django.db import models, transaction

log = logging.getLogger(__name__)

GROUP = "live"  # notes for pages
WORK = "work"  # ids of phones whose held poll has something to fetch

_home: asyncio.AbstractEventLoop | None = None
_numbers = itertools.count(1)
_sender = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
_collected = threading.local()


class EmbeddedLayer(InMemoryChannelLayer):
    """The in-memory layer, safe to call from any thread: every call runs on the server's own loop.

    The stock one completes futures from foreign threads without waking the loop and loses some.
    """

    needs_home = True

    async def _at_home(self, call):
        if _home is None or _home is asyncio.get_running_loop():
            return await call
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call, _home))

    async def send(self, channel, message):
        return await self._at_home(super().send(channel, message))

    async def group_send(self, group, message):
        return await self._at_home(super().group_send(group, message))

    async def group_add(self, group, channel):
        return await self._at_home(super().group_add(group, channel))

    async def group_discard(self, group, channel):
        return await self._at_home(super().group_discard(group, channel))


class PendingNote(models.Model):
    """A note written by a process that cannot reach the server's memory; forwarded and deleted by a sweep."""

    group = models.CharField(max_length=20)
    message = models.JSONField()


def bind(loop):
    """Say which event loop serves this process; called once, when the server is ready."""
    global _home
    _home = loop


def announce(kind, ids):
    """Note that the rows ``ids`` of ``kind`` (phone, message, incoming, problem) look different now."""
    _collect(kind, ids)


def work_for(phone_ids):
    """Wake the held polls of these phones: there is something to fetch."""
    _collect(WORK, phone_ids)


def _collect(kind, ids):
    """Add to the note of the running transaction; sent on commit, forgotten on rollback."""
    connection = transaction.get_connection()
    if not connection.in_atomic_block:
        _dispatch({kind: set(ids)})
        return
    # A rollback drops the hook without running it: a note without its hook belongs to a lost transaction.
    if not any(hook is _send_collected for _, hook, *_ in connection.run_on_commit):
        _collected.note = {}
        transaction.on_commit(_send_collected)
    _collected.note.setdefault(kind, set()).update(ids)


def _send_collected():
    note, _collected.note = _collected.note, {}
    _dispatch(note)


def _dispatch(note):
    if phones := note.pop(WORK, None):
        deliver(WORK, {"type": "work.note", "phones": sorted(phones)})
    kinds = {kind: sorted(ids) for kind, ids in note.items() if ids}
    if kinds:
        deliver(GROUP, {"type": "live.note", "sender": _sender, "seq": next(_numbers), "kinds": kinds})


def deliver(group, message):
    """Hand ``message`` to everyone in ``group``, without waiting where that is possible; never raises."""
    layer = get_channel_layer()
    try:
        if _home is not None and _home.is_running():
            future = asyncio.run_coroutine_threadsafe(layer.group_send(group, message), _home)
            future.add_done_callback(_log_failure)
        elif getattr(layer, "needs_home", False):
            PendingNote.objects.create(group=group, message=message)
        else:
            async_to_sync(layer.group_send)(group, message)
    except Exception:
        log.exception("A note to %s was lost", group)


def _log_failure(future):
    if not future.cancelled() and (error := future.exception()):
        log.error("A note was lost: %s", error)


def forward_pending():
    """Send the notes that other processes left as rows. Only a process that can reach the pages does it."""
    if getattr(get_channel_layer(), "needs_home", False) and _home is None:
        return
    for note in PendingNote.objects.order_by("pk")[:500]:
        if PendingNote.objects.filter(pk=note.pk).delete()[0]:
            message = note.message
            if message["type"] == "live.note":
                message |= {"sender": _sender, "seq": next(_numbers)}
            deliver(note.group, message)
