"""What the parts of each page hold: one function per part, for the view and for live updates alike."""

from django.conf import settings
from django.db.models import Prefetch, Q
from django.urls import reverse
from django.utils.http import urlencode

from dashboard import selections, words
from fleet.env import own_addresses
from fleet.inbox import Incoming
from fleet.outbox import Attempt
from fleet.outbox.models import SETTLED
from fleet.phones import LogChunk, Phone
from fleet.problems import SignInProblem

LOG_LINES = 60


# ── Fleet ──────────────────────────────────────────────────────────────────────────────────────────


def changes():
    return {"events": selections.changes()}


def problem_strip():
    newest = selections.recent_problems().order_by("-at")[:50]
    return {"problems": list(newest)}


# ── A phone ────────────────────────────────────────────────────────────────────────────────────────


def phone_facts(phone):
    [tile] = selections.tiles(Phone.objects.filter(pk=phone.pk))
    return {"tile": tile, "phone": tile.phone}


def phone_events(pk):
    return {"events": Phone(pk=pk).events.order_by("-at", "-id")[:12]}


def phone_log(pk):
    """The last lines the app logged, oldest first."""
    chunks = LogChunk.objects.filter(phone_id=pk).order_by("-id")[:20]
    lines = [line for chunk in reversed(chunks) for line in chunk.text.splitlines()]
    return {"lines": lines[-LOG_LINES:]}


def phone_messages(pk):
    attempts = Attempt.objects.filter(phone_id=pk).select_related("message").order_by("-id")[:8]
    return {"attempts": attempts, "phone_pk": pk}


def phone_incoming(pk):
    letters = Incoming.objects.filter(phone_id=pk).prefetch_related("parts").order_by("-id")[:6]
    return {"letters": letters, "phone_pk": pk}


def server_urls(request):
    """The URLs to type into a phone: those configured, or the address this page was opened at."""
    if settings.FLEET_PUBLIC_URLS:
        return list(settings.FLEET_PUBLIC_URLS)
    host, _, port = request.get_host().rpartition(":")
    if (host or port) not in ("localhost", "127.0.0.1", "[::1]") or settings.HOST not in ("0.0.0.0", "::"):
        return [request.build_absolute_uri("/gateway/")]
    addresses = [address for address in own_addresses() if not address.startswith("127.")]
    return [f"http://{address}:{settings.PORT}/gateway/" for address in addresses[:3]]


def connect_status(phone):
    """How far the phone has come, and its sign-in problems since it was last heard."""
    problems = SignInProblem.objects.filter(
        Q(phone_number=phone.number) | Q(phone_number=""), at__gte=phone.last_heard or selections.a_day_ago()
    ).order_by("-at")[:5]
    near = []
    if phone.last_heard is None:
        # A number typed differently is the usual mistake: show who else knocked today.
        near = selections.recent_problems().filter(cause="unknown_number").exclude(phone_number="").order_by("-at")[:3]
    return {"phone": phone, "problems": problems, "near": near}


# ── Messages ───────────────────────────────────────────────────────────────────────────────────────


def message_body(message):
    phones = Prefetch("phone", Phone.objects.defer("password", "previous_password"))
    return {
        "row": message,
        "wanted": Phone.objects.filter(pk=message.phone_id).defer("password", "previous_password").first(),
        "attempts": message.attempts.order_by("-id").prefetch_related(phones),
        "steps": message.timeline.order_by("-id").prefetch_related(phones),
        "can_cancel": message.state not in SETTLED and not message.cancel_asked_at,
        "on_phone": message.attempts.filter(state__in=["handed", "failed"]).exists(),
    }


# ── Sign-in problems ───────────────────────────────────────────────────────────────────────────────


def problem_list():
    """The newest problems, each with where to go next."""
    problems = list(SignInProblem.objects.order_by("-at", "-id")[:100])
    known = dict(
        Phone.objects.in_fleet().filter(number__in=[p.phone_number for p in problems]).values_list("number", "pk")
    )
    for problem in problems:
        problem.said = words.sign_in_problem(problem)
        problem.phone_pk = known.get(problem.phone_number)
        problem.add_url = ""
        if problem.cause == "unknown_number" and problem.phone_number and problem.phone_pk is None:
            problem.add_url = f"{reverse('dashboard:phone_add')}?{urlencode({'number': problem.phone_number})}"
    return {"problems": problems}
