"""manage.py up: everything in one process: pages, phones, Celery's worker and beat."""

from twisted.internet.task import LoopingCall

from fleet.embedded import EmbeddedCelery
from fleet.first_run import prepare
from fleet.management.commands.web import Command as Web

# How often the threads beside the server are looked at, in seconds.
WATCH = 5


class Command(Web):
    help = "Migrate, create the first user, and serve everything in one process. Ctrl-C stops it."

    def handle(self, **options):
        prepare(self.stdout.write)
        self.celery = EmbeddedCelery()
        try:
            self.serve()
        finally:
            self.celery.stop()

    def greet(self):
        self.celery.start()
        LoopingCall(self.watch).start(WATCH, now=False)
        super().greet()

    def watch(self):
        """A server that looks alive and sends nothing is worse than one that ends and says why."""
        if not self.celery.alive:
            self.server.failed = "Celery's worker or beat has ended; start the server again."
            self.server.stop()
