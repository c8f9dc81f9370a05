"""A request's body as fields and files.

Only the fields are signed, and a signature needs them exactly as the phone meant them: nothing is trimmed, no line
end changed, no control character dropped.
"""

import logging
import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

MAX_PARTS = 1000  # fields and files of one form
MAX_HEADER_BYTES = 16 * 1024  # one header line of a part: it holds the file's name
BOUNDARY = re.compile(r';\s*boundary=(?:"([!-~ ]{1,200}?)"|([!-~]{1,200}?))\s*(?:;|$)', re.IGNORECASE)
# The app does not escape quotes inside a file's name, so the name of the field is the first quoted text and the
# file's name all between the next quote and the last.
NAME = re.compile(rb';\s*name=(?:"([^"]*)"|([^\s;"]+))', re.IGNORECASE)
FILENAME = re.compile(rb';\s*filename\*?=\s*(?:"(.*)"|([^;]*))', re.IGNORECASE | re.DOTALL)

# The parser warns of each malformed body, which would let any stranger fill our logs.
logging.getLogger("python_multipart").setLevel(logging.ERROR)


class Malformed(ValueError):
    """What a phone sent is no request of this protocol; the message says why, in one line."""


@dataclass(frozen=True, slots=True)
class File:
    """A part with a file name: the bytes of one MMS part."""

    field: str
    filename: str  # ASCII with ? for the rest, as the app writes it
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Form:
    """What was posted: ``fields`` are signed, ``files`` are not."""

    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, File] = field(default_factory=dict)


def parse(content_type, body):
    """Take ``body`` apart as ``content_type`` (the header's text) says. Raises Malformed, and nothing else."""
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return _urlencoded(body)
    if kind == "multipart/form-data":
        return _multipart(content_type, body)
    if not kind:
        raise Malformed("the request has no content type")
    raise Malformed(f"content type {ascii(kind[:80])} is no form")


def _urlencoded(body):
    if body.count(b"&") >= MAX_PARTS:
        raise Malformed(f"more than {MAX_PARTS} fields")
    form = Form()
    for pair in body.split(b"&"):
        if pair:
            name, _, value = pair.replace(b"+", b" ").partition(b"=")
            _add(form, _decoded(unquote_to_bytes(name)), _decoded(unquote_to_bytes(value)))
    return form


def _multipart(content_type, body):
    found = BOUNDARY.search(content_type)
    if found is None:
        raise Malformed("multipart form without a boundary")
    boundary = (found[1] or found[2]).encode("ascii")
    delimiter = b"\r\n--" + boundary
    # The parser goes through near misses and padding byte by byte: a stranger could keep it busy for seconds.
    if body.count(delimiter) > MAX_PARTS + 1:
        raise Malformed(f"more than {MAX_PARTS} parts")
    if delimiter + b" " in body or delimiter + b"\t" in body:
        raise Malformed("blanks after a boundary")
    parts = _Parts()
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": parts.begin,
            "on_header_field": parts.header_name,
            "on_header_value": parts.header_value,
            "on_part_data": parts.data,
            "on_part_end": parts.end,
            "on_end": parts.finish,
        },
        max_header_size=MAX_HEADER_BYTES,
    )
    try:
        parser.write(body)
    except FormParserError as error:
        raise Malformed(f"broken multipart form: {ascii(str(error))[1:-1]}") from None
    if not parts.finished:
        raise Malformed("the multipart form ends too early")
    return parts.form


class _Parts:
    """Collects what the parser finds."""

    def __init__(self):
        self.form = Form()
        self.finished = False
        self.begun = 0

    def begin(self):
        self.begun += 1
        if self.begun > MAX_PARTS:
            raise Malformed(f"more than {MAX_PARTS} parts")
        self.headers = {}
        self.header = b""
        self.chunks = []

    def header_name(self, data, start, end):
        self.header = data[start:end].lower()

    def header_value(self, data, start, end):
        self.headers[self.header] = self.headers.get(self.header, b"") + data[start:end]

    def data(self, data, start, end):
        self.chunks.append(data[start:end])

    def end(self):
        disposition = self.headers.get(b"content-disposition", b"")
        named = NAME.search(disposition)
        if named is None:
            raise Malformed("a part of the form has no name")
        name = _decoded(named[1] if named[1] is not None else named[2])
        content = b"".join(self.chunks)
        file = FILENAME.search(disposition, named.end())
        if file is None:
            _add(self.form, name, _decoded(content))
            return
        _check_new(self.form, name)
        filename = file[1] if file[1] is not None else file[2]
        content_type = self.headers.get(b"content-type", b"")
        self.form.files[name] = File(
            name, filename.decode("utf-8", "replace"), content_type.decode("utf-8", "replace").strip(), content
        )

    def finish(self):
        self.finished = True


def _add(form, name, value):
    _check_new(form, name)
    form.fields[name] = value


def _check_new(form, name):
    if name in form.fields or name in form.files:
        raise Malformed(f"field {ascii(name[:80])} comes twice")


def _decoded(raw):
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Malformed("text that is not UTF-8") from None
