"""A phone's radio: takes an SMS, says after a while what became of it, remembers what went out."""

import random
from collections import deque
from functools import partial
from typing import NamedTuple

CLEAN_ERRORS = ("generic failure", "no service", "radio off")
MODES = ("good", "bad", "timeout", "silent")
# Longer than the app waits for its radio, in phone seconds.
LATE = (31, 90)


class OnAir(NamedTuple):
    """An SMS that really went out, at a real time of day (seconds since 1970)."""

    at: float
    id: str | None
    to: str
    text: str


class Radio:
    """Sends what it is given, as its ``mode`` allows.

    ``good`` sends everything; ``bad`` fails a share ``failing`` of it with an error Android gives, sending
    nothing; ``timeout`` keeps quiet for longer than the app waits and then has really sent a share
    ``late_sent``; ``silent`` never says or sends anything. ``air`` holds every SMS that went out, the same
    one twice if it did. ``plan("sent", "no service", "late", "lost", ...)`` settles the next ones by hand:
    ``late`` is sent after the app's patience is over, ``lost`` has no result, other words are the error.
    """

    def __init__(self, clock, mode="good", failing=1.0, late_sent=0.5, took=(0.1, 0.3), rng=None):
        if mode not in MODES:
            raise ValueError(f"A radio is one of {', '.join(MODES)}, not {mode}.")
        self.clock = clock
        self.mode = mode
        self.failing = failing
        self.late_sent = late_sent
        self.took = took  # least and most phone seconds until a result
        self.rng = rng or random.Random()
        self.air = []
        self.tries = 0
        self._planned = deque()

    def plan(self, *outcomes):
        """What becomes of the next messages, in this order."""
        self._planned.extend(outcomes)

    def send(self, id, to, text, on_result):
        """Start sending; ``on_result(error)`` is called later with "" for success, or never."""
        self.tries += 1
        outcome = self._planned.popleft() if self._planned else self._outcome()
        if outcome == "lost":
            return
        wait = self.rng.uniform(*(LATE if outcome == "late" else self.took))
        self.clock.call_later(wait, partial(self._finish, outcome, id, to, text, on_result))

    def _outcome(self):
        if self.mode == "bad" and self.rng.random() < self.failing:
            return self.rng.choice(CLEAN_ERRORS)
        if self.mode == "timeout":
            return "late" if self.rng.random() < self.late_sent else "lost"
        return "lost" if self.mode == "silent" else "sent"

    def _finish(self, outcome, id, to, text, on_result):
        if outcome in ("sent", "late"):
            self.air.append(OnAir(self.clock.wall(), id, to, text))
            on_result("")
        else:
            on_result(outcome)
