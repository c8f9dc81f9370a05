"""What every page shows: the rail's links with their counts."""

from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _

from dashboard import selections


def links(here=""):
    """The pages there are, in the rail's order; ``here`` is the url name of the one shown."""

    def link(name, icon, title, short, *others, key="", count=0, hot=False):
        return {
            "href": reverse(f"dashboard:{name}"), "icon": icon, "name": title, "short": short,
            "current": here in (name, *others), "key": key, "count": count, "hot": hot,
        }  # fmt: skip

    return [
        link("fleet", "layout-grid", _("Fleet"), _("Fleet"), "phone", "phone_add", "phone_edit", "phone_remove",
             "phone_connect", key="fleet", count=selections.needing_attention().count(), hot=True),
        link("incoming", "inbox", _("Incoming"), _("Incoming")),
        link("message_new", "send", _("Compose"), _("Compose")),
        link("messages", "stack-2", _("Outbox"), _("Outbox"), "message", key="outbox",
             count=selections.unsettled_counts()["waiting"]),
        link("problems", "shield-lock", _("Sign-in problems"), _("Sign-in"), key="problems",
             count=selections.recent_problems().count(), hot=True),
    ]  # fmt: skip


def shell(request):
    """Context processor; nothing for strangers, who see no rail, and nothing for fragments, which have none."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated or getattr(request, "htmx", False):
        return {}
    here = request.resolver_match.url_name if request.resolver_match else ""
    return {"shell": {"links": links(here)}, "live_url": live_url("shell")}


def live_url(page, query="", **values):
    """Where a page's WebSocket connects."""
    pairs = urlencode({"page": page, **values})
    return f"/live/?{pairs}&{query}" if query else f"/live/?{pairs}"
