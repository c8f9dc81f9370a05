"""What states, events and problems are called, and how they look: a tone, an icon and a word, never colour alone.

Tones: ok, warn, bad, idle (grey: unknown or at rest), go (in motion). "Sent" is what the phone says of its radio.
"""

from dataclasses import dataclass

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from fleet.outbox import AttemptState, MessageState
from fleet.phones import Mode, State
from fleet.problems import Cause

# At or below this many per cent, and not charging, a battery is worth a word.
BATTERY_LOW = 15
# A phone's clock may be off by this much (ms) before we speak of it: polls take their time on the way.
CLOCK_OFF_MS = 120_000

PHONE_STATES = {
    State.ONLINE: ("ok", "f-circle-check", gettext_lazy("Online")),
    State.LATE: ("warn", "f-clock", gettext_lazy("Late")),
    State.OFFLINE: ("bad", "f-circle-x", gettext_lazy("Offline")),
    State.NEVER_SEEN: ("idle", "circle-dashed", gettext_lazy("Never seen")),
}
MODES = {
    Mode.ACTIVE: ("ok", "check", gettext_lazy("Active")),
    Mode.PAUSED: ("idle", "player-pause", gettext_lazy("Paused")),
    Mode.DRAINING: ("idle", "hourglass", gettext_lazy("Draining")),
    Mode.DISABLED: ("idle", "ban", gettext_lazy("Disabled")),
}
MESSAGE_STATES = {
    MessageState.SCHEDULED: ("idle", "calendar-clock", gettext_lazy("Scheduled")),
    MessageState.QUEUED: ("idle", "stack-2", gettext_lazy("Waiting")),
    MessageState.SENDING: ("go", "device-mobile", gettext_lazy("Sending")),
    MessageState.SENT: ("ok", "check", gettext_lazy("Sent")),
    MessageState.FAILED: ("bad", "f-circle-x", gettext_lazy("Failed")),
    MessageState.CANCELLED: ("idle", "ban", gettext_lazy("Cancelled")),
    MessageState.EXPIRED: ("warn", "hourglass", gettext_lazy("Expired")),
}
ATTEMPT_STATES = {
    AttemptState.ASSIGNED: ("idle", "clock", gettext_lazy("Waiting for its phone")),
    AttemptState.HANDED: ("go", "device-mobile", gettext_lazy("On the phone")),
    AttemptState.WITHDRAWN: ("idle", "arrow-back-up", gettext_lazy("Taken back")),
    AttemptState.SENT: ("ok", "check", gettext_lazy("Sent")),
    AttemptState.FAILED: ("warn", "refresh", gettext_lazy("Failed, phone tries again")),
    AttemptState.REFUSED: ("bad", "ban", gettext_lazy("Refused by the phone")),
    AttemptState.CANCELLED: ("idle", "ban", gettext_lazy("Cancelled")),
    AttemptState.LOST: ("warn", "help-circle", gettext_lazy("No word from the phone")),
}


@dataclass(frozen=True)
class Said:
    """Something in words: tone, icon, text, and a second line."""

    tone: str
    icon: str
    text: str
    more: str = ""
    advice: str = ""
    serious: bool = True  # it puts a phone among those that need attention


# ── Small words ────────────────────────────────────────────────────────────────────────────────────


