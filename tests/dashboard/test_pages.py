"""Every page: behind the login, right when empty, and as many queries for thirty rows as for three."""

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from dashboard import selections
from tests.dashboard.helpers import make_busy_phone, message_on
from tests.factories import make_incoming, make_message, make_phone, make_user

PLAIN = ["fleet", "phone_add", "messages", "message_new", "incoming", "problems"]
OF_A_PHONE = ["phone", "phone_edit", "phone_remove", "phone_connect"]


@pytest.mark.django_db
@pytest.mark.parametrize("name", [*PLAIN, *OF_A_PHONE, "message", "media"])
def test_a_stranger_is_sent_to_the_login(client, name):
    args = () if name in PLAIN else (1,)
    answer = client.get(reverse(f"dashboard:{name}", args=args))
    assert answer.status_code == 302
    assert answer["Location"].startswith("/login/?next=")


@pytest.mark.parametrize("name", PLAIN)
def test_a_page_is_shown_while_everything_is_empty(alice, name):
    answer = alice.get(reverse(f"dashboard:{name}"))
    assert answer.status_code == 200
    assert b"<h1>" in answer.content


@pytest.mark.parametrize("name", PLAIN)
def test_a_page_asks_as_much_for_thirty_phones_as_for_three(alice, name):
    url = reverse(f"dashboard:{name}")
    for _ in range(3):
        make_busy_phone()
    with CaptureQueriesContext(connection) as few:
        alice.get(url)
    for _ in range(27):
        make_busy_phone()
    with CaptureQueriesContext(connection) as many:
        alice.get(url)
    assert len(many) == len(few)
    assert len(many) < 25


@pytest.mark.parametrize("name", OF_A_PHONE)
def test_a_phones_pages_are_shown_whether_it_is_busy_or_was_never_heard(alice, name):
    for phone in (make_busy_phone(), make_phone(state="never_seen")):
        assert alice.get(reverse(f"dashboard:{name}", args=[phone.pk])).status_code == 200


def test_htmx_gets_the_region_alone_and_caches_are_told(alice):
    make_phone()
    page, region = alice.get("/"), alice.get("/", headers={"HX-Request": "true"})
    boosted = alice.get("/", headers={"HX-Request": "true", "HX-Boosted": "true"})
    assert b"<html" in page.content and b"<html" in boosted.content
    assert b"<html" not in region.content and b'class="tile' in region.content
    assert all("HX-Request" in answer["Vary"] for answer in (page, region))


def test_no_page_holds_inline_style_or_script(alice):
    phone = make_busy_phone()
    urls = [reverse(f"dashboard:{name}") for name in PLAIN]
    urls += [reverse(f"dashboard:{name}", args=[phone.pk]) for name in OF_A_PHONE]
    for url in urls:
        html = alice.get(url).content.decode()
        assert " style=" not in html and "<style" not in html and "onclick=" not in html
        assert html.count("<script") == html.count("<script src=")


def test_odd_parameters_of_a_filter_are_ignored(alice):
    make_busy_phone()
    odd = "state=<script>&kind=%00&before=99999999999999999999&phone=-1&q=%00%25_'\""
    for name in ("fleet", "messages", "incoming", "problems"):
        answer = alice.get(f"{reverse(f'dashboard:{name}')}?{odd}")
        assert answer.status_code == 200
        assert b"<script>&" not in answer.content


def test_phones_with_trouble_come_first_and_say_so(alice):
    make_phone(label="Arusha office")
    make_phone(label="Mtwara port", battery=9)
    html = alice.get("/").content.decode()
    assert html.index("Mtwara port") < html.index("Arusha office")
    assert "Battery low" in html


def test_a_counter_filters_the_wall(alice):
    make_phone(label="Arusha office")
    make_phone(label="Mtwara port", state="offline")
    html = alice.get("/?state=offline").content.decode()
    assert 'id="phone-' in html and "<h3>Mtwara port</h3>" in html and "<h3>Arusha office</h3>" not in html


def test_attention_counts_the_phones_that_say_why(alice):
    make_phone()
    make_phone(battery=15, power=1)
    make_phone(state="never_seen")
    troubled = [make_phone(battery=15), make_phone(state="late"), make_phone(clock_offset_ms=-300_000)]
    message_on(failing := make_phone(), "failed")
    ids = {phone.pk for phone in [*troubled, failing]}
    assert {phone.pk for phone in selections.needing_attention()} == ids
    assert {tile.phone.pk for tile in selections.Wall(QueryDict("state=attention")).tiles()} == ids


def test_the_wall_is_searched_by_name_and_by_digits_with_spaces(alice):
    make_phone("+255754310221", label="Moshi depot")
    make_phone("+255713884052", label="Lindi hospital")
    for q in ("moshi", "754 310"):
        html = alice.get("/", {"q": q}).content.decode()
        assert "<h3>Moshi depot</h3>" in html and "<h3>Lindi hospital</h3>" not in html


def test_a_long_list_is_paged_by_id(alice):
    for count in range(60):
        make_message(text=f"number {count}")
    first = alice.get("/messages/")
    assert first.content.count(b"data-wash") == 50
    older = first.context["list"].older
    second = alice.get(f"/messages/?{older}").content.decode()
    assert "number 9" in second and "number 59" not in second


def test_the_password_of_a_phone_is_on_no_page_but_once_after_it_was_typed(alice):
    answer = alice.post(
        reverse("dashboard:phone_add"), {"number": "+255754310221", "label": "Moshi", "password": "kikombe77"}
    )
    connect = answer["Location"]
    assert "kikombe77" in alice.get(connect).content.decode()
    assert "kikombe77" not in alice.get(connect).content.decode()
    for other in ("", "edit/", "remove/"):
        assert "kikombe77" not in alice.get(connect.replace("connect/", other)).content.decode()


def test_nothing_claims_that_a_message_was_delivered(alice):
    phone = make_busy_phone()
    message = message_on(phone, "sent", state="sent")
    for url in ("/", "/messages/", f"/messages/{message.pk}/", "/messages/new/", f"/phones/{phone.pk}/"):
        assert "delivered" not in alice.get(url).content.decode().lower()


def test_a_name_that_looks_like_markup_is_shown_as_text(alice):
    phone = make_phone(label="<b>bold</b>", model="<i>x</i>", network="<u>", manufacturer="\"'>")
    make_incoming(phone, text="<script>alert(1)</script>", other_party="<img src=x>")
    for url in ("/", f"/phones/{phone.pk}/", "/incoming/", f"/phones/{phone.pk}/connect/"):
        html = alice.get(url).content.decode()
        assert "<b>bold" not in html and "<script>alert" not in html and "<img src=x" not in html


def test_signing_up_is_closed_and_signing_in_works(client, db):
    make_user("neema", "a-long-password")
    assert client.get("/signup/").status_code in (302, 404)
    wrong = client.post("/login/", {"login": "neema", "password": "no"})
    assert wrong.status_code == 200 and b"not correct" in wrong.content
    right = client.post("/login/", {"login": "neema", "password": "a-long-password"})
    assert right.status_code == 302 and right["Location"] == "/"
    assert client.get("/").status_code == 200
    assert client.post("/logout/")["Location"] == "/login/"
    assert client.get("/").status_code == 302
