"""Parts of pages: answered alone where htmx asks for them, and rendered once for all who watch."""

import threading
from collections import OrderedDict

from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.utils.translation import get_language


def wants_fragment(request):
    """Whether htmx asks for a part; boosted links and history restores want the whole page."""
    return bool(request.htmx and not request.htmx.boosted and not request.htmx.history_restore_request)


def page_or_region(request, page, region, context):
    """Render ``region`` for htmx, else ``page``, which includes the same region."""
    response = render(request, region if wants_fragment(request) else page, context)
    patch_vary_headers(response, ["HX-Request"])
    return response


class Fragments:
    """Rendered fragments by (fragment, language, role, id, version); the least recently used go first."""

    def __init__(self, most=5000):
        self._kept, self._most, self._lock = OrderedDict(), most, threading.Lock()

    def get(self, key, make):
        key = (get_language(), *key)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        html = make()
        with self._lock:
            self._kept[key] = html
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return html

    def clear(self):
        with self._lock:
            self._kept.clear()


fragments = Fragments()
