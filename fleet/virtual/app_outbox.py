"""The app's queue of outgoing SMS, as EnvayaSMS 2.0 to 3.0.1 keep it.

Two messages at most are in the radio; the rest wait by priority, then arrival. What fails is tried five times
and reported as failed after each; what the radio does not answer within 30 s counts as failed although it may
still go out. 100 SMS parts may be sent per package and 3605 s, every try counts, and the head of the queue
holds up all behind it. All durations are phone seconds.
"""

import heapq
from collections import deque
from functools import partial

from fleet import segments

IN_RADIO = 2
RETRIES = ((20, "20 seconds"), (300, "5 minutes"), (3600, "1 hour"), (86400, "1 day"))
RADIO_PATIENCE = 30
REMEMBERED = 100
PARTS_PER_PACKAGE = 100
WINDOW = 3605
TIMEOUT = "Timeout while attempting to send message"
ORDINALS = ("1st", "2nd", "3rd", "4th", "5th")


class Sms:
    """One message on the phone. ``state`` is queued, radio, scheduled or given_up."""

    __slots__ = ("id", "key", "to", "text", "priority", "order", "parts", "failures", "state", "turn")

    def __init__(self, id, to, text, priority, order):
        self.id, self.to, self.text, self.priority, self.order = id, to, text, priority, order
        self.key = object() if id is None else id  # messages without an id are all different
        self.parts = segments.parts(text)
        self.failures = 0
        self.state = "queued"
        self.turn = 0  # tells timers and radio results of this try from those of earlier ones


