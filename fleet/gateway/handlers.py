"""What a batch of phone requests does, in one transaction: sign in, learn, act, answer.

Requests of one phone take effect in the order they arrived; whatever they do is set-based over the whole batch.
Answers are built last, so each can carry what its own report made due.
"""

import hashlib
import logging
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings
from django.core.cache import cache
from django.db import transaction

from fleet import clock, inbox, outbox, phones, problems
from fleet.gateway import actions, signature, wire
from fleet.gateway.events import Cancel, OutMessage, Send
from fleet.gateway.form import Form, Malformed
from fleet.phones import Phone
from fleet.problems import Cause, SignInProblem

log = logging.getLogger(__name__)

JSON_SINCE = 28  # these sign `now`, so that an equal signature means a copy
# What the app logs when it starts (and when its settings change): it may have forgotten the ids it sent.
STARTED = ("Checking for outgoing messages every", "Not checking for outgoing messages.")


@dataclass(slots=True)
class Request:
    """A post that arrived: its form, or None and what is wrong with it, and how it came."""

    form: Form | None
    malformed: str
    signature: str
    user_agent: str
    address: str
    scheme: str
    host: str
    raw_path: bytes
    query: bytes
    at: datetime = field(default_factory=clock.now)
    at_gateway: bool = True  # False: posted to another path of this server, so to be refused with a hint

    @property
    def number(self):
        return self.form.fields.get("phone_number", "") if self.form else ""

    @property
    def version(self):
        """The dialect to answer in, also where the form says none."""
        said = self.form.fields.get("version", "") if self.form else ""
        return int(said[:9]) if said[:9].isdecimal() else wire.dialect_of_user_agent(self.user_agent)


@dataclass(slots=True)
class Wake:
    """A held poll for which work appeared; ``wanted()`` is False once its phone has gone or polled anew."""

    phone_id: int
    version: int
    memory_key: str
    wanted: object


@dataclass(slots=True)
class Answer:
    """What to send back. ``hold`` is the id of a phone whose poll may wait for work."""

    status: int
    content_type: bytes
    body: bytes
    hold: int | None = None
    version: int = 0
    memory_key: str = ""


@dataclass(slots=True)
class _Signed:
    """A request whose phone is known and whose signature fits."""

    request: Request
    phone: Phone
    report: actions.Report
    action: object
    memory_key: str
    copy: bool


def handle(jobs):
    """Handle Requests and Wakes in one transaction; their Answers in the same order. Remembers after commit."""
    with transaction.atomic():
        answers, remember = _handle(jobs)
    if remember:
        try:
            cache.set_many(remember, timeout=clock.seconds(settings.FLEET_ANSWER_MEMORY_SECONDS))
        except Exception:
            log.exception("Answers could not be remembered")
    return answers


def _handle(jobs):
    answers = [None] * len(jobs)
    wakes = {place: job for place, job in enumerate(jobs) if isinstance(job, Wake)}
    fleet = _locked_phones(jobs)
    refused, signed, copies = [], {}, {}
    for place, job in enumerate(jobs):
        if place in wakes:
            continue
        found = _sign_in(job, fleet)
        if not isinstance(found, _Signed):
            answers[place], problem = found
            refused.append(problem)
        elif found.memory_key and found.memory_key in copies:
            copies[found.memory_key].append(place)
        else:
            signed[place] = found
            copies[found.memory_key or place] = [place]
    problems.record([problem for problem in refused if problem])
    remembered = _remembered([one.memory_key for one in signed.values() if one.memory_key])
    for place, one in list(signed.items()):
        if (answer := remembered.get(one.memory_key)) is not None:
            answers[place] = Answer(200, *answer)
            del signed[place]
    _act(list(signed.values()))
    remember = _answer(signed, wakes, fleet, answers)
    for places in copies.values():
        for place in places[1:]:
            answers[place] = answers[places[0]]
    return answers, remember


