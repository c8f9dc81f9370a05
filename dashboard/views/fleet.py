"""The fleet as a wall of phones."""

from dashboard import pages, selections
from dashboard.context import live_url
from dashboard.fragments import page_or_region


def wall(request):
    shown = selections.Wall(request.GET)
    context = {
        "wall": shown,
        "groups": shown.groups(),
        "counters": (found := selections.counters(shown)),
        "fleet_is_empty": not sum(counter["value"] for counter in found[:4]),
        "q": shown.q,
        "live_url": live_url("fleet", shown.query),
        **pages.changes(),
        **pages.problem_strip(),
    }
    return page_or_region(request, "fleet/index.html", "fleet/_region.html", context)
