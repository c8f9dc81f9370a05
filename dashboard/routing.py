"""WebSockets of the browser side; fleet/asgi.py puts sessions and the check of origins around them."""

from django.urls import path

from dashboard.consumers import LiveConsumer

websocket_urlpatterns = [path("live/", LiveConsumer.as_asgi())]
