"""Wiring: sees both sides."""

from django.urls import include, path

from fleet.health import healthz

urlpatterns = [
    path("healthz", healthz),
    path("", include("dashboard.urls")),
]
