"""The WebSocket of an open page: hears notes, paints what its page shows of them."""

import asyncio
import json
import logging

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.http import QueryDict

from dashboard import live
from fleet.live import GROUP

log = logging.getLogger(__name__)

# The first note paints at once; those that follow are collected for this long, in seconds.
COLLECT_SECONDS = 0.25
AGAIN = json.dumps({"again": True})


class LiveConsumer(AsyncWebsocketConsumer):
    async def connect(self):
        user = self.scope.get("user")
        params = QueryDict(self.scope.get("query_string", b""))
        make = live.PAGES.get(params.get("page", ""))
        if make is None or user is None or not user.is_authenticated:
            await self.close()
            return
        self._heard, self._kinds, self._again, self._painting = {}, {}, False, None
        self._page = make(params)
        # First the group, then the look at the rows: what changes in between is noted, not missed.
        await self.channel_layer.group_add(GROUP, self.channel_name)
        await database_sync_to_async(self._page.start)()
        await self.accept()

    async def disconnect(self, code):
        await self.channel_layer.group_discard(GROUP, self.channel_name)
        if getattr(self, "_painting", None):
            self._painting.cancel()

    async def live_note(self, note):
        """A note of fleet.live: ``sender``, its running number ``seq``, and ``kinds`` of ids."""
        last = self._heard.get(note["sender"])
        if last is not None and note["seq"] > last + 1:
            self._again = True  # a note was lost on the way
        self._heard[note["sender"]] = max(note["seq"], last or 0)
        for kind, ids in note["kinds"].items():
            self._kinds.setdefault(kind, set()).update(ids)
        if self._painting is None:
            self._painting = asyncio.create_task(self._paint())

    async def _paint(self):
        try:
            while self._kinds or self._again:
                noted = live.Noted(self._kinds, tuple(sorted(self._heard.items())))
                again, self._kinds, self._again = self._again, {}, False
                for frame in await self._frames(noted, again):
                    await self.send(text_data=frame)
                await asyncio.sleep(COLLECT_SECONDS)
        finally:
            self._painting = None

    async def _frames(self, noted, again):
        if not again:
            try:
                return await database_sync_to_async(self._page.paint)(noted)
            except live.Again:
                pass
            except Exception:
                log.exception("A live page could not be painted")
        await database_sync_to_async(self._page.start)()
        return [AGAIN]
