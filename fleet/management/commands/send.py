"""manage.py send TO TEXT."""

from fleet import outbox
from fleet.management.base import FleetCommand
from fleet.phones import Phone


class Command(FleetCommand):
    help = "Queue one text for one number."

    def add_arguments(self, parser):
        super().add_arguments(parser)
        parser.add_argument("to", help="phone number")
        parser.add_argument("text")
        parser.add_argument("--phone", help="number of the phone that is to send it (default: any)")
        parser.add_argument("--priority", type=int, default=0, help="bigger goes first (default 0)")

    def run(self, *, to, text, phone, priority, **options):
        chosen = None
        if phone is not None:
            chosen = Phone.objects.in_fleet().filter(number=phone).first()
            if chosen is None:
                raise ValueError(f"There is no phone with the number {phone}.")
        return {"id": outbox.enqueue(to, text, phone=chosen, priority=priority).pk}

    def show(self, result):
        self.stdout.write(f"Queued as message {result['id']}")