class AppOutbox:
    """The queue of one app.

    ``report(action, **fields)`` posts to the server and must not block; ``log(line)`` writes to the app's
    log; ``allowed(number)`` says whether the app's settings let it send there.
    """

    def __init__(self, clock, radio, report, *, version=30, packages=1, log=None, allowed=None):
        self.clock, self.radio, self.report, self.version = clock, radio, report, version
        self.log = log or (lambda line: None)
        self.allowed = allowed or (lambda number: True)
        self._packages = packages
        self._arrived = 0
        self._forget_everything()

    def _forget_everything(self):
        self._known = {}
        self._queue = []
        self._remembered = deque(maxlen=REMEMBERED)
        self._used = [deque() for _ in range(self._packages)]
        self._opens_at = None
        self.in_radio = 0

    @property
    def send_limit(self):
        """SMS parts an hour, over all packages."""
        return PARTS_PER_PACKAGE * self._packages

    @property
    def waiting(self):
        """Messages that are on the phone and not in the radio."""
        return [sms for sms in self._known.values() if sms.state != "radio"]

    def state_of(self, id):
        """queued, radio, scheduled, given_up, or None where the phone does not hold it."""
        sms = self._known.get(id)
        return sms and sms.state

    # ── What the server asks ───────────────────────────────────────────────────────────────────────

    def offer(self, id, to, text, priority=0):
        """Take a message, unless it is here already or was sent lately."""
        if id is not None and id in self._known:
            return
        if id is not None and id in self._remembered:
            self._status(id, "sent")
            return
        sms = Sms(id, to, text, priority, self._arrived)
        refusal = self._refusal(sms)
        if refusal:
            self.log(f"Could not send SMS: {refusal}")
            self._status(id, "failed", refusal)
            return
        self._arrived += 1
        self._known[sms.key] = sms
        self._enqueue(sms)
        self._fill_radio()

    def _refusal(self, sms):
        if not sms.to:
            return "Destination address is empty"
        if not self.allowed(sms.to):
            return "Destination address is not allowed"
        if not sms.text:
            return "Message body is empty"
        if sms.parts > PARTS_PER_PACKAGE:
            return "Message has too many parts"
        return ""

    def cancel(self, id):
        """The server's cancel: silence for what is in the radio, unknown or sent."""
        if self.state_of(id) not in (None, "radio"):
            self.delete(id)

    def cancel_all(self):
        """What the app really does with a cancel_all: one message goes (True), then its loop breaks."""
        for sms in self.waiting:
            self.delete(sms.key)
            return True
        return False

    # ── What its owner and Android do ──────────────────────────────────────────────────────────────

    def delete(self, id):
        """The owner deletes a message, even one in the radio; a radio result that comes later is dropped."""
        sms = self._known.pop(id, None)
        if sms is None:
            return
        if sms.state == "radio":
            self.in_radio -= 1
        sms.state, sms.turn = "deleted", sms.turn + 1
        self._status(sms.id, "cancelled" if self.version >= 18 else "failed", "deleted by user")
        self._fill_radio()

    def retry_all(self):
        """The owner presses retry: everything that waits for a later try goes back to the queue."""
        for sms in self.waiting:
            if sms.state in ("scheduled", "given_up"):
                self._enqueue(sms)
        self._fill_radio()

    def restart(self):
        """The app starts anew. From 3.0 on it keeps what never failed, even in the radio; the rest goes."""
        kept = [sms for sms in self._known.values() if self.version >= 30 and not sms.failures]
        for sms in self._known.values():
            sms.turn += 1
        self._forget_everything()
        for sms in sorted(kept, key=lambda sms: sms.order):
            self._known[sms.key] = sms
            self._enqueue(sms)
        self._fill_radio()

    # ── Sending ────────────────────────────────────────────────────────────────────────────────────

    def _enqueue(self, sms):
        sms.state = "queued"
        sms.turn += 1
        heapq.heappush(self._queue, (-sms.priority, sms.order, sms.turn, sms))

    def _head(self):
        while self._queue:
            _, _, turn, sms = self._queue[0]
            if sms.state == "queued" and sms.turn == turn:
                return sms
            heapq.heappop(self._queue)
        return None

    def _fill_radio(self):
        while self.in_radio < IN_RADIO and self._opens_at is None:
            sms = self._head()
            if sms is None:
                return
            package = self._package_with_room(sms.parts)
            if package is None:
                self._close(sms.parts)
                return
            heapq.heappop(self._queue)
            package.extend([self.clock.now()] * sms.parts)
            self._put_in_radio(sms)

    def _package_with_room(self, parts):
        expired = self.clock.now() - WINDOW + 1e-6
        for used in self._used:
            while used and used[0] <= expired:
                used.popleft()
            if len(used) + parts <= PARTS_PER_PACKAGE:
                return used
        return None

    def _close(self, parts):
        """Wait, with everything behind the head, until one package has room for this many parts."""
        opens_at = min(used[len(used) + parts - PARTS_PER_PACKAGE - 1] for used in self._used) + WINDOW
        self._opens_at = opens_at
        self.report("device_status", status="send_limit_exceeded")
        self.clock.call_later(opens_at - self.clock.now(), partial(self._reopen, opens_at))

    def _reopen(self, opens_at):
        if self._opens_at == opens_at:
            self._opens_at = None
            self._fill_radio()

    def _put_in_radio(self, sms):
        sms.state = "radio"
        sms.turn += 1
        self.in_radio += 1
        self.log(self._words("Sending SMS", sms.id, sms.to))
        on_result = partial(self._radio_said, sms, sms.turn)
        self.radio.send(sms.id, sms.to, sms.text, on_result)
        if self.version >= 18:
            self.clock.call_later(RADIO_PATIENCE, partial(on_result, TIMEOUT))

    def _radio_said(self, sms, turn, error):
        if sms.turn != turn:
            return  # deleted, restarted, or the app's patience was over: a late success is dropped too
        self.in_radio -= 1
        sms.turn += 1
        if error:
            self._failed(sms, error)
        else:
            del self._known[sms.key]
            if self.version > 13 and sms.id is not None:
                self._remembered.append(sms.id)
            self._status(sms.id, "sent")
        self._fill_radio()

    def _failed(self, sms, error):
        sms.failures += 1
        which = ORDINALS[min(sms.failures, len(ORDINALS)) - 1]
        if sms.failures <= len(RETRIES):
            delay, words = RETRIES[sms.failures - 1]
            sms.state = "scheduled"
            self.log(f"{which} failure; retry in {words}")
            self.clock.call_later(delay, partial(self._try_again, sms, sms.turn))
        else:
            sms.state = "given_up"
            self.log(f"{which} failure; giving up")
        self._status(sms.id, "failed", error)

    def _try_again(self, sms, turn):
        if sms.turn == turn and sms.state == "scheduled":
            self._enqueue(sms)
            self._fill_radio()

    def _status(self, id, status, error=""):
        """Tell the server, once. What has no id has no status."""
        if id is None:
            return
        outcome = {
            "sent": "sent successfully",
            "failed": f"could not be sent ({error})",
            "cancelled": "cancelled",
        }
        words = self._words("Notifying server SMS", id)
        self.log(f"{words} {outcome[status]}")
        self.report("send_status", id=id, status=status, error=error)

    def _words(self, words, id, to=""):
        """The log said ever less of the message: its id up to 2.0.4, its number up to 2.0.5."""
        if self.version <= 17:
            words += f" id={id}"
        return f"{words} to {to}" if to and self.version <= 18 else words
