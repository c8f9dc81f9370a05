"""Wiring: phones to the gateway, WebSockets to the dashboard, the rest to Django."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fleet.settings")

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402

django = get_asgi_application()

from dashboard.routing import websocket_urlpatterns  # noqa: E402
from fleet.gateway.endpoint import PATHS, Gateway  # noqa: E402

gateway = Gateway()
pages = ProtocolTypeRouter(
    {
        "http": django,
        "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns))),
    }
)


async def application(scope, receive, send):
    if scope["type"] == "http" and (scope["path"] in PATHS or _is_lost_phone(scope)):
        await gateway(scope, receive, send)
    else:
        await pages(scope, receive, send)


def _is_lost_phone(scope):
    """A phone whose owner typed only half of the server URL: the gateway tells it, and the dashboard, why not."""
    return scope["method"] == "POST" and any(name == b"x-request-signature" for name, _ in scope["headers"])
