"""manage.py prepare: what the first start needs, once, for servers of several processes."""

from django.core.management.base import BaseCommand

from fleet.first_run import prepare


class Command(BaseCommand):
    help = "Migrate the database and, where there is no user yet, create admin (FLEET_ADMIN_PASSWORD)."

    def handle(self, **options):
        prepare(self.stdout.write)
