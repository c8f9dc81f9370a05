"""A virtual phone: the EnvayaSMS app speaking to a server over real HTTP.

    async with VirtualPhone(number="+447700900001", password="secret", server_url=url) as phone:
        await phone.poll()
        await phone.until(lambda: phone.radio.air)

Durations are phone seconds (see ``clock``), times of day are real. Known limits stand in the class.
"""

import asyncio
import random
import time
from functools import partial

from fleet.virtual import answers, requests
from fleet.virtual.answers import Answer, Indigestible
from fleet.virtual.app_outbox import AppOutbox
from fleet.virtual.clock import Clock
from fleet.virtual.connection import Connection
from fleet.virtual.phone_settings import AppSettings, Crash
from fleet.virtual.radio import Radio

INCOMING_RETRIES = (20, 300, 3600, 86400)
LOG_STAMP_EVERY = 60  # real seconds between the lines that say what time it is


class Kept:
    """An incoming message the phone holds until the server has taken it."""

    def __init__(self, action, fields, parts, received_at):
        self.action, self.fields, self.parts, self.received_at = action, fields, parts, received_at
        self.failures = 0
        self.under_way = False


class VirtualPhone:
    """One phone. It does nothing by itself until ``run``; ``poll``, ``post``, ``receive_*`` work at any time.

    ``complaints`` collects what in the server's answers the real app could not have digested. Not modelled:
    AMQP, network fail-over, and Android's own question above 30 SMS in 30 minutes.
    """

    def __init__(
        self, number, password, server_url, version=30, speed=1, interval=10, seed=None, clock=None,
        radio=None, packages=1, maker="HTC", model="Wildfire S A510e", sdk=10, battery=87, power=1, network="WIFI",
        phone_id="", phone_token="",
    ):  # fmt: skip
        self.version = version
        self.clock = clock or Clock(speed)
        self.rng = random.Random(seed)
        self.radio = radio or Radio(self.clock, rng=self.rng)
        self.settings = AppSettings(server_url, number, password, interval)
        self.battery, self.power, self.network = battery, power, network  # battery None: it does not say
        self.phone_id, self.phone_token = phone_id, phone_token
        self.user_agent = requests.user_agent(version, sdk, maker, model)
        self.online = True  # False: no network, nothing reaches the server
        self.crashed = ""  # why the app can make no requests any more
        self.complaints = []
        self.requests = self.failures = 0
        self.kept = []
        self.outbox = AppOutbox(
            self.clock, self.radio, self._report, version=version, packages=packages, log=self.log,
            allowed=lambda to: self.settings.allows(to),
        )  # fmt: skip
        self._log, self._log_start, self._log_stamp = "", 0, 0.0
        self._polling = self._poll_again = self._closed = False
        self._timer = asyncio.Event()
        self._tasks = set()
        self._connection = None

    @property
    def number(self):
        return self.settings.phone_number

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.aclose()

    async def aclose(self):
        """Break off whatever is under way."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._connection:
            await self._connection.aclose()

    # ── Living ─────────────────────────────────────────────────────────────────────────────────────

    async def run(self, after=0):
        """Start the app after so many seconds and poll at its interval until cancelled."""
        await self.clock.sleep(after)
        self._started()
        while True:
            self._timer.clear()
            interval = self.settings.outgoing_interval
            if interval > 0 and self.settings.enabled:
                self._spawn(self.poll())
            try:
                patience = self.clock.real(interval) if interval > 0 else None
                await asyncio.wait_for(self._timer.wait(), patience)
            except TimeoutError:
                continue

    def restart(self):
        """The app is started anew: its log, what failed once and the posts under way are lost."""
        for task in self._tasks:
            task.cancel()
        for kept in self.kept:
            kept.under_way = False
        self._log_start += len(self._log)
        self._log, self._log_stamp = "", 0.0
        self.outbox.restart()
        self._started()
        self._timer.set()
        self._try_kept()

    def disconnect(self):
        """Lose the network."""
        self.online = False

    def connect(self, network="WIFI"):
        """Have a network again; what could not be forwarded is tried at once."""
        self.online, self.network = True, network
        self._try_kept()

    async def until(self, happened, timeout=10):
        """Wait until ``happened()`` is true; TimeoutError after so many real seconds."""
        end = time.monotonic() + timeout
        while not happened():
            if time.monotonic() > end:
                raise TimeoutError("It did not happen in time.")
            await asyncio.sleep(0.01)

    async def rest(self, timeout=10):
        """Wait until nothing is being posted and nothing is in the radio."""
        await self.until(lambda: not self._tasks and not self.outbox.in_radio, timeout)

    def log(self, line):
        """Write to the app's log, which goes out with the next requests (2.0.1 and later)."""
        if self.version <= 13:
            return
        if time.monotonic() - self._log_stamp > LOG_STAMP_EVERY or not self._log_stamp:
            self._log_stamp = time.monotonic()
            self._log += time.strftime("[%I:%M:%S %p]\n", time.localtime(self.clock.wall())).replace("[0", "[")
        self._log += line + "\n"

    def _started(self):
        if self.version <= 18:
            self.log(f"SMS gateway running ({self.number})." if self.version == 18 else "SMS gateway running.")
            self.log(f"Server URL: {self.settings.server_url}")
        self._tell_interval()

    def _tell_interval(self):
        interval = self.settings.outgoing_interval
        self.log(
            f"Checking for outgoing messages every {interval} sec."
            if interval
            else "Not checking for outgoing messages."
        )

    # ── Saying ─────────────────────────────────────────────────────────────────────────────────────

    async def poll(self):
        """Ask for work. During a poll this only has another follow right after it, and returns None."""
        if self._polling:
            self._poll_again = True
            return None
        self._polling = True
        try:
            while True:
                self._poll_again = False
                self.log("Checking for messages" if self.version >= 28 else "Checking for outgoing messages")
                answer = await self.post("outgoing")
                if not self._poll_again:
                    return answer
        finally:
            self._polling = False

    async def test(self):
        """The owner presses "Test connection"."""
        self.log("Testing server connection...")
        answer = await self.post("test")
        if answer.ok:
            self.log("Server connection OK!")
        return answer

    async def receive_sms(self, from_, text, timestamp=None):
        """An SMS comes in (``timestamp`` in ms); returns the answer to its first try, more tries follow."""
        self.log("Received SMS" if self.version >= 28 else f"Received SMS from {from_}")
        return await self._receive(from_, "sms", text, timestamp)

    async def receive_mms(self, from_, parts, text=None, timestamp=None):
        """An MMS of ``requests.Part``s comes in; its text is the first text/plain part's unless given."""
        if text is None:
            plain = [part.data.decode("utf-8", "replace") for part in parts if part.type == "text/plain"]
            text = plain[0] if plain else ""
        self.log("Received MMS" if self.version >= 28 else f"Received MMS from {from_}")
        return await self._receive(from_, "mms", text, timestamp, list(parts))

    async def receive_call(self, from_, timestamp=None):
        """Somebody calls; None if the owner does not want calls forwarded."""
        if not self.settings.call_notifications:
            return None
        self.log("Received call")
        return await self._receive(from_, "call", "", timestamp)

    async def send_by_hand(self, to, text, timestamp=None):
        """The owner writes an SMS in the Messaging app (3.0 forwards it); None is the app's NULL text."""
        if self.version < 28 or not self.settings.forward_sent:
            return None
        self.log("SMS sent via Messaging app")
        fields = {"to": to, "message_type": "sms", "message": text, "timestamp": self._timestamp(timestamp)}
        return await self._keep(Kept("forward_sent", fields, None, self.clock.now()))

    async def device_status(self, status):
        """Report a charger or a battery, e.g. ``power_connected``."""
        self.log(status.replace("_", " ").capitalize())
        return await self.post("device_status", status=status)

    async def post(self, action, parts=None, **fields):
        """One signed request, its answer obeyed; a field named like a Python word may end in ``_``."""
        fields = {name.rstrip("_"): value for name, value in fields.items()}
        log_end = self._log_start + len(self._log)
        answer = await self._exchange({"action": action, **fields, **self._about_itself()}, parts)
        self.requests += 1
        self.failures += not answer.ok
        self._take_in(action, answer, fields)
        if answer.ok or action in ("incoming", "forward_sent"):  # those lose their log even when they fail
            self._forget_log(log_end)
        return answer

    async def _exchange(self, fields, parts):
        if self.crashed or not self.online:
            return Answer(None, error=self.crashed or "no network")
        url, password = self.settings.server_url, self.settings.password
        headers, body = requests.compose(url, password, fields, parts, self.rng)
        if self.user_agent:
            headers["User-Agent"] = self.user_agent
        if self._connection is None:
            self._connection = Connection(self.clock, self.complaints)
        return await self._connection.post(url, headers, body)

    def _forget_log(self, end):
        if end > self._log_start:
            self._log = self._log[end - self._log_start :]
            self._log_start = end

    def _about_itself(self):
        about = {"version": self.version, "phone_number": self.settings.phone_number}
        if self.version >= 28:
            about |= {"phone_id": self.phone_id, "phone_token": self.phone_token}
            about |= {
                "now": int(self.clock.wall() * 1000),
                "settings_version": self.settings.settings_version,
            }
            if self.battery is not None:
                about |= {"battery": self.battery, "power": self.power}
        if self.version >= 18:
            about |= {"send_limit": self.outbox.send_limit}
            if self.network:
                about |= {"network": self.network}
        return about | ({"log": self._log} if self.version > 13 else {})

    def _timestamp(self, timestamp):
        return int(self.clock.wall() * 1000) if timestamp is None else timestamp

    def _report(self, action, **fields):
        """Post what the outbox has to say, once, whatever comes of it."""
        if not self._closed:
            self._spawn(self.post(action, **fields))

    def _spawn(self, coroutine):
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ── Incoming messages, kept until the server has them ──────────────────────────────────────────

    async def _receive(self, from_, kind, text, timestamp, parts=None):
        if not (self.settings.enabled and self.settings.allows(from_)):
            return None
        fields = {
            "from": from_,
            "message_type": kind,
            "message": text,
            "timestamp": self._timestamp(timestamp),
        }
        if parts is not None:
            fields["mms_parts"] = requests.listed(parts)
        return await self._keep(Kept("incoming", fields, parts, self.clock.now()))

    async def _keep(self, kept):
        self.kept.append(kept)
        return await self._forward(kept)

    async def _forward(self, kept):
        fields = dict(kept.fields)
        if self.version == 18:
            fields["age"] = int(self.clock.real(self.clock.now() - kept.received_at) * 1000)
        kept.under_way = True
        try:
            answer = await self.post(kept.action, kept.parts, **fields)
        finally:
            kept.under_way = False
        if answer.ok:
            self.kept = [other for other in self.kept if other is not kept]
        else:
            kept.failures += 1
            if kept.failures <= len(INCOMING_RETRIES):
                wait = INCOMING_RETRIES[kept.failures - 1]
                self.clock.call_later(wait, partial(self._try_kept, kept, kept.failures))
        return answer

    def _try_kept(self, only=None, failures=None):
        """Forward what is kept: everything, or one message unless it was tried since."""
        for kept in [only] if only else list(self.kept):
            due = failures is None or kept.failures == failures
            if kept in self.kept and due and not kept.under_way and not self._closed:
                self._spawn(self._forward(kept))

    # ── Obeying ────────────────────────────────────────────────────────────────────────────────────

    def _take_in(self, action, answer, fields):
        if answer.status in (204, 304):
            self.complaints.append(f"{answer.status} without a body: the app crashes")
            answer.ok = False
        try:
            if answer.ok:
                self._obey_answer(action, answer, fields)
            elif answer.status is None:
                self.log(f"Failed to contact server: {answer.error}")
            elif 400 <= answer.status < 500:
                self.log(answers.error_text(answer, self.version))
            else:
                self.log(f"HTTP error {answer.status}")
        except Indigestible as wrong:
            self.complaints.append(f"{action}: {wrong}")
            # 3.0 takes any 200 for "received"; before that the answer has to make sense
            if answer.ok and (action == "outgoing" or (action == "incoming" and self.version < 28)):
                answer.ok = False
                answer.error = str(wrong)

    def _obey_answer(self, action, answer, fields):
        if action == "test":
            return
        if self.version < 28 and action not in ("outgoing", "incoming"):
            return  # 2.0 looks for messages in these two alone
        for event in answers.read(answer, self.version, self.complaints):
            try:
                if self._obey(action, event, fields.get("from")) is False:
                    return
            except Crash as crash:
                self.crashed = str(crash)
                self.complaints.append(self.crashed)
                return
            except (AttributeError, KeyError, TypeError, ValueError) as wrong:
                raise Indigestible(f"a broken event stops the rest: {wrong!r}") from wrong

    def _obey(self, action, event, sender):
        """Do what one event says; False if the app loses the rest of the answer."""
        kind = event["event"]
        if kind == "send":
            for message in event["messages"]:
                self._offer(message, sender if action == "incoming" else None)
        elif kind == "cancel":
            self.outbox.cancel(str(event["id"]))
        elif kind == "cancel_all":
            self.complaints.append("cancel_all: removes one message and loses the rest of the answer")
            return not self.outbox.cancel_all()
        elif kind == "log":
            self.log(event["message"])
        elif kind == "settings" and self.version >= 29:
            self.complaints += self.settings.change(event["settings"])
            self._tell_interval()
            self._timer.set()
        return True

    def _offer(self, message, sender):
        to = message.get("to", sender)
        if to is None:
            self.complaints.append("a message without a destination: dropped in silence")
            return
        if message.get("id") in (None, ""):
            self.complaints.append("a message without an id")
        id = message.get("id")
        self.outbox.offer(
            None if id is None else str(id),
            str(to),
            str(message.get("message", "")),
            int(message.get("priority") or 0),
        )
