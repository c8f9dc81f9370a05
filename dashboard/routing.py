"""WebSockets of the browser side; fleet/asgi.py puts sessions and the check of origins around them."""

from channels.security.websocket import WebsocketDenier
from django.urls import path, re_path

from dashboard.consumers import LiveConsumer

websocket_urlpatterns = [
    path("live/", LiveConsumer.as_asgi()),
    re_path("", WebsocketDenier.as_asgi()),
]
