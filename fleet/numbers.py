"""Pure: phone numbers as people type them, as the network dials them, as people read them."""

import re

import phonenumbers

# What people put between digits: spaces (all kinds), dots, dashes, slashes, brackets.
BETWEEN = re.compile(r"[\s().\-/‐-―  ]+")
DIALABLE = re.compile(r"\+?[0-9*#]{1,20}")


class NotANumber(ValueError):
    """The text cannot be dialled."""


def dialable(text, region=""):
    """``text`` as a phone can dial it: E.164 where the country is known, else the digits as typed.

    ``region`` (ISO 3166, "TZ") is the country of numbers typed without one. Short codes ("15001", "*102#") stay
    as they are. Raises NotANumber with one line for people.
    """
    bare = BETWEEN.sub("", text.strip())
    if not any(character.isdigit() for character in bare):
        raise NotANumber(f"“{text.strip()[:40]}” is not a phone number: it has no digits.")
    if not DIALABLE.fullmatch(bare):
        raise NotANumber(f"“{text.strip()[:40]}” is not a phone number.")
    digits = bare.lstrip("+")
    if len(digits) <= 6 or not digits.isdigit() or (not bare.startswith("+") and not region):
        return bare
    try:
        parsed = phonenumbers.parse(bare, region or None)
    except phonenumbers.NumberParseException:
        return bare
    if not phonenumbers.is_possible_number(parsed):
        return bare
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def readable(text, region=""):
    """``text`` grouped as it is written internationally ("+255 754 310 221"); as it came where that fails."""
    try:
        parsed = phonenumbers.parse(text, region or None)
    except phonenumbers.NumberParseException:
        return text
    if not phonenumbers.is_possible_number(parsed):
        return text
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
