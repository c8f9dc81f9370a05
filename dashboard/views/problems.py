"""Why requests of phones were refused, and what to do about it."""

from dashboard import pages
from dashboard.context import live_url
from dashboard.fragments import page_or_region


def index(request):
    context = {**pages.problem_list(), "live_url": live_url("problems")}
    return page_or_region(request, "problems/index.html", "problems/_region.html", context)
