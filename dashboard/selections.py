"""What each list shows: the same filter for the page, for its refetched region and for live updates.

A filter is read from the URL's parameters; anything in them that makes no sense is ignored.
"""

from dataclasses import dataclass, field
from urllib.parse import urlencode

from django.db.models import Count, Prefetch, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dashboard import words
from fleet.inbox import Direction, Incoming, Type
from fleet.outbox import Attempt, AttemptState, Message, MessageState
from fleet.phones import Phone, PhoneEvent, State
from fleet.problems import SignInProblem

PAGE = 50
WAITING = (MessageState.SCHEDULED, MessageState.QUEUED)
ATTENTION = "attention"


def midnight():
    """When today began, in the zone of the times people see."""
    return timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)


def a_day_ago():
    return timezone.now() - timezone.timedelta(days=1)


def whole_number(text):
    """``text`` as a positive id, or None."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


# ── The fleet ──────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Tile:
    """A phone as the wall shows it."""

    phone: Phone
    waiting: int = 0
    on_phone: int = 0
    sent: int = 0  # today
    failing: int = 0
    problems: list = field(default_factory=list)

    @property
    def group(self):
        if any(problem.serious for problem in self.problems):
            return ATTENTION
        return "new" if self.phone.state == State.NEVER_SEEN else "well"

    @property
    def version(self):
        shown = tuple((problem.tone, problem.text) for problem in self.problems)
        return (self.phone.updated_at, self.waiting, self.on_phone, self.sent, shown)


def tiles(phones):
    """Tiles of ``phones`` (a QuerySet), by name; two more queries however many they are."""
    rows = sorted(phones.defer("password", "previous_password"), key=lambda phone: (phone.name.casefold(), phone.pk))
    ids = [phone.pk for phone in rows]
    counts = Attempt.objects.counts_by_phone(ids, midnight())
    failing = dict(
        Attempt.objects.filter(phone_id__in=ids, state=AttemptState.FAILED)
        .values("phone_id")
        .annotate(n=Count("id"))
        .values_list("phone_id", "n")
    )
    made = [Tile(phone, **counts.get(phone.pk, {}), failing=failing.get(phone.pk, 0)) for phone in rows]
    for tile in made:
        tile.problems = words.phone_problems(tile.phone, tile.failing)
    return made


def needing_attention():
    """Phones with trouble worth a look: the same rules as the words of ``words.phone_problems``, in SQL."""
    unplugged = Q(power=None) | Q(power=0)
    return Phone.objects.in_fleet().filter(
        Q(state__in=[State.LATE, State.OFFLINE])
        | Q(closed_until__gt=timezone.now())
        | (Q(battery__lte=words.BATTERY_LOW) & unplugged)
        | Q(clock_offset_ms__gte=words.CLOCK_OFF_MS)
        | Q(clock_offset_ms__lte=-words.CLOCK_OFF_MS)
        | Q(pk__in=Attempt.objects.filter(state=AttemptState.FAILED).values("phone_id"))
    )


class Wall:
    """The fleet page's phones: ``state`` (a phone state or "attention") and ``q`` over label and number."""

    def __init__(self, params):
        state = params.get("state", "")
        self.state = state if state in {*State.values, ATTENTION} else ""
        self.q = params.get("q", "").replace("\x00", "").strip()[:100]

    @property
    def query(self):
        return urlencode({name: value for name, value in (("state", self.state), ("q", self.q)) if value})

    @property
    def filtered(self):
        return bool(self.state or self.q)

    def phones(self):
        found = Phone.objects.in_fleet()
        if self.q:
            bare = self.q.replace(" ", "")
            found = found.filter(Q(label__icontains=self.q) | Q(number__icontains=self.q) | Q(number__icontains=bare))
        if self.state and self.state != ATTENTION:
            found = found.filter(state=self.state)
        return found

    def tiles(self, ids=None):
        phones = self.phones() if ids is None else self.phones().filter(pk__in=ids)
        made = tiles(phones)
        if self.state == ATTENTION:
            made = [tile for tile in made if tile.group == ATTENTION]
        return made

    def groups(self):
        """[(key, heading, tiles)], trouble first; empty groups are left out."""
        made = self.tiles()
        headings = {"attention": _("Needs attention"), "new": _("Not connected yet"), "well": _("All is well")}
        grouped = [(key, heading, [tile for tile in made if tile.group == key]) for key, heading in headings.items()]
        return [group for group in grouped if group[2]]


