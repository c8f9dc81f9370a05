"""manage.py phone add|list|remove."""

from fleet import live, phones
from fleet.management.base import FleetCommand, add_limit, iso, limited
from fleet.phones import Phone


class Command(FleetCommand):
    help = "Add, list and remove phones."

    def add_arguments(self, parser):
        verbs = parser.add_subparsers(dest="verb", required=True)
        add = verbs.add_parser("add", help="add a phone")
        add.add_argument("number", help="as typed into the app")
        add.add_argument("--password", required=True, help="as typed into the app")
        add.add_argument("--label", default="", help="what people call it")
        listing = verbs.add_parser("list", help="the phones of the fleet, newest first")
        add_limit(listing)
        remove = verbs.add_parser("remove", help="take a phone out; what it still reports is kept for a day")
        remove.add_argument("number")
        for verb in (add, listing, remove):
            super().add_arguments(verb)

    def run(self, *, verb, **options):
        return getattr(self, verb)(**options)

    def add(self, *, number, password, label, **options):
        return row(phones.register(number, password, label))

    def list(self, *, limit, **options):
        return [row(phone) for phone in limited(Phone.objects.in_fleet().order_by("-pk"), limit)]

    def remove(self, *, number, **options):
        phone = Phone.objects.in_fleet().filter(number=number).first()
        if phone is None:
            raise ValueError(f"There is no phone with the number {number}.")
        phones.archive(phone)
        live.work_for([phone.pk])
        phone.refresh_from_db()
        return row(phone)

    def show(self, result):
        for found in result if isinstance(result, list) else [result]:
            battery = "" if found["battery"] is None else f"{found['battery']} %"
            self.stdout.write(f"{found['number']:<18} {found['label']:<20} {found['state']:<11} {battery}".rstrip())


def row(phone):
    """A phone as the command line shows it; never its password."""
    return {
        "number": phone.number,
        "label": phone.label,
        "state": phone.state,
        "mode": phone.mode,
        "battery": phone.battery,
        "power": phone.power,
        "network": phone.network or None,
        "last_heard": iso(phone.last_heard),
        "version": phone.version,
        "model": " ".join(filter(None, [phone.manufacturer, phone.model])) or None,
        "send_limit": phone.send_limit,
    }
