"""What the app makes of a server's answer.

``Answer`` is one exchange. ``read`` turns its body into events; where the real app would choke, it raises
``Indigestible`` or adds to ``complaints`` what went wrong, so that a test can ask whether a server keeps to
what phones in the field can digest.
"""

import json
import re
from dataclasses import dataclass
from xml.dom import minidom
from xml.parsers.expat import ExpatError

FIRST_JSON_VERSION = 28
REFERENCE = re.compile(r"&(#x[0-9a-fA-F]+|#\d+|\w+);")
XML_ENTITIES = {"amp", "lt", "gt", "quot", "apos"}


class Indigestible(ValueError):
    """The app drops this answer, or the rest of it."""


@dataclass
class Answer:
    """One exchange: the HTTP status, or None where no answer came; ``ok`` is what the app makes of it."""

    status: int | None
    body: bytes = b""
    content_type: str = ""
    error: str = ""
    copies: int = 1  # how often the request was put on the wire

    def __post_init__(self):
        self.ok = self.status == 200

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")


def read(answer, version, complaints):
    """The events of an answer, dicts with ``event``; raises Indigestible."""
    if answer.content_type.startswith("application/json") and version >= FIRST_JSON_VERSION:
        return _json_events(answer.body)
    if answer.content_type.startswith("text/xml"):
        return _xml_events(answer.body, complaints)
    raise Indigestible(f"unexpected content type {answer.content_type or '(none)'}")


def error_text(answer, version):
    """The words of a 4xx, as the app writes them to its log."""
    try:
        if version >= FIRST_JSON_VERSION and answer.content_type.startswith("application/json"):
            return str(json.loads(answer.body)["error"]["message"])
        if answer.content_type.startswith("text/xml"):
            return "".join(_text(node) for node in _parse(answer.body).getElementsByTagName("error"))
    except (ValueError, KeyError, TypeError) as wrong:
        raise Indigestible(f"unreadable error answer: {wrong}") from wrong
    return f"HTTP error {answer.status}"


def _json_events(body):
    try:
        document = json.loads(body.decode("utf-8"))
    except ValueError as wrong:
        raise Indigestible(f"not JSON: {wrong}") from wrong
    if not isinstance(document, dict):
        raise Indigestible("the top level is not an object")
    events = document.get("events", [])
    if not isinstance(events, list):
        raise Indigestible("events is not a list")
    return events


def _parse(body):
    try:
        return minidom.parseString(body)
    except (ExpatError, ValueError) as wrong:
        raise Indigestible(f"not XML: {wrong}") from wrong


def _xml_events(body, complaints):
    text = REFERENCE.sub(lambda found: _reference(found, complaints), body.decode("utf-8", "replace"))
    found = _parse(text.encode()).getElementsByTagName("messages")
    if not found:
        return []
    messages = []
    for node in found[0].childNodes:
        if node.nodeType != node.ELEMENT_NODE:
            raise Indigestible("white space or a comment inside <messages>")
        if any(child.nodeType not in (child.TEXT_NODE, child.CDATA_SECTION_NODE) for child in node.childNodes):
            complaints.append("an element or comment inside the text of an <sms>")
        values = {name: node.getAttribute(name) for name in ("id", "to", "priority") if node.hasAttribute(name)}
        messages.append(values | {"message": _text(node)})
    return [{"event": "send", "messages": messages}] if messages else []


def _reference(found, complaints):
    """Character references the old parser cannot resolve put the word ``null`` into the text."""
    name = found[1]
    if name.startswith("#"):
        number = int(name[2:], 16) if name[1] == "x" else int(name[1:])
        if number <= 0xFFFF:
            return found[0]
    elif name in XML_ENTITIES:
        return found[0]
    complaints.append(f"the reference &{name}; reads as null")
    return "null"


def _text(node):
    return "".join(
        child.data for child in node.childNodes if child.nodeType in (child.TEXT_NODE, child.CDATA_SECTION_NODE)
    )
