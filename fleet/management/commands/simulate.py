"""``manage.py simulate``: virtual phones that speak to a server over HTTP like the real app."""

import asyncio
import json
import secrets
import signal
import time

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, ProgrammingError

from fleet import phones
from fleet.virtual import cast, requests
from fleet.virtual.fleet import RADIOS, Sim, VirtualFleet, read_phones

# How long a server that starts at the same time may take to make its tables, in seconds.
TABLES_PATIENCE = 60


class Command(BaseCommand):
    help = "Plays phones: they poll, send, receive, run low on battery. Registers them in FLEET_DATA_DIR."

    def add_arguments(self, parser):
        parser.add_argument("--phones", type=int, help="how many (default: 12, or all of --phones-file)")
        parser.add_argument(
            "--server", default=f"http://127.0.0.1:{settings.PORT}/gateway/", help="server URL (default: %(default)s)"
        )
        parser.add_argument(
            "--speed",
            type=float,
            default=settings.FLEET_CLOCK_SPEED,
            help="how fast their time passes; keep equal to the server's FLEET_CLOCK_SPEED (default: %(default)s)",
        )
        parser.add_argument("--interval", type=float, default=10, help="seconds between polls (default: 10)")
        parser.add_argument("--radio", choices=RADIOS, default="good", help="what becomes of SMS (default: good)")
        parser.add_argument("--silent", type=int, default=0, metavar="K", help="so many fall silent after a while")
        parser.add_argument("--calm", action="store_true", help="only poll and send: nobody writes, nothing drains")
        parser.add_argument(
            "--app", type=int, choices=requests.APPS, help="version code of every phone's app (default: a mixture)"
        )
        parser.add_argument("--seed", type=int, default=0, help="another number, other lives (default: 0)")
        parser.add_argument("--duration", type=float, help="stop after so many real seconds (default: Ctrl-C)")
        parser.add_argument("--phones-file", help="play these, register none: JSON lines or number,password,label")
        parser.add_argument("--air", metavar="FILE", help="write every SMS that went out to FILE, as JSON lines")

    def handle(self, *, phones_file, duration, air, server, **options):
        count = options["phones"]
        if options["speed"] <= 0 or options["interval"] < 0 or (count is not None and count < 1):
            raise CommandError("--speed and --phones must be above 0, --interval not below.")
        sims = self.from_file(phones_file)[:count] if phones_file else self.registered(12 if count is None else count)
        names = ("speed", "interval", "radio", "silent", "calm", "seed", "app")
        fleet = VirtualFleet(sims, server, **{name: options[name] for name in names})
        for sim, phone in zip(sims, fleet.phones, strict=True):
            self.stdout.write(f"{sim.number:<16} {sim.label:<22} {phone.user_agent or 'EnvayaSMS/2.0'}")
        self.stdout.write(f"{len(sims)} phones call {server} every {options['interval']:g} s. Ctrl-C stops them.")
        self.stdout.flush()
        asyncio.run(run(fleet, duration))
        for line in fleet.summary():
            self.stdout.write(line)
        if air:
            with open(air, "w", encoding="utf-8") as file:
                file.writelines(json.dumps({"phone": number} | sms._asdict()) + "\n" for number, sms in fleet.on_air)

    def from_file(self, path):
        try:
            return read_phones(path)
        except (OSError, ValueError) as wrong:
            raise CommandError(str(wrong)) from wrong

    def registered(self, count):
        """The demo's phones, added to the fleet where they are missing."""
        patience_ends = time.monotonic() + TABLES_PATIENCE
        while True:
            try:
                return [register(position) for position in range(count)]
            except (OperationalError, ProgrammingError) as wrong:
                if time.monotonic() > patience_ends:
                    raise CommandError(f"The database is not ready: {wrong}") from wrong
                time.sleep(0.5)


def register(position):
    """The phone of the demo at this position; its password is kept if it is in the fleet already."""
    number, label = cast.number(position), cast.label(position)
    known = phones.Phone.objects.in_fleet().filter(number=number).first()
    if known is None:
        known = phones.register(number=number, password=secrets.token_urlsafe(9), label=label)
    return Sim(number, known.password, known.label)


async def run(fleet, duration):
    """Run until Ctrl-C, or for so many real seconds."""
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    living, stopped = asyncio.create_task(fleet.run()), asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait({living, stopped}, timeout=duration, return_when=asyncio.FIRST_COMPLETED)
    for task in (living, stopped):
        task.cancel()
    await asyncio.wait({living}, timeout=2)
    if living in done:
        living.result()
