"""What a person sees in a real browser while real requests of phones arrive."""

import asyncio
import io
import statistics
import threading
import time

import pytest
from PIL import Image
from playwright.sync_api import expect

from fleet.virtual.phone import VirtualPhone
from fleet.virtual.requests import Part
from tests.conftest import sign_in

pytestmark = pytest.mark.browser


class Hands:
    """Drives a virtual phone from a test that is not a coroutine: Playwright's sync API keeps the thread's loop."""

    def __init__(self, server, number):
        self.server, self.number = server, number

    def does(self, act):
        """Run ``act(phone)``, a coroutine function, with a phone of its own connection."""

        async def run():
            async with VirtualPhone(self.number, "s3cret", self.server.gateway_url) as phone:
                return await act(phone)

        return in_a_thread(run())


def in_a_thread(coroutine):
    result = []
    thread = threading.Thread(target=lambda: result.append(asyncio.run(coroutine)))
    thread.start()
    thread.join(30)
    assert result, "the virtual phone did not finish"
    return result[0]


@pytest.fixture
def make_phone(live_server_up):
    """Register a phone with the running server; what drives it."""

    def make(number, label=""):
        live_server_up.manage("phone", "add", number, "--password", "s3cret", "--label", label)
        return Hands(live_server_up, number)

    return make


@pytest.fixture
def console_errors(browser_page):
    """What the page's console complained about, such as a breach of the content security policy."""
    found = []
    browser_page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
    browser_page.on("pageerror", lambda error: found.append(str(error)))
    return found


def test_a_stranger_sees_the_login_page_only(new_page):
    page = new_page()
    page.goto("/messages/")
    expect(page.locator("[name=password]")).to_be_visible()
    assert "login" in page.url


def test_a_wrong_password_is_refused_in_words(new_page):
    page = new_page()
    page.goto("/")
    page.locator("[name=login]").fill("admin")
    page.locator("[name=password]").fill("not-the-password")
    page.locator("[name=password]").press("Enter")
    expect(page.locator("body")).to_contain_text("not correct")


def test_signing_in_leads_to_the_fleet(new_page, live_server_up):
    page = new_page()
    sign_in(page, live_server_up)
    expect(page.get_by_role("heading", name="Fleet", exact=True).first).to_be_visible()


def test_a_battery_changes_on_an_open_page_without_a_reload(browser_page, make_phone, console_errors, capsys):
    phone = make_phone("255700000101", "Moshi depot")
    browser_page.goto("/")
    expect(browser_page.get_by_text("Live", exact=True).first).to_be_visible()
    browser_page.evaluate("window.neverReloaded = true")

    # One thread posts, this one watches the page: the time between is what people feel.
    posted, taken = {}, []

    async def post(battery):
        async with VirtualPhone(phone.number, "s3cret", phone.server.gateway_url) as virtual:
            virtual.battery = battery
            posted[battery] = time.monotonic()
            await virtual.post("device_status", status="battery_okay")

    tile = browser_page.locator("main").get_by_text("Moshi depot").first
    for battery in (90, 81, 72, 63, 54):
        thread = threading.Thread(target=lambda battery=battery: asyncio.run(post(battery)))
        thread.start()
        expect(browser_page.locator("main")).to_contain_text(f"{battery} %")
        taken.append(time.monotonic() - posted[battery])
        thread.join()
    expect(tile).to_be_visible()
    assert browser_page.evaluate("window.neverReloaded") is True
    assert console_errors == []
    with capsys.disabled():
        print(f"\nFrom the phone's post to the changed element: median {statistics.median(taken) * 1000:.0f} ms")


def test_a_message_is_sent_from_the_form_and_its_timeline_grows_live(browser_page, make_phone, console_errors):
    phone = make_phone("255700000102", "Lindi hospital")
    phone.does(lambda virtual: virtual.test())
    browser_page.goto("/messages/new/")
    browser_page.locator("[name=to]").fill("+255 762 455 018")
    browser_page.locator("[name=text]").fill("The clinic opens at eight")
    chosen = browser_page.locator("[name=phone] option", has_text="Lindi hospital").get_attribute("value")
    browser_page.locator("[name=phone]").select_option(chosen)
    browser_page.get_by_role("button", name="Send").click()
    expect(browser_page.locator("main")).to_contain_text("The clinic opens at eight")

    async def fetch_and_send(virtual):
        await virtual.poll()
        await virtual.until(lambda: virtual.radio.air)
        await virtual.rest()
        return [sms.text for sms in virtual.radio.air]

    assert phone.does(fetch_and_send) == ["The clinic opens at eight"]
    expect(browser_page.locator("main")).to_contain_text("Sent")
    expect(browser_page.locator("main")).to_contain_text("Fetched by the phone")
    assert console_errors == []


def test_the_picture_of_an_mms_is_shown(browser_page, make_phone, console_errors):
    phone = make_phone("255700000103", "Kigoma ferry")
    browser_page.goto("/incoming/")
    picture = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(picture, "JPEG")

    async def receive(virtual):
        parts = [Part("image/jpeg", picture.getvalue(), "boat.jpg", "<boat>")]
        return (await virtual.receive_mms("+255762455018", parts, "the boat is in")).status

    assert phone.does(receive) == 200
    expect(browser_page.locator("main")).to_contain_text("the boat is in")
    image = browser_page.locator("main img").first
    expect(image).to_be_visible()
    expect(image).to_have_js_property("complete", True)
    assert image.evaluate("image => image.naturalWidth") == 64
    assert console_errors == []


def test_a_wrong_password_on_the_phone_is_explained(browser_page, make_phone, live_server_up):
    make_phone("255700000104", "Tanga store")

    async def sign_with_another_password():
        async with VirtualPhone("255700000104", "other", live_server_up.gateway_url) as virtual:
            return (await virtual.test()).status

    browser_page.goto("/problems/")
    assert in_a_thread(sign_with_another_password()) == 403
    expect(browser_page.locator("main")).to_contain_text("255700000104")
    expect(browser_page.locator("main")).not_to_contain_text("s3cret")


def test_no_page_scrolls_sideways_at_phone_width(browser_page):
    browser_page.set_viewport_size({"width": 360, "height": 780})
    for path in ("/", "/messages/", "/messages/new/", "/incoming/", "/problems/", "/phones/add/"):
        browser_page.goto(path)
        assert browser_page.evaluate("document.documentElement.scrollWidth") <= 360, path