def _locked_phones(jobs):
    """Every phone the jobs name, locked, in the order of their ids: {number: [phones]} and {id: phone}."""
    numbers = {job.number for job in jobs if isinstance(job, Request) and job.number}
    numbers = {number for number in numbers if "\x00" not in number}  # PostgreSQL cannot even look for those
    ids = {job.phone_id for job in jobs if isinstance(job, Wake)}
    found = Phone.objects.reporting()
    fleet = {}
    query = found.filter(number__in=numbers) | found.filter(pk__in=ids) if ids else found.filter(number__in=numbers)
    # no_key: rows that merely refer to a phone, such as events, may be written meanwhile.
    locked = query.order_by("pk").select_for_update(no_key=True)
    # Those in the fleet first: a number may still be that of a phone removed today.
    for phone in sorted(locked, key=lambda phone: phone.archived_at is not None):
        fleet.setdefault(phone.number, []).append(phone)
        fleet[phone.pk] = phone
    return fleet


def _sign_in(request, fleet):
    """A _Signed, or (Answer, SignInProblem) for a request that is refused."""
    if request.form is None:
        return _refuse(request, 400, request.malformed, Cause.MALFORMED, request.malformed)
    passwords = [(phone, password) for phone in fleet.get(request.number, ()) for password in phone.accepts_password()]
    if not passwords:
        try:
            actions.parse(request.form)
        except Malformed as problem:
            return _refuse(request, 400, str(problem), Cause.MALFORMED, str(problem))
        return _refuse(request, 403, "This phone number is not registered on the server.", Cause.UNKNOWN_NUMBER, "")
    where = (request.scheme, request.host, request.raw_path, request.query)
    accepted = signature.candidates(settings.FLEET_PUBLIC_URLS, *where)
    for url in accepted:
        for phone, password in passwords:
            if signature.matches(request.signature, url, request.form.fields, password):
                return _signed(request, phone, url)
    fit = signature.diagnose(
        request.signature,
        request.form.fields,
        [password for _, password in passwords],
        settings.FLEET_PUBLIC_URLS,
        *where,
    )
    if fit is None:
        return _refuse(
            request,
            403,
            "Invalid signature: check the password, and the server URL to the letter.",
            Cause.WRONG_PASSWORD,
            "The signature fits none of our server URLs with this phone's password.",
        )
    if fit.server_url in accepted:  # the URL is right: it is the app that signed something else than it sent
        return _refuse(request, 403, f"Invalid signature: {fit.difference}.", Cause.MALFORMED, fit.difference)
    return _other_url(request, fit.server_url, fit.difference)


def _signed(request, phone, url):
    if not request.at_gateway:
        return _other_url(request, url)
    try:
        report, action = actions.parse(request.form)
    except Malformed as problem:
        return _refuse(request, 400, str(problem), Cause.MALFORMED, str(problem))
    distinct = report.version >= JSON_SINCE or not isinstance(action, actions.Outgoing)
    fingerprint = hashlib.blake2b(
        f"{phone.pk} {request.signature.strip()} {url}".encode("utf-8", "surrogatepass"), digest_size=16
    ).hexdigest()
    return _Signed(
        request,
        phone,
        report,
        action,
        f"answer:{fingerprint}" if distinct else "",
        copy=distinct and phone.last_signature == fingerprint,
    )


def _other_url(request, url, difference="other path"):
    ours = (settings.FLEET_PUBLIC_URLS or [f"{request.scheme}://{request.host}/gateway/"])[0]
    return _refuse(
        request,
        403,
        f"The password is right, but the server URL is {url} and should be {ours}",
        Cause.OTHER_URL,
        f"The phone signs for {url} and should have {ours} ({difference}).",
    )


def _refuse(request, status, text, cause, detail):
    problem = SignInProblem(
        phone_number=request.number.replace("\x00", "�").encode("utf-8", "replace").decode(),
        cause=cause,
        detail=detail,
        address=request.address,
        first_at=request.at,
        at=request.at,
    )
    return Answer(status, *wire.error(request.version, text)), problem


