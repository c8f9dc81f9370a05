"""Many virtual phones at once, as the demo and load tests use them: who they are, how they run, what they sent."""

import asyncio
import csv
import json
import random
from collections import Counter
from dataclasses import dataclass

from fleet.virtual import cast
from fleet.virtual.clock import Clock
from fleet.virtual.life import Life
from fleet.virtual.phone import VirtualPhone
from fleet.virtual.radio import Radio

# What --radio stands for: the radio's mode and, where it has one, the share that fails.
RADIOS = {
    "good": ("good", 0),
    "bad": ("bad", 1.0),
    "flaky": ("bad", 0.3),
    "timeout": ("timeout", 0),
    "silent": ("silent", 0),
}
# A silent phone is heard this long, in phone seconds, before it is never heard again.
HEARD_BEFORE_SILENCE = 15


@dataclass(frozen=True)
class Sim:
    """The number, password and label of a phone to play."""

    number: str
    password: str
    label: str = ""


def read_phones(path):
    """The phones of a file: JSON lines, or CSV ``number,password,label`` with or without a heading.

    Raises ValueError for a line that is neither.
    """
    with open(path, encoding="utf-8-sig", newline="") as file:
        lines = [line for line in file if line.strip()]
    sims = []
    for number, line in enumerate(lines, 1):
        try:
            if line.lstrip().startswith("{"):
                entry = json.loads(line)
                sims.append(Sim(str(entry["number"]), str(entry["password"]), str(entry.get("label", ""))))
                continue
            values = [value.strip() for value in next(csv.reader([line]))]
            if values[:2] != ["number", "password"]:
                sims.append(Sim(*values[:3]))
        except (ValueError, KeyError, TypeError) as wrong:
            raise ValueError(f"{path}, line {number}: not number,password,label ({wrong})") from wrong
    return sims


class VirtualFleet:
    """The phones of ``sims`` against one server; the last ``silent`` of them are heard shortly and then no more."""

    def __init__(self, sims, server_url, *, speed=1, radio="good", silent=0, seed=0, interval=10, calm=False, app=None):
        self.clock = Clock(speed)
        self.sims, self.silent, self.interval, self.calm, self.seed = sims, silent, interval, calm, seed
        self.app = app  # version code, or None for a mixture
        mode, failing = RADIOS[radio]
        self.phones = [self._phone(position, sim, server_url, mode, failing) for position, sim in enumerate(sims)]

    def _phone(self, position, sim, server_url, mode, failing):
        rng = random.Random(f"{self.seed}/{position}")
        maker, model, sdk, version = cast.MODELS[position % len(cast.MODELS)]
        charging = rng.random() < 0.4
        return VirtualPhone(
            sim.number, sim.password, server_url,
            version=self.app or version, clock=self.clock, interval=self.interval,
            seed=rng.random(), radio=Radio(self.clock, mode, failing, took=(1, 4), rng=rng),
            maker=maker, model=model, sdk=sdk, battery=rng.randint(14, 99),
            power=rng.choice((1, 2)) if charging else 0, network=rng.choice(("WIFI", "WIFI", "MOBILE")),
        )  # fmt: skip

    async def run(self):
        """Live until cancelled."""
        try:
            await asyncio.gather(*(self._live(position, phone) for position, phone in enumerate(self.phones)))
        finally:
            await asyncio.gather(*(phone.aclose() for phone in self.phones))

    async def _live(self, position, phone):
        rng = random.Random(f"{self.seed}/life/{position}")
        after = rng.uniform(0, min(self.interval or 0, 10))  # not all in the same moment
        running = [phone.run(after)]
        if position >= len(self.phones) - self.silent:
            running.append(self._fall_silent(phone))
        elif not self.calm:
            running.append(Life(phone, rng).run())
        await asyncio.gather(*running)

    async def _fall_silent(self, phone):
        await self.clock.sleep(max(HEARD_BEFORE_SILENCE, 1.5 * self.interval))
        phone.disconnect()

    # ── What became of it ──────────────────────────────────────────────────────────────────────────

    @property
    def on_air(self):
        """(phone number, SMS) of everything that really went out."""
        return [(phone.number, sms) for phone in self.phones for sms in phone.radio.air]

    def summary(self):
        """Lines for people: what was sent, by whom, and what the server's answers lacked."""
        air = self.on_air
        ids = Counter(sms.id for _, sms in air if sms.id)
        twice = sum(count - 1 for count in ids.values())
        requests, failures = (sum(getattr(phone, name) for phone in self.phones) for name in ("requests", "failures"))
        lines = [f"{len(air)} SMS on the air, {twice} of them again; {requests} requests, {failures} without success."]
        for sim, phone in zip(self.sims, self.phones, strict=True):
            if phone.radio.air:
                lines.append(f"  {sim.number:<16} {len(phone.radio.air):>5}  {sim.label}")
        complaints = Counter(complaint for phone in self.phones for complaint in phone.complaints)
        lines += [
            f"  {count}× an answer that phones cannot digest: {words}" for words, count in complaints.most_common(10)
        ]
        return lines