def counters(wall):
    """The joined counters above the wall; each is a link that filters, or leads to what it counts."""
    by_state = dict(Phone.objects.in_fleet().values_list("state").annotate(n=Count("id")).values_list("state", "n"))
    total = sum(by_state.values())
    unsettled = unsettled_counts()
    # Per phone, because that is how the index finds today's among years of them.
    today = Attempt.objects.counts_by_phone(Phone.objects.in_fleet().values("pk"), midnight())
    failed = Message.objects.filter(state=MessageState.FAILED, settled_at__gte=midnight()).count()
    home, outbox = reverse("dashboard:fleet"), reverse("dashboard:messages")

    def state_counter(state, name=None, tone=None, icon=None, value=None, of=None):
        tone, icon, word = words.PHONE_STATES.get(state, (tone, icon, name))
        current = wall.state == state
        q = {"q": wall.q} if wall.q else {}
        query = urlencode(q if current else {"state": state, **q})
        return {
            "name": name or word, "tone": tone, "icon": icon, "of": of, "current": current,
            "value": by_state.get(state, 0) if value is None else value, "href": f"{home}?{query}" if query else home,
        }  # fmt: skip

    def message_counter(name, icon, value, state):
        return {"name": name, "tone": "idle", "icon": icon, "value": value, "of": None, "current": False,
                "href": f"{outbox}?state={state}"}  # fmt: skip

    return [
        state_counter(State.ONLINE, of=_("of %d") % total),
        state_counter(State.LATE),
        state_counter(State.OFFLINE),
        state_counter(State.NEVER_SEEN),
        state_counter(ATTENTION, _("Attention"), "warn", "alert-triangle", needing_attention().count()),
        message_counter(_("Waiting"), "stack-2", unsettled["waiting"], "waiting"),
        message_counter(_("Sent today"), "arrow-up-right", sum(row["sent"] for row in today.values()), "sent"),
        message_counter(_("Failed today"), "circle-dotted", failed, "failed"),
    ]


def changes(count=12):
    """The newest phone events of the fleet."""
    return (
        PhoneEvent.objects.select_related("phone")
        .defer("phone__password", "phone__previous_password")
        .order_by("-at", "-id")[:count]
    )


def recent_problems():
    return SignInProblem.objects.filter(at__gte=a_day_ago())


# ── Messages ───────────────────────────────────────────────────────────────────────────────────────


def unsettled_counts():
    """{"waiting", "sending"}: messages without an outcome; cheap however long the history is."""
    found = Message.objects.filter(settled_at=None).aggregate(
        waiting=Count("id", filter=Q(state__in=WAITING)), sending=Count("id", filter=Q(state=MessageState.SENDING))
    )
    return {name: value or 0 for name, value in found.items()}


