"""What our commands share: ``--json``, lists with ``--limit``, and one line on stderr when something is wrong."""

import json
import sys
from datetime import UTC

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, ProgrammingError

from fleet.encryption import WrongKey


def iso(moment):
    """ISO 8601 in UTC with a Z; None stays None."""
    return moment and moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class FleetCommand(BaseCommand):
    """``run(**options)`` returns what ``--json`` prints; without it, ``show(result)`` says it to people."""

    def run_from_argv(self, argv):
        """As Django does, but a mistake in the arguments too is one line and exit code 1."""
        try:
            self.create_parser(argv[0], argv[1]).parse_args(argv[2:])
        except CommandError as error:
            self.stderr.write(str(error))
            sys.exit(1)
        super().run_from_argv(argv)

    def add_arguments(self, parser):
        parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")

    def handle(self, **options):
        try:
            result = self.run(**options)
        except (OperationalError, ProgrammingError) as error:
            first_line = str(error).partition("\n")[0]
            raise CommandError(f"The database does not answer as it should (is it migrated?): {first_line}") from None
        except (ValueError, WrongKey) as error:
            raise CommandError(str(error)) from None
        if options["json"]:
            self.stdout.write(json.dumps(result, ensure_ascii=False))
        else:
            self.show(result)

    def show(self, result):
        for row in result:
            self.stdout.write("  ".join(str(value) for value in row.values() if not isinstance(value, list | dict)))


class ListCommand(FleetCommand):
    """A list, newest first. ``queryset()`` and ``row(object)`` say of what."""

    def add_arguments(self, parser):
        super().add_arguments(parser)
        add_limit(parser)

    def run(self, *, limit, **options):
        return [self.row(found) for found in limited(self.queryset(), limit)]


def add_limit(parser):
    parser.add_argument("--limit", type=int, default=100, help="how many at most; 0 for all (default 100)")


def limited(queryset, limit):
    """The first ``limit`` rows, all for 0; ValueError for less."""
    if limit < 0:
        raise ValueError("--limit must be 0 or more.")
    return queryset[:limit] if limit else queryset
