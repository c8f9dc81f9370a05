"""Pure: what a text costs in SMS parts. An estimate: a few carriers count differently.

Source: 3GPP TS 23.038 §6.2.1 (the GSM 7-bit alphabet and its extension table), TS 23.040 §9.2.3.24.1
(a part of several loses 48 bits to its header: 153 septets or 67 UTF-16 units are left).
"""

from dataclasses import dataclass

import regex

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = frozenset("\f^{}\\[~]|€")  # an escape and a character: two septets, never split over two parts
GRAPHEME = regex.compile(r"\X")


@dataclass(frozen=True, slots=True)
class Cost:
    """``parts`` SMS in ``encoding`` (GSM-7 or UCS-2); ``units`` septets or UTF-16 units in all."""

    parts: int
    encoding: str
    units: int


def cost(text):
    """What sending ``text`` costs. The empty text has no parts."""
    if all(character in BASIC or character in EXTENDED for character in text):
        sizes = [2 if character in EXTENDED else 1 for character in text]
        return _cost(sizes, "GSM-7", single=160, each=153)
    # Android cuts UCS-2 at grapheme borders, so that a composed emoji stays whole.
    sizes = [_utf16_units(cluster) for cluster in GRAPHEME.findall(text)]
    return _cost(sizes, "UCS-2", single=70, each=67)


def parts(text):
    """How many SMS ``text`` takes."""
    return cost(text).parts


def _utf16_units(text):
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _cost(sizes, encoding, *, single, each):
    total = sum(sizes)
    if total <= single:
        return Cost(min(total, 1), encoding, total)
    count, used = 1, 0
    for size in sizes:
        if used + size <= each:
            used += size
            continue
        if size > each:  # a single cluster longer than a part has to be torn
            count += (used + size - 1) // each
            used = (used + size - 1) % each + 1
        else:
            count, used = count + 1, size
    return Cost(count, encoding, total)
