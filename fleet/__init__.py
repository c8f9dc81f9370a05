"""Fleet: the server of a fleet of Android phones that work as SMS and MMS gateways."""

from fleet.celery import app as celery_app

__all__ = ["celery_app"]
