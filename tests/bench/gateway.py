"""How many phone requests a second one web process takes: 32 connections, 1,000 phones, all requests distinct.

Compared with Daphne answering the same requests with a constant ("bare"). After each run the database is asked
whether everything that was answered is really there.
"""

import itertools
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from datetime import timedelta

from tests import services
from tests.bench import wrk
from tests.server import REPOSITORY, Server

PHONES = 1000
SECONDS = int(os.environ.get("BENCH_SECONDS", "8"))
# Messages a phone holds at once when its statuses begin, and how long those of all phones last, in seconds.
ON_PHONE = 8
WAVE_SECONDS = 3
FASTEST = 8000  # requests a second to have in store, more than Daphne can
KINDS = ("poll", "send_status", "incoming")
DATABASES = ("sqlite", "postgres")
HELLO = "tests.bench.hello:application"
NAMES = tuple(
    name
    for database in DATABASES
    for name in (
        f"gateway.bare.{database}",
        *(f"gateway.{kind}.{database}" for kind in KINDS),
        *(f"gateway.{kind}.ratio.{database}" for kind in KINDS),
    )
)


class Unkept(Exception):
    """A request was answered 200, but the database does not hold what it said."""


def measure(wanted, say):
    import django

    for database in DATABASES:
        if not any(wanted(name) for name in NAMES if name.endswith(database)):
            continue
        with tempfile.TemporaryDirectory(prefix="fleet-bench-") as folder:
            server = Server(folder, production=database == "postgres", only_web=True)
            server.start()
            try:
                # The measuring itself needs tables and no settings of its own: a child sees this database alone.
                child = os.fork()
                if not child:
                    os.environ.update(server.env)
                    for name in ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "FLEET_PRODUCTION"):
                        if name not in server.env:
                            os.environ.pop(name, None)
                    django.setup()
                    _exit_after(lambda: _measure(server, database, wanted, say))  # noqa: B023
                if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
                    sys.stderr.write(server.log()[-5000:])
                    raise SystemExit(1)
            finally:
                server.stop()


