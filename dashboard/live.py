"""Live pages: what each open page shows, and what of it to paint again when rows change.

A page is asked with the parameters of its own URL. ``start`` remembers what the browser has; ``paint`` takes
noted ids and returns frames of HTML, each element replacing the one with its id (or going to the top of its
list), from the same templates the page itself uses. A fragment is rendered once per process and version,
however many watch. ``Again`` tells the page to fetch its region instead.
"""

import re
from dataclasses import dataclass

from django.db.models import Q
from django.template.loader import render_to_string
from django.utils.html import format_html

from dashboard import context, pages, selections
from dashboard.fragments import fragments
from fleet.inbox import Incoming
from fleet.outbox import Attempt, Message
from fleet.phones import Phone
from fleet.problems import SignInProblem

# More rows than this at once: fetching the region is cheaper than painting each.
MOST_IDS = 200
# What a <time> says moves by itself: it makes no fragment differ.
TICKING = re.compile(r"<time\b[^>]*>[^<]*</time>")


class Again(Exception):
    """The page should fetch its region anew."""


@dataclass(frozen=True)
class Noted:
    """What changed: ``kinds`` maps a kind to a set of ids; ``version`` names the newest notes it comes from."""

    kinds: dict
    version: tuple

    def ids(self, kind):
        return self.kinds.get(kind, set())


class LivePage:
    """A page with the shell only: the counts in the rail."""

    def __init__(self, params, role=""):
        self.params, self.role, self.pk = params, role, None
        self._sent = {}  # hash of the last fragment sent, by its name

    def start(self):
        """Remember what the browser was given."""

    def paint(self, noted):
        """Frames to send for ``noted``; each is a string of elements that may share a parent."""
        if sum(map(len, noted.kinds.values())) > MOST_IDS:
            raise Again
        return [frame for frame in (*self.frames(noted), *self._shell(noted)) if frame]

    def frames(self, noted):
        return []

    def part(self, name, template, version, values):
        """A fragment that replaces itself, or "" where nothing in it differs; ``values()`` is its context."""
        html = fragments.get(
            (template, self.role, name, self.pk, version), lambda: render_to_string(template, {**values(), "oob": True})
        )
        seen = hash(TICKING.sub("", html))
        if self._sent.get(name) == seen:
            return ""
        self._sent[name] = seen
        return html

    def _shell(self, noted):
        counts = fragments.get(("shell", noted.version), lambda: _count_elements())
        for name, html in counts:
            if self._sent.get(name) != html:
                self._sent[name] = html
                yield html


def _count_elements():
    links = context.links()
    return [
        (
            f"{place}-{link['key']}",
            render_to_string("shell/_count.html", {"link": link, "id": f"{place}-{link['key']}", "oob": True}),
        )
        for link in links
        if link["key"]
        for place in (("rail", "tab") if link["hot"] else ("rail",))
    ]


class FleetPage(LivePage):
    """The wall. A phone that changes its group moves with the whole region, the others are painted in place."""

    def start(self):
        self.wall = selections.Wall(self.params)
        self.groups = {tile.phone.pk: tile.group for tile in self.wall.tiles()}

    def frames(self, noted):
        yield self.part("counters", "fleet/_counters.html", (self.wall.query, noted.version), self._counters)
        if ids := noted.ids("phone"):
            tiles = self.wall.tiles(ids)
            groups = {tile.phone.pk: tile.group for tile in tiles}
            if groups != {pk: self.groups[pk] for pk in ids if pk in self.groups}:
                self.groups = {pk: group for pk, group in self.groups.items() if pk not in ids} | groups
                raise Again
            yield "".join(
                self.part(f"phone-{tile.phone.pk}", "fleet/_tile.html", tile.version, lambda tile=tile: {"tile": tile})
                for tile in tiles
            )
            yield self.part("changes", "fleet/_changes.html", noted.version, pages.changes)
        if noted.ids("problem"):
            yield self.part("problem-strip", "fleet/_problem_strip.html", noted.version, pages.problem_strip)

    def _counters(self):
        return {"counters": selections.counters(self.wall)}


