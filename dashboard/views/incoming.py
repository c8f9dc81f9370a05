"""What phones received and what was sent by hand; the bytes of MMS parts."""

import re

from django.http import FileResponse, Http404, HttpResponseNotModified
from django.shortcuts import get_object_or_404
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from dashboard import selections
from dashboard.context import live_url
from dashboard.fragments import page_or_region
from fleet import media as stored
from fleet.inbox import MmsPart

PICTURES = {"image/jpeg", "image/png", "image/gif", "image/webp"}
# The most bytes a signature needs.
HEAD = 64


def index(request):
    shown = selections.Letters(request.GET)
    context = {"list": shown, "rows": shown.rows(), "choices": shown.choices(), "q": shown.q,
               "live_url": live_url("incoming", shown.live_query)}  # fmt: skip
    return page_or_region(request, "incoming/index.html", "incoming/_region.html", context)


@require_safe
def media(request, pk):
    """The bytes of a part, as what they are: never as what their sender, or our own row, calls them.

    Pictures, sound and film open in the browser, everything else is a download; nothing of it may run.
    """
    part = get_object_or_404(MmsPart, pk=pk, missing=False)
    etag = f'"{part.sha256}"'
    if etag in request.headers.get("If-None-Match", ""):
        response = HttpResponseNotModified()
    else:
        try:
            file = part.path.open("rb")
        except OSError:
            raise Http404("The bytes of this part are gone.") from None
        kind = stored.sniff(file.read(HEAD))
        file.seek(0)
        shown = kind in PICTURES or kind.startswith(("audio/", "video/"))
        response = FileResponse(file, content_type=kind if shown else stored.UNKNOWN)
        response["Content-Disposition"] = content_disposition_header(not shown, safe_name(part))
    response["ETag"] = etag
    response["Cache-Control"] = "private, no-cache"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    return response


def safe_name(part):
    """A file name without folders, control characters or the marks that turn text around."""
    name = re.sub(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069/\\:*?\"<>|]+", "_", part.name).strip(". ")
    return name[-100:] or f"part-{part.pk}"