def _exit_after(work):
    try:
        work()
    except BaseException as problem:
        print(f"{type(problem).__name__}: {problem}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def _measure(server, database, wanted, say):
    bench = Bench(server)
    bench.register_phones()
    kinds = [
        kind for kind in KINDS if wanted(f"gateway.{kind}.{database}") or wanted(f"gateway.{kind}.ratio.{database}")
    ]
    ratios = [kind for kind in kinds if wanted(f"gateway.{kind}.ratio.{database}")]
    bare = []
    if ratios or wanted(f"gateway.bare.{database}"):
        bare.append(bench.bare())
    rates = {kind: getattr(bench, kind)() for kind in kinds}
    if ratios:
        bare.append(bench.bare())  # the machine may have been busier at either end
    if bare:
        mean = sum(bare) / len(bare)
        if wanted(f"gateway.bare.{database}"):
            say(f"gateway.bare.{database}", mean, "requests/s")
    for kind in kinds:
        if wanted(f"gateway.{kind}.{database}"):
            say(f"gateway.{kind}.{database}", rates[kind], "requests/s")
    for kind in ratios:
        say(f"gateway.{kind}.ratio.{database}", rates[kind] / mean, "ratio")


class Bench:
    """The requests of a thousand phones, the runs over them, and what the database must hold afterwards."""

    def __init__(self, server):
        self.server = server
        self.now_ms = itertools.count(int(time.time() * 1000))

    def register_phones(self):
        from fleet.phones import Phone

        Phone.objects.bulk_create(
            Phone(number=f"1555{place:07}", password=f"pw-{place}", long_poll=False) for place in range(PHONES)
        )
        self.phones = list(Phone.objects.order_by("pk"))
        # The first word of a phone costs more than the thousandth: it writes what the phone is.
        self._load(self._requests(PHONES, lambda place: {"action": "outgoing"}), 2)

    def bare(self):
        requests = self._requests(FASTEST * SECONDS, lambda place: {"action": "outgoing"})
        with bare_daphne() as (url, pid):
            return wrk.load(url, requests, SECONDS, pid).rate

    def poll(self):
        from fleet.phones import Phone

        requests = self._requests(FASTEST * SECONDS, lambda place: {"action": "outgoing"})
        run = self._load(requests, SECONDS)
        rounds = run.answered // PHONES
        for place, phone in enumerate(Phone.objects.order_by("pk")):
            due = requests[place::PHONES][max(0, rounds - 1) : rounds + 2]
            kept = phone.clock_offset_ms + round(phone.last_heard.timestamp() * 1000)  # its `now`
            if rounds and not any(b"&now=%d&" % kept in request for request in due):
                raise Unkept(f"The last poll of {phone.number} was answered and not kept.")
        return run.rate

    def send_status(self):
        from fleet.outbox import Attempt, Message

        run = wrk.Run(0, 0, 0, 0)
        while run.seconds < SECONDS:
            before = Attempt.objects.filter(state="sent").count()
            ids = self._hand_out(PHONES * ON_PHONE)
            requests = self._requests(
                len(ids),
                lambda place, ids=ids: {"action": "send_status", "id": ids[place], "status": "sent", "error": ""},
            )
            wave = self._load(requests, WAVE_SECONDS)
            _kept("statuses", wave, Attempt.objects.filter(state="sent").count() - before)
            _kept("sent messages", wave, Message.objects.filter(state="sent").count() - before)
            run += wave
            Attempt.objects.filter(state="handed").update(state="lost")  # what this wave left over
        return run.rate

    def incoming(self):
        from fleet.inbox import Incoming

        requests = self._requests(
            FASTEST * SECONDS // 4,
            lambda place: {
                "action": "incoming",
                "from": f"1666{place:07}",
                "message_type": "sms",
                "message": f"I am on my way, message {place}",
                "timestamp": str(1_700_000_000_000 + place),
                "age": "120",
            },
        )
        run = self._load(requests, SECONDS)
        _kept("incoming messages", run, Incoming.objects.count())
        return run.rate

    def _load(self, requests, seconds):
        return wrk.load(self.server.url, requests, seconds, self.server.processes["web"].pid)

    def _requests(self, number, fields):
        """That many signed requests, the phones taking turns; ``fields(place)`` says what each is about."""
        requests = []
        for place in range(number):
            phone = self.phones[place % PHONES]
            said = {
                **fields(place),
                "version": "30",
                "phone_number": phone.number,
                "phone_id": "",
                "phone_token": "",
                "send_limit": "100",
                "now": str(next(self.now_ms)),
                "settings_version": "0",
                "battery": str(40 + place % PHONES % 60),
                "power": "1",
                "network": "WIFI",
                "log": "",
            }
            requests.append(wrk.signed_request(self.server.gateway_url, said, phone.password))
        return requests

    def _hand_out(self, number):
        """The ids of that many messages, each handed to the phone whose turn it will be."""
        from fleet import clock
        from fleet.outbox import Attempt, Message

        now = clock.now()
        later = now + timedelta(days=1)
        messages = Message.objects.bulk_create(
            [
                Message(
                    to=f"1777{place:07}", text="Hello", parts=1, encoding="GSM-7", state="sending", valid_until=later
                )
                for place in range(number)
            ],
            batch_size=1000,
        )
        attempts = Attempt.objects.bulk_create(
            [
                Attempt(
                    message=message,
                    phone=self.phones[place % PHONES],
                    parts=1,
                    state="handed",
                    handed_at=now,
                    offers=1,
                    last_offer_at=now,
                    lease_until=later,
                )
                for place, message in enumerate(messages)
            ],
            batch_size=1000,
        )
        return [attempt.public_id for attempt in attempts]


def _sent(ids, place):
    return {"action": "send_status", "id": ids[place], "status": "sent", "error": ""}


def _kept(what, run, found):
    """At the end wrk leaves up to one request a connection unanswered, and as many answers uncounted."""
    if not run.answered <= found <= run.answered + 2 * wrk.CONNECTIONS:
        raise Unkept(f"{run.answered} requests were answered 200, and {found} {what} are in the database.")


@contextmanager
def bare_daphne():
    """Daphne in a process of its own with the least application; yields its address and process id."""
    port = services.free_port()
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "daphne",
            "-v",
            "0",
            "-b",
            "127.0.0.1",
            "-p",
            str(port),
            "tests.bench.hello:application",
        ],
        cwd=REPOSITORY,
    )

    def answers():
        try:
            with urllib.request.urlopen(url, timeout=2):
                return True
        except OSError:
            return False

    try:
        services.wait_for("Daphne", answers, process=server)
        yield url, server.pid
    finally:
        server.terminate()
        server.wait(10)
