"""What makes virtual phones look alive: batteries, networks, people who write, an owner, the odd restart.

Every phone's life follows from its seed. A demo's day is short: a battery lasts an hour, not a day.
"""

import asyncio

from fleet.virtual import cast, pictures
from fleet.virtual.requests import Part

BATTERY_LOW, BATTERY_OKAY = 15, 20
SMIL = (
    '<smil><head><layout><region id="Image"/><region id="Text"/></layout></head><body><par dur="5000ms">'
    '<img src="{picture}" region="Image"/><text src="text_0.txt" region="Text"/></par></body></smil>'
)


class Life:
    """The life of one phone, running beside it. Times are means in phone seconds."""

    def __init__(
        self, phone, rng, *, drain=36, charge=12, sms=45, mms=240, call=300, by_hand=200, drop=400, restart=1800
    ):
        self.phone, self.rng, self.clock = phone, rng, phone.clock
        self.drain, self.charge = drain, charge  # seconds a percent
        self.moments = [
            (sms, self.somebody_writes),
            (mms, self.somebody_sends_a_picture),
            (call, self.somebody_calls),
            (by_hand, self.owner_writes),
            (drop, self.network_drops),
            (restart, self.app_restarts),
            (150, self.phone_notes_something),
        ]
        self.people = cast.correspondents(rng)
        self._low = phone.battery is not None and phone.battery < BATTERY_LOW

    async def run(self):
        """Live until cancelled."""
        await asyncio.gather(self._battery(), *(self._again_and_again(*moment) for moment in self.moments))

    async def _again_and_again(self, mean, happens):
        while True:
            await self.clock.sleep(self.rng.expovariate(1 / mean))
            await happens()

    # ── Battery ────────────────────────────────────────────────────────────────────────────────────

    async def _battery(self):
        while True:
            await self.clock.sleep((self.charge if self.phone.power else self.drain) * self.rng.uniform(0.6, 1.4))
            await self.battery_moves()

    async def battery_moves(self):
        """One percent up or down; plugged in when low, unplugged when full."""
        phone = self.phone
        phone.battery = max(1, min(100, phone.battery + (1 if phone.power else -1)))
        if phone.battery < BATTERY_LOW and not self._low:
            self._low = True
            await phone.device_status("battery_low")
        elif phone.battery >= BATTERY_OKAY and self._low:
            self._low = False
            await phone.device_status("battery_okay")
        if not phone.power and phone.battery < self.rng.randint(5, BATTERY_LOW):
            phone.power = self.rng.choice((1, 2))
            await phone.device_status("power_connected")
        elif phone.power and phone.battery == 100:
            phone.power = 0
            await phone.device_status("power_disconnected")

    # ── Network ────────────────────────────────────────────────────────────────────────────────────

    async def network_drops(self):
        """Gone for a while, or only from one network to the other."""
        other = "MOBILE" if self.phone.network == "WIFI" else "WIFI"
        if self.rng.random() < 0.5:
            self.phone.disconnect()
            self.phone.log("Network connection lost")
            await self.clock.sleep(self.rng.uniform(20, 120))
        self.phone.log(f"Connected via {other}")
        self.phone.connect(other)

    # ── People ─────────────────────────────────────────────────────────────────────────────────────

    async def somebody_writes(self):
        await self.phone.receive_sms(self.rng.choice(self.people), self.rng.choice(cast.TEXTS))

    async def somebody_sends_a_picture(self):
        """An MMS as phones make them: SMIL, text, picture."""
        kind = self.rng.choice(("JPEG", "JPEG", "PNG"))
        name = f"IMG_{self.rng.randrange(10_000):04d}.{'jpg' if kind == 'JPEG' else 'png'}"
        text = self.rng.choice(cast.PHOTO_TEXTS)
        parts = [
            Part("application/smil", SMIL.format(picture=f"cid:{name}").encode(), "smil.xml", "smil"),
            Part("text/plain", text.encode(), "text_0.txt", "text_0"),
            Part(f"image/{kind.lower()}", pictures.landscape(self.rng, kind), name, name),
        ]
        await self.phone.receive_mms(self.rng.choice(self.people), parts)

    async def somebody_calls(self):
        await self.phone.receive_call(self.rng.choice(self.people))

    async def owner_writes(self):
        await self.phone.send_by_hand(self.rng.choice(self.people), self.rng.choice(cast.TEXTS))

    async def phone_notes_something(self):
        self.phone.log(self.rng.choice(cast.LOG_LINES))

    async def app_restarts(self):
        self.phone.restart()
