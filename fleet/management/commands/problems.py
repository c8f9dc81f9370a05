"""manage.py problems."""

from fleet.management.base import ListCommand, iso
from fleet.problems import SignInProblem


class Command(ListCommand):
    help = "Why phones' requests were refused, newest first."

    def queryset(self):
        return SignInProblem.objects.order_by("-at", "-pk")

    def row(self, problem):
        return {
            "at": iso(problem.at),
            "phone_number": problem.phone_number,
            "cause": problem.cause,
            "detail": problem.detail or None,
        }
