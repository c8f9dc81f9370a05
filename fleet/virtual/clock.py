"""A phone's sense of time. Durations are the protocol's seconds and pass ``speed`` times as fast;
what a phone reports as a time of day stays real."""

import asyncio
import time


class Clock:
    """Lets ``speed`` seconds of a phone's life pass in one real second."""

    def __init__(self, speed=1):
        if speed <= 0:
            raise ValueError("The speed of the clock must be above 0.")
        self.speed = speed

    def now(self):
        """Phone seconds since some moment; only differences mean anything."""
        return time.monotonic() * self.speed

    def wall(self):
        """The real time of day, in seconds since 1970."""
        return time.time()

    def real(self, seconds):
        """How many real seconds so many phone seconds take."""
        return seconds / self.speed

    async def sleep(self, seconds):
        """Wait for so many phone seconds."""
        await asyncio.sleep(self.real(seconds))

    def call_later(self, seconds, call):
        """Call ``call()`` after so many phone seconds, on the running event loop."""
        asyncio.get_running_loop().call_later(self.real(seconds), call)
