"""manage.py up: everything in one process: pages, phones, Celery's worker and beat."""

from fleet.embedded import EmbeddedCelery
from fleet.first_run import prepare
from fleet.management.commands.web import Command as Web


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
        super().greet()
