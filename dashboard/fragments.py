"""A URL that answers with its page, or with the page's region alone."""

from django.shortcuts import render
from django.utils.cache import patch_vary_headers


def wants_fragment(request):
    """Whether htmx asks for a part; boosted links and history restores want the whole page."""
    return bool(request.htmx and not request.htmx.boosted and not request.htmx.history_restore_request)


def page_or_region(request, page, region, context):
    """Render ``region`` for htmx, else ``page``, which includes the same region."""
    response = render(request, region if wants_fragment(request) else page, context)
    patch_vary_headers(response, ["HX-Request"])
    return response