class Paged:
    """A list, newest first, paged by id: ``before`` names the oldest id of the page before."""

    filters: tuple[str, ...] = ()  # names of the parameters that filter, each an attribute

    def __init__(self, params):
        self.before = whole_number(params.get("before"))
        self.phone_id = whole_number(params.get("phone"))
        self.q = params.get("q", "").replace("\x00", "").strip()[:100]

    def query(self, **changed):
        values = {name: getattr(self, name) for name in self.filters} | {
            "phone": self.phone_id, "q": self.q, "before": self.before,
        } | changed  # fmt: skip
        return urlencode({name: value for name, value in values.items() if value})

    @property
    def filtered(self):
        return bool(self.phone_id or self.q or any(getattr(self, name) for name in self.filters))

    @property
    def live_query(self):
        return self.query()

    @cached_property
    def phone(self):
        return Phone.objects.filter(pk=self.phone_id).defer("password", "previous_password").first()

    def rows(self):
        """This page's rows."""
        return self._fetched[:PAGE]

    @cached_property
    def _fetched(self):
        found = self.find()
        if self.before:
            found = found.filter(pk__lt=self.before)
        return list(found.order_by("-id")[: PAGE + 1])

    @property
    def older(self):
        return self.query(before=self._fetched[PAGE - 1].pk) if len(self._fetched) > PAGE else None

    @property
    def newer(self):
        return self.query(before=None) if self.before else None


class Messages(Paged):
    """Messages by ``state`` ("waiting" is scheduled or queued; "uncertain" is any in doubt), ``phone``, ``q``."""

    filters = ("state",)
    names = {
        "": gettext_lazy("All"),
        "waiting": gettext_lazy("Waiting"),
        "sending": gettext_lazy("Sending"),
        "sent": gettext_lazy("Sent"),
        "failed": gettext_lazy("Failed"),
        "uncertain": gettext_lazy("Uncertain"),
        "cancelled": gettext_lazy("Cancelled"),
        "expired": gettext_lazy("Expired"),
    }

    def __init__(self, params):
        super().__init__(params)
        state = params.get("state", "")
        self.state = state if state in self.names else ""

    def find(self):
        found = Message.objects.prefetch_related(
            Prefetch("attempts", Attempt.objects.order_by("id").prefetch_related(_phones()))
        )
        if self.state == "waiting":
            found = found.filter(state__in=WAITING)
        elif self.state == "uncertain":
            found = found.filter(uncertain=True)
        elif self.state:
            found = found.filter(state=self.state)
        if self.phone_id:
            found = found.filter(pk__in=Attempt.objects.filter(phone_id=self.phone_id).values("message_id"))
        if self.q:
            bare = self.q.replace(" ", "")
            found = found.filter(Q(to__contains=bare) | Q(text__icontains=self.q))
        return found

    def choices(self):
        counts = unsettled_counts()
        return [
            {"name": name, "query": self.query(state=state, before=None), "current": state == self.state,
             "count": counts.get(state)}
            for state, name in self.names.items()
        ]  # fmt: skip


def _phones():
    return Prefetch("phone", Phone.objects.defer("password", "previous_password"))


def message_version(message):
    return (message.updated_at, tuple((attempt.pk, attempt.state) for attempt in message.attempts.all()))


# ── Incoming ───────────────────────────────────────────────────────────────────────────────────────


class Letters(Paged):
    """What phones received and what was sent by hand: ``kind`` (sms, mms, call, or out), ``phone``, ``q``."""

    filters = ("kind",)
    names = {
        "": gettext_lazy("All"),
        "sms": gettext_lazy("SMS"),
        "mms": gettext_lazy("MMS"),
        "call": gettext_lazy("Calls"),
        "out": gettext_lazy("Sent by hand"),
    }

    def __init__(self, params):
        super().__init__(params)
        kind = params.get("kind", "")
        self.kind = kind if kind in self.names else ""

    def find(self):
        found = Incoming.objects.prefetch_related(_phones(), "parts")
        if self.kind in Type.values:
            found = found.filter(type=self.kind, direction=Direction.IN)
        elif self.kind == "out":
            found = found.filter(direction=Direction.OUT)
        if self.phone_id:
            found = found.filter(phone_id=self.phone_id)
        if self.q:
            bare = self.q.replace(" ", "")
            found = found.filter(Q(other_party__icontains=bare) | Q(text__icontains=self.q))
        return found

    def choices(self):
        return [
            {"name": name, "query": self.query(kind=kind, before=None), "current": kind == self.kind}
            for kind, name in self.names.items()
        ]
