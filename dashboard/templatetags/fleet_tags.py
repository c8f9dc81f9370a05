"""Template tags: icons, times, and what the phones' figures look like in words."""

import hashlib

from django import template
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dashboard import words
from dashboard.fragments import fragments
from fleet import numbers

register = template.Library()


@register.simple_tag
def icon(name, classes="", label=""):
    """An icon of static/icons.svg; ``f-`` names are filled. Silent to screen readers unless labelled."""
    classes = f"i f {classes}" if name.startswith("f-") else f"i {classes}"
    spoken = format_html('role="img" aria-label="{}"', label) if label else mark_safe('aria-hidden="true"')
    return format_html(
        '<svg class="{}" {}><use href="{}#{}"></use></svg>', classes.strip(), spoken, static("icons.svg"), name
    )


@register.filter
def ago(moment):
    """How long since ``moment``, as short as people say it; ticks on in the browser."""
    return words.ago(moment, timezone.now())


@register.simple_tag
def since(moment, never=""):
    """``moment`` as a <time> that ticks, the exact moment on hover; ``never`` where there is none."""
    if moment is None:
        return never
    local = timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="{}" data-ago>{}</time>',
        moment.isoformat(timespec="milliseconds"),
        date_format(local, "j F Y H:i:s"),
        words.ago(moment, timezone.now()),
    )


@register.simple_tag
def moment(when, seconds=False):
    """A fixed time: only the clock for today, with the day for other days; the exact moment on hover."""
    if when is None:
        return ""
    local = timezone.localtime(when)
    clock = "H:i:s" if seconds else "H:i"
    today = timezone.localtime().date()
    shape = clock if local.date() == today else f"j M {clock}" if local.year == today.year else f"j M Y {clock}"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        when.isoformat(timespec="milliseconds"),
        date_format(local, "j F Y H:i:s"),
        date_format(local, shape),
    )


@register.filter
def number(text):
    """A phone number grouped for reading; anything else as it came."""
    return numbers.readable(text) if text else _("Hidden number")


@register.filter
def network_word(network):
    return words.network(network)[1]


@register.filter
def network_icon(network):
    return words.network(network)[0]


@register.inclusion_tag("components/_state.html")
def phone_state(state):
    tone, icon_name, word = words.PHONE_STATES[state]
    return {"tone": tone, "icon": icon_name, "word": word}


@register.inclusion_tag("components/_state.html")
def message_state(message):
    tone, icon_name, word = words.message_state(message)
    return {"tone": tone, "icon": icon_name, "word": word}


@register.inclusion_tag("components/_state.html")
def attempt_state(attempt):
    tone, icon_name, word = words.ATTEMPT_STATES[attempt.state]
    return {"tone": tone, "icon": icon_name, "word": word}


@register.inclusion_tag("components/_battery.html")
def battery(phone, detail=False):
    """Battery cell with its percentage and whether it charges; says so where the phone never told."""
    level, charging = phone.battery, phone.charging
    known = level is not None
    tone = ""
    if known and not charging:
        tone = "bad" if level <= 5 else "warn" if level <= words.BATTERY_LOW else ""
    return {
        "known": known,
        "level": level,
        "width": round(16 * min(max(level or 0, 0), 100) / 100, 1),
        "charging": charging,
        "tone": tone,
        "detail": detail,
        "power": words.power(phone.power),
    }


@register.inclusion_tag("components/_word.html")
def problem_word(problem):
    return {"problem": problem}


@register.filter
def event_words(event):
    """Icon, tone and sentence of a PhoneEvent: ``.icon``, ``.tone``, ``.text``, ``.more``."""
    return words.phone_event(event)


@register.filter
def step_words(step):
    """The same of a MessageEvent."""
    return words.message_event(step)


@register.filter
def problem_words(problem):
    """The same of a SignInProblem, with ``.advice``: what to do about it."""
    return words.sign_in_problem(problem)


@register.filter
def parts_word(count):
    return ngettext("%(n)s part", "%(n)s parts", count) % {"n": count}


@register.filter
def clock_word(offset_ms):
    """How far the phone's clock is off, or that it is right."""
    return words.clock_offset(offset_ms) or _("right")


@register.filter
def newest_attempt(message):
    """The last of its prefetched attempts, or None."""
    return max(message.attempts.all(), key=lambda attempt: attempt.pk, default=None)


@register.filter
def says(part, text):
    """Whether a part holds just ``text``, which stands in the message already."""
    return bool(text) and part.sha256 == hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@register.simple_tag
def tile(shown):
    """A phone's tile, rendered once for each of its versions; the browser moves its times on."""
    return fragments.get(
        ("fleet/_tile.html", shown.phone.pk, shown.version),
        lambda: render_to_string("fleet/_tile.html", {"tile": shown}),
    )
