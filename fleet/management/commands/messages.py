"""manage.py messages."""

from fleet.management.base import ListCommand, iso
from fleet.outbox import Message


class Command(ListCommand):
    help = "What was asked to be sent and what became of it, newest first."

    def queryset(self):
        related = ("attempts__phone", "timeline__phone")
        return Message.objects.select_related("phone").prefetch_related(*related).order_by("-pk")

    def row(self, message):
        attempts = sorted(message.attempts.all(), key=lambda attempt: attempt.pk)
        phone = attempts[-1].phone if attempts else message.phone
        return {
            "id": message.pk,
            "to": message.to,
            "text": message.text,
            "state": message.state,
            "uncertain": message.uncertain,
            "phone": phone.number if phone else None,
            "priority": message.priority,
            "parts": message.parts,
            "reason": message.reason or None,
            "waits_until": iso(message.waits_until),
            "attempts": [
                {
                    "id": attempt.public_id,
                    "phone": attempt.phone.number,
                    "state": attempt.state,
                    "handed_at": iso(attempt.handed_at),
                    "error": attempt.error or None,
                }
                for attempt in attempts
            ],
            "timeline": [
                {
                    "at": iso(event.at),
                    "what": event.what,
                    "phone": event.phone.number if event.phone else None,
                    "why": event.why or None,
                }
                for event in sorted(message.timeline.all(), key=lambda event: event.pk)
            ],
        }
