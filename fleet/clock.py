"""The one clock. Timestamps are real; every duration of the protocol passes through ``span`` or ``seconds``,
so that ``FLEET_CLOCK_SPEED`` can make an hour of retries pass in a second, here and on virtual phones alike."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

now = timezone.now


def seconds(duration):
    """How many real seconds ``duration`` (protocol seconds) takes."""
    return duration / settings.FLEET_CLOCK_SPEED


def span(duration):
    """``duration`` (protocol seconds) as the timedelta that really passes."""
    return timedelta(seconds=seconds(duration))
