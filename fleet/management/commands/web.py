"""manage.py web: the web server alone; Celery's worker and beat run as processes of their own."""

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from fleet import env
from fleet.server import FleetServer


class Command(BaseCommand):
    help = "Serve pages and phones. Worker and beat: celery -A fleet worker, celery -A fleet beat."

    def handle(self, **options):
        self.serve()

    def serve(self):
        """Listen until Ctrl-C or SIGTERM."""
        self.server = FleetServer(settings.HOST, settings.PORT, ready=self.greet)
        self.server.run()
        if self.server.failed:
            raise CommandError(self.server.failed)

    def greet(self):
        for line in addresses():
            self.stdout.write(line)
        self.stdout.flush()


def addresses():
    """What people and phones type to get here."""
    everywhere = settings.HOST in ("0.0.0.0", "::")
    host = "127.0.0.1" if everywhere else settings.HOST
    yield f"Dashboard:  http://{host}:{settings.PORT}/"
    reachable = [a for a in env.own_addresses() if not a.startswith("127.")] if everywhere else [host]
    urls = settings.FLEET_PUBLIC_URLS or [f"http://{address}:{settings.PORT}/gateway/" for address in reachable]
    for url in urls:
        yield f"Server URL to type into the phones:  {url}"
    if not everywhere and not settings.FLEET_PUBLIC_URLS and host.startswith("127."):
        yield "(Only this machine can reach that: start with HOST=0.0.0.0 for phones in your network.)"