class ListPage(LivePage):
    """A paged list. On its first page new rows go to the top; on others a line says how many are newer."""

    kind: str  # of note, and the start of each row's id
    selection: type[selections.Paged]
    row: str  # the template of a row
    holder: str  # the element rows stand in
    element: str  # the element a row is

    def start(self):
        self.list = self.selection(self.params)
        self.shown = {row.pk for row in self.list.rows()}
        self.newer = set()

    def version(self, row):
        raise NotImplementedError

    def frames(self, noted):
        ids = self.touched(noted)
        if not ids:
            return
        found = {row.pk: row for row in self.list.find().filter(pk__in=ids)}
        yield "".join(self._row(found[pk]) for pk in sorted(self.shown & found.keys()))
        gone = (self.shown & ids) - found.keys()
        self.shown -= gone
        for pk in gone:
            yield format_html('<{0} id="{1}-{2}" hx-swap-oob="delete"></{0}>', self.element, self.kind, pk)
        if new := found.keys() - self.shown:
            yield self._add(new, found)

    def _add(self, new, found):
        if self.list.before is not None:
            self.newer |= {pk for pk in new if pk >= self.list.before}
            return render_to_string(
                "components/_newer.html", {"count": len(self.newer), "query": self.list.newer, "oob": True}
            )
        if not self.shown or min(new) < max(self.shown):
            raise Again  # in place of the words of an empty list, or somewhere among the rows
        self.shown |= new
        rows = "".join(self._row(found[pk], oob=False) for pk in sorted(new, reverse=True))
        return f'<{self.holder} hx-swap-oob="afterbegin:#{self.kind}-rows">{rows}</{self.holder}>'

    def touched(self, noted):
        return noted.ids(self.kind)

    def _row(self, row, oob=True):
        return fragments.get(
            (self.row, self.role, oob, row.pk, self.version(row)),
            lambda: render_to_string(self.row, {"row": row, "oob": oob}),
        )


class MessagesPage(ListPage):
    kind, selection, row, holder, element = "message", selections.Messages, "messages/_row.html", "tbody", "tr"

    def version(self, row):
        return selections.message_version(row)

    def frames(self, noted):
        yield from super().frames(noted)
        if noted.ids("message"):
            yield self.part(
                "message-filters", "components/_filters.html", (self.list.query(), noted.version), self._choices
            )

    def _choices(self):
        return {"choices": self.list.choices(), "id": "message-filters"}


class IncomingPage(ListPage):
    kind, selection, row, holder, element = "incoming", selections.Letters, "incoming/_row.html", "ol", "li"

    def version(self, row):
        return row.received_at


class OneOf(LivePage):
    """A page about one row: the id stands in the parameters."""

    def start(self):
        self.pk = selections.whole_number(self.params.get("id")) or 0


class PhonePage(OneOf):
    def frames(self, noted):
        if self.pk in noted.ids("phone"):
            version = noted.version
            yield self.part("phone-facts", "phones/_facts.html", version, lambda: pages.phone_facts(self._phone()))
            yield self.part("phone-events", "phones/_events.html", version, lambda: pages.phone_events(self.pk))
            yield self.part("phone-log", "phones/_log.html", version, lambda: pages.phone_log(self.pk))
        if self._is_mine(Attempt.objects.filter(message_id__in=noted.ids("message")), noted.ids("message")):
            yield self.part(
                "phone-messages", "phones/_messages.html", noted.version, lambda: pages.phone_messages(self.pk)
            )
        if self._is_mine(Incoming.objects.filter(pk__in=noted.ids("incoming")), noted.ids("incoming")):
            yield self.part(
                "phone-incoming", "phones/_incoming.html", noted.version, lambda: pages.phone_incoming(self.pk)
            )

    def _is_mine(self, found, ids):
        return bool(ids) and found.filter(phone_id=self.pk).exists()

    def _phone(self):
        if phone := Phone.objects.filter(pk=self.pk).first():
            return phone
        raise Again


class ConnectPage(PhonePage):
    def frames(self, noted):
        phone = Phone.objects.filter(pk=self.pk).first()
        if phone is None:
            return
        mine = SignInProblem.objects.filter(pk__in=noted.ids("problem")).filter(
            Q(phone_number=phone.number) | Q(phone_number="")
        )
        if self.pk in noted.ids("phone") or (noted.ids("problem") and mine.exists()):
            yield self.part(
                "connect-status", "phones/_connect_status.html", noted.version, lambda: pages.connect_status(phone)
            )


class MessagePage(OneOf):
    def frames(self, noted):
        if self.pk in noted.ids("message"):
            message = Message.objects.filter(pk=self.pk).first()
            if message is None:
                raise Again
            yield self.part("message-body", "messages/_body.html", noted.version, lambda: pages.message_body(message))


class ProblemsPage(LivePage):
    def frames(self, noted):
        if noted.ids("problem") or noted.ids("phone"):
            yield self.part("problem-list", "problems/_list.html", noted.version, pages.problem_list)


PAGES = {
    "shell": LivePage,
    "fleet": FleetPage,
    "phone": PhonePage,
    "connect": ConnectPage,
    "messages": MessagesPage,
    "message": MessagePage,
    "incoming": IncomingPage,
    "problems": ProblemsPage,
}
