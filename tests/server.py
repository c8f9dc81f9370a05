"""The real product, started as a person or docker-compose.yml would, for tests and measurements."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from cryptography.fernet import Fernet

from tests import services

REPOSITORY = Path(__file__).resolve().parent.parent
# In-memory schedule: no file is left in the working folder.
BEAT = ["-m", "celery", "-A", "fleet", "beat", "--scheduler", "celery.beat:Scheduler"]
WORKER = ["-m", "celery", "-A", "fleet", "worker", "--concurrency", "2"]


class Server:
    """A server on a data folder, a database and a port of its own.

    Embedded: `manage.py up`. Production: `manage.py web`, a worker and beat, on the services that the
    environment names (DATABASE_URL, REDIS_URL, CELERY_BROKER_URL). With ``only_web`` the last two stay away.
    """

    def __init__(self, folder, *, production=False, only_web=False, environment=None):
        self.folder, self.production, self.only_web = Path(folder), production, only_web
        self.port = services.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.gateway_url = f"{self.url}/gateway/"
        self.admin_password = "a-long-test-password"
        self.processes: dict[str, subprocess.Popen] = {}
        self._stack = ExitStack()
        self._own = {name: str(value) for name, value in (environment or {}).items()}
        self.env: dict[str, str] = {}

    def start(self):
        """Start and wait until it answers; raises ServiceMissing with its log when it does not."""
        self.env = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "fleet.settings",
            "FLEET_DATA_DIR": str(self.folder),
            "FLEET_ADMIN_PASSWORD": self.admin_password,
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "PYTHONUNBUFFERED": "1",
        }
        if self.production:
            self.env.update(self._stack.enter_context(services.apart(os.environ)))
            self.env["FLEET_SECRET_KEY"] = "only-for-tests-" + "x" * 40
            self.env["FLEET_ENCRYPTION_KEYS"] = Fernet.generate_key().decode()
            if self._own.get("FLEET_CLOCK_SPEED", "1") == "1":
                self.env["FLEET_PRODUCTION"] = "1"
        else:
            for name in ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "FLEET_PRODUCTION"):
                self.env.pop(name, None)
        self.env.update(self._own)
        return self.start_again()

    def start_again(self):
        """Start on the folder, the database and the port it had before."""
        try:
            if self.production or self.only_web:
                self.manage("prepare")
                self._run("web", "manage.py", "web")
            else:
                self._run("up", "manage.py", "up")
            if self.production and not self.only_web:
                self._run("worker", *WORKER)
                self._run("beat", *BEAT)
            first = next(iter(self.processes.values()))
            services.wait_for("The server", self.healthy, seconds=60, process=first)
        except BaseException:
            self.stop()
            sys.stderr.write(self.log())
            raise
        return self

    def healthy(self):
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def kill(self):
        """End all of its processes at once, as the kernel does when memory runs out."""
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()
        self.processes.clear()

    def stop(self, seconds=20):
        """Ctrl-C to all of its processes; the exit code of each by name. What hangs is killed."""
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT if process is self.processes.get("up") else signal.SIGTERM)
        codes = {}
        for name, process in self.processes.items():
            try:
                codes[name] = process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                codes[name] = process.wait()
        self.processes.clear()
        self._stack.close()
        return codes

    def manage(self, *words, check=True, stdin=None):
        """Run `manage.py` beside the server, as a person would; its standard output."""
        done = subprocess.run(
            [sys.executable, "manage.py", *map(str, words)],
            cwd=REPOSITORY,
            env=self.env,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"manage.py {' '.join(map(str, words))} ended with {done.returncode}:\n{done.stderr}")
        return done.stdout

    def json(self, *words):
        """What `manage.py … --json` says."""
        return json.loads(self.manage(*words, "--json"))

    def log(self):
        """All that its processes printed."""
        return "".join(f"── {path.stem}\n{path.read_text()}" for path in sorted(self.folder.glob("*.log")))

    def _run(self, name, *words):
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *words],
                cwd=REPOSITORY,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
