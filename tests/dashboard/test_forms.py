"""What people type: kept where it is right, explained where it is not, and nothing changed then."""

import pytest

from fleet.outbox import Message, MessageState
from fleet.phones import Phone
from tests.dashboard.helpers import message_on
from tests.factories import make_message, make_phone

PHONE = {"number": "+255754310221", "label": "Moshi depot", "password": "kikombe77"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"number": ""},
        {"number": "   "},
        {"number": "1" * 65},
        {"password": ""},
        {"label": "x" * 101},
        {"number": "+25\x00"},
        {"password": "a\x00b"},
    ],
)
def test_a_phone_that_cannot_be_is_not_added(alice, wrong):
    answer = alice.post("/phones/add/", PHONE | wrong)
    assert answer.status_code == 422
    assert b"errorlist" in answer.content
    assert not Phone.objects.exists()


def test_a_number_is_kept_as_typed(alice):
    alice.post("/phones/add/", PHONE | {"number": " 0754 310-221 "})
    phone = Phone.objects.get()
    assert (phone.number, phone.label, phone.password) == ("0754 310-221", "Moshi depot", "kikombe77")


def test_a_number_belongs_to_one_phone(alice):
    alice.post("/phones/add/", PHONE)
    again = alice.post("/phones/add/", PHONE)
    assert again.status_code == 422 and "already a phone" in again.content.decode()
    other = make_phone()
    changed = alice.post(f"/phones/{other.pk}/edit/", {"number": PHONE["number"], "mode": "active"})
    assert changed.status_code == 422
    assert Phone.objects.filter(number=PHONE["number"]).count() == 1


def test_an_empty_password_stays_and_a_new_one_counts(alice):
    phone = make_phone(password="old-one")
    edit = f"/phones/{phone.pk}/edit/"
    values = {"number": phone.number, "label": "Port", "mode": "paused", "long_poll": "on"}
    assert alice.post(edit, values)["Location"] == f"/phones/{phone.pk}/"
    phone.refresh_from_db()
    assert (phone.label, phone.mode, phone.password, phone.long_poll) == ("Port", "paused", "old-one", True)
    assert alice.post(edit, values | {"password": "new-one"})["Location"].endswith("/connect/")
    phone.refresh_from_db()
    assert phone.accepts_password() == ("new-one",)


def test_an_unknown_mode_changes_nothing(alice):
    phone = make_phone()
    answer = alice.post(f"/phones/{phone.pk}/edit/", {"number": phone.number, "label": "x", "mode": "root"})
    phone.refresh_from_db()
    assert answer.status_code == 422 and phone.label == "" and phone.mode == "active"


def test_a_phone_is_removed_by_a_post_only(alice):
    phone = make_phone()
    message = message_on(phone)
    page = alice.get(f"/phones/{phone.pk}/remove/").content.decode()
    assert "1 message that waits for it goes to another phone" in page
    assert Phone.objects.in_fleet().exists()
    alice.post(f"/phones/{phone.pk}/remove/")
    message.refresh_from_db()
    assert not Phone.objects.in_fleet().exists()
    assert message.state == MessageState.QUEUED
    assert alice.get(f"/phones/{phone.pk}/").status_code == 200
    for gone in ("edit", "remove", "connect"):
        assert alice.get(f"/phones/{phone.pk}/{gone}/").status_code == 404


SMS = {"to": "+255 754 310 221", "text": "Habari", "priority": "0", "policy": "never_twice"}


def test_a_message_is_queued_and_its_page_shows_it(alice):
    phone = make_phone()
    answer = alice.post("/messages/new/", SMS | {"phone": phone.pk, "priority": "10"})
    message = Message.objects.get()
    assert answer["Location"] == f"/messages/{message.pk}/"
    assert (message.to, message.text, message.phone, message.priority) == ("+255754310221", "Habari", phone, 10)
    assert message.created_by.username == "alice"
    assert "Queued" in alice.get(answer["Location"]).content.decode()


@pytest.mark.parametrize(
    "wrong",
    [
        {"to": ""},
        {"to": "nobody"},
        {"to": "1" * 65},
        {"to": "+255\x00"},
        {"text": ""},
        {"text": "  \n "},
        {"text": "x" * 20_001},
        {"text": "ж" * 10_000},
        {"phone": "999999"},
        {"phone": "x"},
        {"priority": "99"},
        {"priority": "high"},
        {"policy": "twice"},
    ],
)
def test_a_message_that_cannot_be_sent_is_explained_and_what_was_typed_stays(alice, wrong):
    answer = alice.post("/messages/new/", SMS | wrong)
    assert answer.status_code == 422
    assert "errorlist" in answer.content.decode() or 'role="alert"' in answer.content.decode()
    assert not Message.objects.exists()


def test_a_removed_phone_cannot_be_chosen(alice):
    phone = make_phone()
    alice.post(f"/phones/{phone.pk}/remove/")
    assert alice.post("/messages/new/", SMS | {"phone": phone.pk}).status_code == 422


def test_the_cost_of_a_text_is_said_while_it_is_typed(alice):
    assert "1 part" in alice.post("/messages/cost/", {"text": "x" * 160}).content.decode()
    assert "2 parts" in alice.post("/messages/cost/", {"text": "x" * 161}).content.decode()
    assert "Unicode" in alice.post("/messages/cost/", {"text": "Ng’ang’a"}).content.decode()
    assert alice.get("/messages/cost/").status_code == 405


@pytest.mark.parametrize("state, offered", [("queued", True), ("sent", False), ("cancelled", False)])
def test_cancelling_is_offered_while_it_can_be_done(alice, state, offered):
    message = make_message(state=state)
    assert ("data-confirm=" in alice.get(f"/messages/{message.pk}/").content.decode()) == offered


def test_a_waiting_message_is_cancelled_by_a_post_only(alice):
    message = make_message()
    url = f"/messages/{message.pk}/cancel/"
    assert alice.get(url).status_code == 405
    assert "It is cancelled" in alice.post(url, follow=True).content.decode()
    assert "Too late" in alice.post(url, follow=True).content.decode()
    message.refresh_from_db()
    assert message.state == MessageState.CANCELLED


def test_a_message_on_a_phone_is_asked_back(alice):
    message = message_on(make_phone(), "handed")
    assert "may be too late" in alice.get(f"/messages/{message.pk}/").content.decode()
    alice.post(f"/messages/{message.pk}/cancel/")
    assert "Being recalled" in alice.get(f"/messages/{message.pk}/").content.decode()
