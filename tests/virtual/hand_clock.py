"""A clock that stands still until a test moves it."""

import heapq
from itertools import count


class HandClock:
    speed = 1

    def __init__(self):
        self.at = 0.0
        self._calls = []
        self._order = count()

    def now(self):
        return self.at

    def wall(self):
        return 1_700_000_000 + self.at

    def real(self, seconds):
        return seconds

    def call_later(self, seconds, call):
        heapq.heappush(self._calls, (self.at + seconds, next(self._order), call))

    def pass_(self, seconds):
        """Let so many seconds pass and everything due in them happen, in order."""
        end = self.at + seconds
        while self._calls and self._calls[0][0] <= end:
            self.at, _, call = heapq.heappop(self._calls)
            call()
        self.at = end
