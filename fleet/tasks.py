"""Celery's door: one line each. Every task may run twice, late, or never: rows are the work."""

from celery import shared_task

from fleet import live, outbox, phones


@shared_task(name="fleet.assign")
def assign():
    outbox.assign()


@shared_task(name="fleet.sweep_phones")
def sweep_phones():
    phones.sweep_states()


@shared_task(name="fleet.sweep_messages")
def sweep_messages():
    outbox.sweep()


@shared_task(name="fleet.forward_notes")
def forward_notes():
    live.forward_pending()