def ago(moment, now):
    """As the browser's ticking says it (static/fleet.js)."""
    seconds = round((now - moment).total_seconds())
    if seconds < 1:
        return _("now")
    if seconds < 60:
        return _("# s ago").replace("#", str(seconds))
    if seconds < 3600:
        return _("# min ago").replace("#", str(seconds // 60))
    if seconds < 172_800:
        return _("# h ago").replace("#", str(seconds // 3600))
    return _("# d ago").replace("#", str(seconds // 86_400))


def network(value):
    """(icon, word) of what a phone calls its network; grey words where it never said."""
    known = (value or "").upper()
    if not known:
        return "antenna-bars-1", _("Unknown")
    if known == "WIFI":
        return "wifi", _("Wi-Fi")
    if known in ("NONE", "NULL", "DISCONNECTED"):
        return "antenna-bars-off", _("No network")
    if known.startswith("MOBILE"):
        return "antenna-bars-5", _("Mobile")
    return "world", value


def power(value):
    """Where its power comes from, by Android's number."""
    return {None: "", 0: _("on battery"), 1: _("charger"), 2: _("USB"), 4: _("wireless charger")}.get(
        value, _("external power")
    )


def clock_offset(milliseconds):
    """ "4 min slow"; empty where the clock is right or unknown."""
    if milliseconds is None or abs(milliseconds) < CLOCK_OFF_MS:
        return ""
    seconds = abs(milliseconds) // 1000
    if seconds < 7200:
        size = _("%d min") % (seconds // 60)
    elif seconds < 172_800:
        size = _("%d h") % (seconds // 3600)
    else:
        size = _("%d days") % (seconds // 86_400)
    return (_("%s fast") if milliseconds > 0 else _("%s slow")) % size


def clock_time(moment):
    local = timezone.localtime(moment)
    return date_format(local, "H:i" if local.date() == timezone.localdate() else "j M H:i")


# ── Phones ─────────────────────────────────────────────────────────────────────────────────────────


def phone_problems(phone, failing=0):
    """What is worth saying about a phone, two to five words each, the worst first."""
    said = []
    if phone.state == State.OFFLINE:
        said.append(Said("bad", "plug-connected-x", _("Silent since %s") % clock_time(phone.last_heard)))
    elif phone.state == State.LATE:
        said.append(Said("warn", "clock", _("Quieter than usual")))
    elif phone.state == State.NEVER_SEEN:
        said.append(Said("idle", "plug-connected", _("Not connected yet"), serious=False))
    if failing:
        said.append(
            Said(
                "bad",
                "antenna-bars-off",
                ngettext("%d failing, trying again", "%d failing, trying again", failing) % failing,
            )
        )
    if phone.closed_until and phone.closed_until > timezone.now():
        said.append(Said("warn", "hourglass", _("Limit reached, opens %s") % clock_time(phone.closed_until)))
    if phone.battery is not None and phone.battery <= BATTERY_LOW and not phone.charging:
        said.append(Said("bad" if phone.battery <= 5 else "warn", "battery-1", _("Battery low")))
    if offset := clock_offset(phone.clock_offset_ms):
        said.append(Said("warn", "history", _("Clock %s") % offset))
    if phone.mode != Mode.ACTIVE:
        tone, icon, word = MODES[phone.mode]
        said.append(Said(tone, icon, str(word), serious=False))
    return said


PHONE_EVENTS = {
    "added": ("idle", "circle-plus", gettext_lazy("Added to the fleet")),
    "removed": ("idle", "trash", gettext_lazy("Removed from the fleet")),
    "first_heard": ("ok", "f-circle-check", gettext_lazy("Connected for the first time")),
    "online": ("ok", "f-circle-check", gettext_lazy("Is back")),
    "late": ("warn", "f-clock", gettext_lazy("Quieter than usual")),
    "offline": ("bad", "f-circle-x", gettext_lazy("Went offline")),
    "network": ("idle", "wifi", gettext_lazy("Changed network")),
    "version": ("idle", "versions", gettext_lazy("Changed app version")),
    "power_connected": ("idle", "bolt", gettext_lazy("Charging")),
    "power_disconnected": ("idle", "battery-1", gettext_lazy("On battery")),
    "battery_low": ("warn", "battery-1", gettext_lazy("Battery low")),
    "battery_okay": ("idle", "battery-1", gettext_lazy("Battery is fine again")),
    "send_limit_exceeded": ("warn", "hourglass", gettext_lazy("Reached its sending limit")),
    "odd": ("warn", "info-circle", gettext_lazy("Said something odd")),
    "active": ("idle", "player-play", gettext_lazy("Active")),
    "paused": ("idle", "player-pause", gettext_lazy("Paused")),
    "draining": ("idle", "hourglass", gettext_lazy("Draining")),
    "disabled": ("idle", "ban", gettext_lazy("Disabled")),
}


def phone_event(event):
    tone, icon, text = PHONE_EVENTS.get(event.kind, ("idle", "info-circle", event.kind.replace("_", " ").capitalize()))
    more = event.text
    if event.kind == "network":
        before, arrow, after = event.text.partition(" → ")
        if arrow:
            text, more = _("%(before)s to %(after)s") % {"before": network(before)[1], "after": network(after)[1]}, ""
            icon = network(after)[0]
    elif event.kind == "online" and event.text.startswith("away "):
        more = _("away %s") % _duration(event.text.removeprefix("away ").removesuffix(" s"))
    return Said(tone, icon, str(text), more)


def _duration(seconds):
    if not seconds.isdigit():
        return seconds
    seconds = int(seconds)
    if seconds < 60:
        return _("%d s") % seconds
    if seconds < 7200:
        return _("%d min") % (seconds // 60)
    return _("%d h") % (seconds // 3600)


# ── Messages ───────────────────────────────────────────────────────────────────────────────────────


def message_state(message):
    """(tone, icon, word); doubt is part of the word, and only "sent" has none."""
    tone, icon, word = MESSAGE_STATES[message.state]
    if message.uncertain and message.state != MessageState.SENT:
        return "warn", "help-circle", _("%s, uncertain") % word
    if message.cancel_asked_at and message.settled_at is None:
        return "warn", "arrow-back-up", _("Being recalled")
    return tone, icon, word


MESSAGE_EVENTS = {
    "queued": ("idle", "stack-2", gettext_lazy("Queued")),
    "scheduled": ("idle", "calendar-clock", gettext_lazy("Scheduled")),
    "assigned": ("idle", "clock", gettext_lazy("Given to a phone")),
    "withdrawn": ("idle", "arrow-back-up", gettext_lazy("Taken back before it left")),
    "handed": ("go", "device-mobile", gettext_lazy("Fetched by the phone")),
    "offered_again": ("idle", "refresh", gettext_lazy("Offered once more")),
    "sent": ("ok", "f-circle-check", gettext_lazy("Sent, the phone says")),
    "duplicate": ("warn", "copy", gettext_lazy("Sent a second time, the phone says")),
    "failed": ("bad", "f-circle-x", gettext_lazy("Failed")),
    "refused": ("bad", "ban", gettext_lazy("Refused by the phone")),
    "given_back": ("idle", "arrow-back-up", gettext_lazy("Given back by the phone")),
    "deleted": ("idle", "trash", gettext_lazy("Deleted on the phone")),
    "lost": ("warn", "help-circle", gettext_lazy("No word from the phone")),
    "cancel_asked": ("idle", "hand-stop", gettext_lazy("Asked back from the phone")),
    "cancelled": ("idle", "ban", gettext_lazy("Cancelled")),
    "expired": ("warn", "hourglass", gettext_lazy("Expired")),
}


def message_event(step):
    if step.what == "failed" and step.phone_id:
        return Said("warn", "refresh", _("A try failed, the phone tries again"), step.why)
    tone, icon, text = MESSAGE_EVENTS.get(step.what, ("idle", "info-circle", step.what.replace("_", " ").capitalize()))
    return Said(tone, icon, str(text), step.why)


# ── Sign-in problems ───────────────────────────────────────────────────────────────────────────────


def sign_in_problem(problem):
    """What went wrong and what to do about it, for someone who holds the phone."""
    if problem.cause == Cause.UNKNOWN_NUMBER:
        return Said(
            "bad",
            "help-circle",
            _("Unknown number"),
            problem.detail,
            _("No phone here has this number. Add it, or correct “Your phone number” in the app, to the letter."),
        )
    if problem.cause == Cause.WRONG_PASSWORD:
        return Said(
            "bad",
            "lock",
            _("Wrong password"),
            problem.detail,
            _("Type the password again in the app, or set a new one here and type that."),
        )
    if problem.cause == Cause.OTHER_URL:
        return Said(
            "warn",
            "world",
            _("Right password, other server URL"),
            problem.detail,
            _("Number and password are right. Correct “Server URL” in the app; every letter and slash counts."),
        )
    return Said(
        "warn",
        "info-circle",
        _("Not a request of the app"),
        problem.detail,
        _("Perhaps a browser or a scanner called. If it was a phone, look at its app version."),
    )