def _remembered(keys):
    """Answers given lately to byte-identical requests: {key: (content type, body)}."""
    if not keys:
        return {}
    try:
        return cache.get_many(keys)
    except Exception:
        log.exception("The memory of answers does not answer")
        return {}


def _act(signed):
    """Apply what the phones say, each kind of thing for the whole batch at once."""
    if not signed:
        return
    fresh = [one for one in signed if not one.copy]
    device = {id(one): one.action.status for one in fresh if isinstance(one.action, actions.DeviceStatus)}
    phones.hear(
        [
            phones.Heard(
                phone=one.phone,
                report=one.report,
                at=one.request.at,
                polled=isinstance(one.action, actions.Outgoing),
                device_status=device.get(id(one)),
                user_agent=one.request.user_agent,
                signature=one.memory_key.removeprefix("answer:"),
                copy=one.copy,
            )
            for one in signed
        ]
    )
    received = [(one.phone, one.request.at, one.action) for one in signed if isinstance(one.action, actions.Incoming)]
    if received:
        inbox.receive(received)
    outbox.take_statuses(
        [
            outbox.Status(one.phone, one.request.at, one.action.id, one.action.status, one.action.error)
            for one in fresh
            if isinstance(one.action, actions.SendStatus)
        ]
    )
    if limited := [one.phone.pk for one in fresh if device.get(id(one)) == "send_limit_exceeded"]:
        outbox.limit_exceeded(limited, clock.now())
    if started := {one.phone.pk for one in fresh if one.report.log and any(line in one.report.log for line in STARTED)}:
        outbox.forget(started)


def _answer(signed, wakes, fleet, answers):
    """Fill ``answers``; what to remember of them. A phone's offers ride on the first answer that can carry them."""
    carriers = {}
    for place, one in signed.items():
        asked = isinstance(one.action, actions.Outgoing)
        if asked or (place not in carriers and _carries(one)):
            known = carriers.get(one.phone.pk)
            if known is None or (asked and not known[1].asked):
                carriers[one.phone.pk] = (place, outbox.App(one.phone, one.report.version, asked))
    for place, wake in wakes.items():
        phone = fleet.get(wake.phone_id)
        if phone is not None and phone.pk not in carriers and wake.wanted():
            carriers[phone.pk] = (place, outbox.App(phone, wake.version, True))
    offers = outbox.offer([app for _, app in carriers.values()], clock.now()) if carriers else {}
    remember = {}
    for place, job in {**signed, **wakes}.items():
        one = signed.get(place)
        version = one.report.version if one else job.version
        phone_id = one.phone.pk if one else job.phone_id
        offer = offers.get(phone_id) if carriers.get(phone_id, (None,))[0] == place else None
        events = _events(offer) if offer else ()
        answer = answers[place] = Answer(200, *wire.answer(version, events), version=version, memory_key=job.memory_key)
        if one and not events and isinstance(one.action, actions.Outgoing) and one.phone.long_poll:
            answer.hold = phone_id
        elif job.memory_key and version >= JSON_SINCE:
            remember[job.memory_key] = (answer.content_type, answer.body)
    return remember


def _carries(one):
    """Whether the app obeys events in the answer to this action: before 3.0 it reads fewer answers."""
    if one.report.version >= JSON_SINCE:
        return not isinstance(one.action, actions.Test)
    return isinstance(one.action, actions.Incoming) and one.action.direction == "in"


def _events(offer):
    events = [Cancel(wire_id) for wire_id in offer.recalls]
    if offer.messages:
        events.append(
            Send(
                tuple(
                    OutMessage(attempt.public_id, message.to, message.text, message.priority)
                    for attempt, message in offer.messages
                )
            )
        )
    return tuple(events)
