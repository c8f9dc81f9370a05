"""Request signatures: base64(SHA-1("<server URL>,<name>=<value>,…,<password>")), names sorted, files left out.

Source: EnvayaSMS server API, "Security". The server URL is the setting as typed into the phone, so checking means
trying candidates. Nothing here raises, whatever a stranger sends.
"""

import hashlib
import hmac
from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import urlsplit

# Telling a stranger's mistake costs a hash per variant: not for bodies above this many characters.
DIAGNOSED_CHARACTERS = 64 * 1024


def sign(server_url, fields, password):
    """The signature of ``fields`` (name → value) as a phone with this URL setting and password makes it."""
    return _digest(server_url, _tail(fields, password)).decode()


def matches(signature_header, server_url, fields, password):
    """Whether the header (text, bytes or None; white space around it does not count) is this signature."""
    received = _header(signature_header)
    return bool(received) and hmac.compare_digest(received, _digest(server_url, _tail(fields, password)))


def candidates(public_urls, scheme, host, raw_path, query_string=""):
    """The server URLs a phone may have typed to arrive here, most likely first.

    Each public URL verbatim, then the URL as received. A path ``/`` may have been typed or not, and so may a bare
    ``?`` at the end; the request looks the same. ``raw_path`` and ``query_string`` may be bytes.
    """
    path, query = _text(raw_path), _text(query_string)
    base = f"{scheme}://{_text(host)}"
    received = f"{base}{path}?{query}" if query else f"{base}{path}"
    found = [*public_urls, received]
    if path in ("", "/"):
        found.append(f"{base}?{query}" if query else base)
    if not query:
        found.append(received + "?")
    return list(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Fit:
    """A variant that explains a refused signature: what the phone signed, and how it differs from what we take."""

    server_url: str
    difference: str

    def __str__(self):
        return f"signed for {self.server_url} ({self.difference})"


def diagnose(signature_header, fields, passwords, public_urls, scheme, host, raw_path, query_string=""):
    """The Fit that explains a signature no candidate matched, or None: then it is the password or the content.

    Tries other schemes, trailing slashes, ports, queries, lower case and the bare host; and the app's habit to sign
    a missing value as the word ``null`` but to send it empty. A Fit is for telling people, never for letting in.
    """
    received = _header(signature_header)
    if len(received) != 28 or sum(map(len, fields.values())) > DIAGNOSED_CHARACTERS:
        return None
    accepted = candidates(public_urls, scheme, host, raw_path, query_string)

    tails = [_tail(fields, password) for password in passwords]

    def fits(url, tails=tails):
        return any(hmac.compare_digest(received, _digest(url, tail)) for tail in tails)

    seen = set(accepted)
    for base in accepted:
        for url, difference in _variants(base, _text(host), _text(query_string)):
            if url in seen:
                continue
            seen.add(url)
            if fits(url):
                return Fit(url, difference)
    if fields.get("message") == "":
        as_null = [_tail({**fields, "message": "null"}, password) for password in passwords]
        for url in accepted:
            if fits(url, as_null):
                return Fit(url, "the app signed a missing text as the word null")
    return None


def _tail(fields, password):
    """All that is signed after the URL."""
    pairs = [f"{name}={value}" for name, value in sorted(fields.items())]
    return ",".join(["", *pairs, password]).encode("utf-8", "surrogatepass")


def _digest(server_url, tail):
    return b64encode(hashlib.sha1(server_url.encode("utf-8", "surrogatepass") + tail).digest())


def _variants(url, host, query):
    """(variant, what is different) for every way to mistype ``url``, single slips before combinations."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return []
    if not parts.hostname:
        return []
    name = parts.netloc.removesuffix(port)
    asked_port = host[host.rfind(":") :] if host.rpartition(":")[2].isdigit() and ":" in host else ""
    stem = parts.path.rstrip("/")
    schemes = _options((parts.scheme, ""), ("https" if parts.scheme == "http" else "http", "other scheme"))
    names = _options((name, ""), (name.lower(), "lower case"))
    ports = _options(
        (port, ""), ("", "without port"), *((p, f"with port {p[1:]}") for p in (asked_port, ":80", ":443"))
    )
    paths = _options(
        (parts.path, ""),
        (stem, "without trailing slash"),
        (stem + "/", "with trailing slash"),
        ("", "without path"),
        ("/", "without path"),
    )
    own_query, asked_query = (f"?{said}" if said else "" for said in (parts.query, query))
    queries = _options((own_query, ""), ("", "without query"), (asked_query, "with query"))
    found = [
        (f"{scheme}://{name}{port}{path}{query}", [*filter(None, (scheme_is, name_is, port_is, path_is, query_is))])
        for scheme, scheme_is in schemes.items()
        for name, name_is in names.items()
        for port, port_is in ports.items()
        for path, path_is in paths.items()
        for query, query_is in queries.items()
    ]
    return [(variant, ", ".join(slips)) for variant, slips in sorted(found, key=lambda pair: len(pair[1]))]


def _options(*pairs):
    """What to try → how it differs; the first word on each counts."""
    options = {}
    for option, difference in pairs:
        options.setdefault(option, difference)
    return options


def _header(value):
    raw = value if isinstance(value, bytes) else (value or "").encode("utf-8", "surrogatepass")
    return raw.strip()


def _text(value):
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""
