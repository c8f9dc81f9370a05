"""How phones talk to the fleet: the EnvayaSMS protocol on one page.

Source: the published EnvayaSMS server API (envaya.org/sms), and what the app was seen to do, versions 2.0 to
3.0.1. Where the two differ this package follows the app, because that is what is in the field.

**Request.** A phone knows one server URL and posts a form to it for everything: ``urlencoded``, or ``multipart``
for an MMS, always UTF-8. ``phone_number`` says who speaks, ``version`` (an integer: 30 is 3.0.1, 18 is 2.0.5,
17 is 2.0.4, 13 is 2.0) how to answer, ``action`` what it wants:

    outgoing        asks for work                 incoming       an SMS, MMS or call arrived
    send_status     how one of our messages went  forward_sent   its owner sent a text by hand
    device_status   power, battery, limit         amqp_started   it listens to a queue
    test            the button in the app

Newer versions add facts to each request: ``log``, ``network``, ``send_limit``, ``now``, ``settings_version``,
``battery``, ``power``.

**Signature.** ``X-Request-Signature`` is the base64 SHA-1 of the URL, the sorted ``name=value`` pairs and the
password, joined by commas; files are left out. The URL is the setting as its owner typed it, which a request does
not always show: hence the list of candidates in ``signature``. There is no protection against replays, and an
unanswered request is repeated byte for byte up to three times: every action has to be idempotent.

**Answer.** Only 200 is success. 403 is a bad signature; the text of another 4xx lands in the phone's log; a 5xx is
never read. Never a redirect (the app follows with a GET and takes its 200 for "delivered"), never 204 or 304 (it
crashes), never compressed. From version 28 JSON: ``{"events": [{"event": "send", "messages": [...]}, ...]}`` with
``send``, ``cancel``, ``log`` and, from 29, ``settings``. Below 28 XML: ``<messages><sms id to priority>text</sms>
</messages>``, which can only send. Events are obeyed in the answer to everything but ``test``. ``cancel_all``
exists but loses the rest of its answer, so this package never says it.

**What a phone does with a message.** Nothing acknowledges the hand-over; the first word is ``sent`` or ``failed``,
said once. ``failed`` is not final: the app tries five times over a day, and ``sent`` may still follow. An id offered
again while the phone holds it is ignored in silence. "Sent" means that the radio took it; nobody knows of delivery.

**What a phone does with a received message.** It repeats it, up to days later, until it gets a 200; there is no id,
so the message is known by its content. Hence nothing signed is refused for being odd: it is kept, and noted.

The modules: ``form`` (body to fields and files), ``signature``, ``actions`` (what a phone can say), ``events`` (what
can be said back), ``wire`` (events to bytes). These five are pure. The rest of the package connects them to the
fleet.
"""
