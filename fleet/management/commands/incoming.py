"""manage.py incoming."""

from fleet.inbox import Direction, Incoming
from fleet.management.base import ListCommand, iso


class Command(ListCommand):
    help = "What phones received, and what was sent by hand on them (direction out), newest first."

    def queryset(self):
        return Incoming.objects.select_related("phone").prefetch_related("parts").order_by("-received_at", "-pk")

    def row(self, incoming):
        own, other = incoming.phone.number, incoming.other_party
        outward = incoming.direction == Direction.OUT
        return {
            "phone": own,
            "direction": incoming.direction,
            "type": incoming.type,
            "from": own if outward else other,
            "to": other if outward else own,
            "text": incoming.text,
            "timestamp": iso(incoming.timestamp),
            "parts": [
                {"name": part.name, "type": part.type or part.declared_type, "size": part.size, "sha256": part.sha256}
                for part in sorted(incoming.parts.all(), key=lambda part: part.position)
            ],
        }
