"""Events and errors as bytes in a phone's dialect: JSON from version 28, XML below. The only place that knows.

Both functions return (content type, body), both bytes. The app compares the content type with care for case.
"""

import json
import re

from fleet.gateway.events import Cancel, Log, Send, Settings

JSON = b"application/json"
XML = b"text/xml"
JSON_SINCE = 28
SETTINGS_SINCE = 29
NEWEST, OLDEST = 30, 13

DECLARATION = "<?xml version='1.0' encoding='UTF-8'?>"
FORBIDDEN_IN_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# The old parser reads any other named entity, and a number above U+FFFF, as the word "null".
ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"})


def answer(version, events):
    """A 200 for a phone of this version code. What its version cannot understand is left out."""
    if version < JSON_SINCE:
        messages = [message for event in events if isinstance(event, Send) for message in event.messages]
        sms = "".join(map(_sms, filter(_identified, messages)))
        return XML, f"{DECLARATION}<messages>{sms}</messages>".encode()
    said = (_event(event, version) for event in events)
    return JSON, _json({"events": [event for event in said if event]})


def error(version, text):
    """A refusal that the phone shows in its log."""
    if version < JSON_SINCE:
        return XML, f"{DECLARATION}<response><error>{_xml(text)}</error></response>".encode()
    return JSON, _json({"error": {"message": _whole(text)}})


def dialect_of_user_agent(user_agent):
    """The version code to answer with where the form could not be read: 30 or 13. App 2.0 sends no such header."""
    said = user_agent.decode("latin-1") if isinstance(user_agent, bytes) else user_agent or ""
    return NEWEST if said.startswith("EnvayaSMS/3.") else OLDEST


def _event(event, version):
    match event:
        case Send(messages):
            said = [
                {"id": m.id, "to": _whole(m.to), "message": _whole(m.text), "priority": m.priority}
                for m in messages
                if _identified(m)
            ]
            return {"event": "send", "messages": said} if said else None
        case Cancel(id):
            return {"event": "cancel", "id": id} if id else None
        case Log(message):
            return {"event": "log", "message": _whole(message)}
        case Settings(values) if version >= SETTINGS_SINCE and values:
            said = {name: _whole(value) if isinstance(value, str) else value for name, value in values.items()}
            return {"event": "settings", "settings": said}
    return None


def _identified(message):
    """Whether it has an id: without one the phone would never report, and take all such messages for one."""
    return bool(message.id)


def _sms(message):
    # An attribute's line ends would become blanks anyway, by the rules of XML.
    to = _xml(message.to).replace("\n", " ").replace("\t", " ")
    return f'<sms id="{_xml(message.id)}" to="{to}" priority="{message.priority}">{_xml(message.text)}</sms>'


def _xml(text):
    lines = _whole(text).replace("\r\n", "\n").replace("\r", "\n")
    return FORBIDDEN_IN_XML.sub("", lines).translate(ENTITIES)


def _json(value):
    # Escaped to ASCII, it reads the same whatever charset the phone assumes.
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def _whole(text):
    """``text`` with surrogate pairs joined and single ones replaced by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
