"""docker-compose.yml, without Docker: each of our services' very command in the folder that its image would hold,
with its environment, on real PostgreSQL, Redis and RabbitMQ."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
import yaml
from cryptography.fernet import Fernet

from tests import services
from tests.bench.wrk import sign

REPOSITORY = Path(__file__).resolve().parent.parent
FILE = REPOSITORY / "docker-compose.yml"
OURS = ("migrate", "web", "worker", "beat")
SECRETS = {
    "FLEET_SECRET_KEY": "x" * 50,
    "FLEET_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    "POSTGRES_PASSWORD": "p0stgres",
    "RABBITMQ_PASSWORD": "rabb1t",
}


VARIABLE = re.compile(r"\$\$|\$\{(?P<name>\w+)(?:(?P<operator>:[?-])(?P<default>[^}]*))?\}")


def compose(environment):
    """The file as `docker compose config` would show it; KeyError where a required variable is missing."""

    def substitute(found):
        if found["name"] is None:
            return "$"
        if found["operator"] == ":?" and not environment.get(found["name"]):
            raise KeyError(found["name"])
        return environment.get(found["name"]) or (found["default"] or "")

    def filled(node):
        if isinstance(node, dict):
            return {key: filled(value) for key, value in node.items()}
        if isinstance(node, list):
            return [filled(value) for value in node]
        return VARIABLE.sub(substitute, node) if isinstance(node, str) else node

    return filled(yaml.safe_load(FILE.read_text()))


@pytest.mark.parametrize("name", SECRETS)
def test_it_asks_for_every_secret(name):
    with pytest.raises(KeyError, match=name):
        compose({**SECRETS, name: ""})


def test_our_services_share_one_image_and_know_the_others_by_name():
    file = compose(SECRETS)
    assert set(file["services"]) == {*OURS, "postgres", "redis", "rabbitmq"}
    for name in OURS:
        service = file["services"][name]
        assert service["image"] == "fleet"
        hosts = {
            urlsplit(service["environment"][url]).hostname for url in ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL")
        }
        assert hosts == {"postgres", "redis", "rabbitmq"}
        assert service["volumes"] == ["data:/data"]
        assert service["environment"]["FLEET_DATA_DIR"] == "/data"


def test_what_the_services_keep_lies_on_volumes():
    file = compose(SECRETS)
    for name in ("web", "worker", "postgres", "rabbitmq"):
        volume = file["services"][name]["volumes"][0].partition(":")[0]
        assert volume in file["volumes"]


class Containers:
    """Our services as plain processes, in a folder with what the Dockerfile copies and nothing else."""

    def __init__(self, folder, environment):
        self.folder, self.file = folder, compose(SECRETS)
        self.app, self.data = folder / "app", folder / "data"
        self.replaced = {**environment, "FLEET_DATA_DIR": str(self.data), "PORT": str(services.free_port())}
        self.processes = {}
        self.app.mkdir()
        dockerfile = self.file["services"]["web"]["build"]["dockerfile_inline"]
        for source, _ in re.findall(r"^COPY (\S+) (\S+)$", dockerfile, re.MULTILINE):
            path = REPOSITORY / source
            copy = shutil.copytree if path.is_dir() else shutil.copy
            copy(path, self.app / source)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.replaced['PORT']}"

    def environment(self, name):
        said = self.file["services"][name]["environment"]
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "HOSTNAME": socket.gethostname(),
            **said,
            **{key: value for key, value in self.replaced.items() if key in said},
        }

    def command(self, words):
        programs = {"python": [sys.executable], "celery": [sys.executable, "-m", "celery"]}
        return [*programs[words[0]], *words[1:]]

    def run(self, name, words=None):
        """`docker compose run` or `exec`: to its end, its output; AssertionError when it fails."""
        words = self.command(words or self.file["services"][name]["command"])
        done = subprocess.run(
            words, cwd=self.app, env=self.environment(name), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def up(self, name):
        log = open(self.folder / f"{name}.log", "wb")  # noqa: SIM115, closed with the test process
        self.processes[name] = subprocess.Popen(
            self.command(self.file["services"][name]["command"]),
            cwd=self.app,
            env=self.environment(name),
            stdout=log,
            stderr=log,
            process_group=0,
        )

    def is_healthy(self, name):
        """What its health check says."""
        check = self.file["services"][name]["healthcheck"]["test"]
        if check[0] == "CMD":
            words = [sys.executable, *check[2:]]
        else:
            words = ["sh", "-c", check[1].replace("celery", f"{sys.executable} -m celery", 1)]
        words = [word.replace("8000", self.replaced["PORT"]) for word in words]
        done = subprocess.run(words, cwd=self.app, env=self.environment(name), capture_output=True, check=False)
        return done.returncode == 0

    def down(self):
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        return {name: self._ended(process) for name, process in self.processes.items()}

    @staticmethod
    def _ended(process):
        """Its exit code. Beat raises in its signal handler, which Python drops in the midst of a destructor."""
        try:
            return process.wait(15)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
            return process.wait(15)

    def log(self):
        return "".join(path.read_text() for path in self.folder.glob("*.log"))


@pytest.fixture(scope="module")
def containers(tmp_path_factory):
    with services.apart(os.environ) as environment:
        containers = Containers(tmp_path_factory.mktemp("compose"), environment)
        containers.run("migrate")
        try:
            for name in ("web", "worker", "beat"):
                containers.up(name)
            services.wait_for("web", lambda: containers.is_healthy("web"), process=containers.processes["web"])
            yield containers
        finally:
            codes = containers.down()
        assert codes == {"web": 0, "worker": 0, "beat": 0}, containers.log()


def post(containers, password, **fields):
    fields = {"version": "30", "phone_number": "+15550100", "now": str(time.time_ns() // 1_000_000), **fields}
    request = urllib.request.Request(
        f"{containers.url}/gateway/",
        urlencode(fields).encode(),
        {"X-Request-Signature": sign(f"{containers.url}/gateway/", fields, password)},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())["events"]


@pytest.mark.production
@pytest.mark.rabbitmq
def test_a_message_goes_through_all_services_to_a_phone_and_back(containers):
    def manage(*words):
        return containers.run("web", ["python", "manage.py", *words])

    manage("phone", "add", "+15550100", "--password", "s3cret")
    wanted = json.loads(manage("send", "+15550199", "Through every box", "--phone", "+15550100", "--json"))["id"]
    (event,) = post(containers, "s3cret", action="outgoing")
    (message,) = event["messages"]
    assert (message["to"], message["message"]) == ("+15550199", "Through every box")
    post(containers, "s3cret", action="send_status", id=message["id"], status="sent", error="")
    (kept,) = json.loads(manage("messages", "--json"))
    assert (kept["id"], kept["state"]) == (wanted, "sent")


@pytest.mark.production
@pytest.mark.rabbitmq
def test_the_worker_says_that_it_is_well(containers):
    services.wait_for("the worker", lambda: containers.is_healthy("worker"), seconds=60)
