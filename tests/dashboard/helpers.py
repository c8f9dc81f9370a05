"""What the tests of the pages share."""

from fleet import media
from fleet.phones import LogChunk, note
from fleet.problems import SignInProblem
from tests import factories

# A whole picture: one transparent pixel.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c626001000000"
    "ffff03000006000557bfabd40000000049454e44ae426082"
)


def part(data, **values):
    """A part of an MMS whose bytes are kept, for ``make_incoming(parts=[…])``."""
    return {"sha256": media.keep(data), "size": len(data), "type": media.sniff(data)} | values


def message_on(phone, attempt_state="assigned", text="Good morning", **values):
    """A message with an attempt on ``phone``."""
    message = factories.make_message(text=text, **{"state": "sending", **values})
    factories.make_attempt(message, phone, state=attempt_state)
    return message


def make_busy_phone(**values):
    """A phone with something of everything that its page shows."""
    phone = factories.make_phone(**{"battery": 80, "power": 0, "network": "WIFI", **values})
    note(phone, "network", "WIFI → MOBILE")
    LogChunk.objects.create(phone=phone, at=phone.created_at, text="[11:00] Checking for messages\nSending SMS")
    message_on(phone, "sent", state="sent")
    message_on(phone, "failed", error="RESULT_ERROR_NO_SERVICE")
    factories.make_incoming(phone, parts=[part(PNG)])
    SignInProblem.objects.create(phone_number=phone.number, cause="wrong_password", detail="")
    return phone
