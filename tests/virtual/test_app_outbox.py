"""How the app sends: EnvayaSMS 3.0.1 unless a test names another version. No test waits; time is moved by hand."""

import random

import pytest

from fleet.virtual.app_outbox import AppOutbox
from fleet.virtual.radio import Radio
from tests.virtual.hand_clock import HandClock

DAY = 86400
TO = "+12025550123"


class App:
    """An outbox whose radio answers after one second, with all it posted."""

    def __init__(self, version=30, **options):
        self.clock = HandClock()
        self.radio = Radio(self.clock, took=(1, 1), rng=random.Random(1))
        self.posts = []
        self.outbox = AppOutbox(self.clock, self.radio, self._post, version=version, **options)

    def _post(self, action, **fields):
        self.posts.append((action, fields))

    def offer(self, *ids, text="hello", priority=0):
        for id in ids:
            self.outbox.offer(id, TO, text, priority)

    def fill_radio(self):
        """Two messages that never get a result keep the rest waiting."""
        self.radio.plan("lost", "lost")
        self.offer("stuck-1", "stuck-2")

    @property
    def statuses(self):
        return [(post["id"], post["status"]) for action, post in self.posts if action == "send_status"]

    @property
    def errors(self):
        return [post["error"] for action, post in self.posts if action == "send_status"]

    @property
    def limit_reports(self):
        return self.posts.count(("device_status", {"status": "send_limit_exceeded"}))

    @property
    def air(self):
        return [sms.id for sms in self.radio.air]


@pytest.fixture
def app():
    return App()


# ── Order ──────────────────────────────────────────────────────────────────────────────────────────


def test_two_messages_at_most_are_in_the_radio(app):
    app.offer("a", "b", "c")
    assert app.outbox.in_radio == 2 and app.outbox.state_of("c") == "queued"
    app.clock.pass_(1)
    assert app.air == ["a", "b"] and app.outbox.state_of("c") == "radio"


def test_the_rest_goes_by_priority_and_then_by_arrival(app):
    app.offer("first", "second")
    app.offer("low-1", "low-2", priority=-1)
    app.offer("plain")
    app.offer("high", priority=5)
    app.clock.pass_(10)
    assert app.air == ["first", "second", "high", "plain", "low-1", "low-2"]


def test_a_retry_keeps_its_place_in_the_order_of_arrival(app):
    app.radio.plan("no service")
    app.offer("failed-once", "other")
    app.clock.pass_(20.5)
    app.radio.plan("lost", "lost")
    app.offer("x", "y", "later")
    app.clock.pass_(60)
    assert app.air.index("failed-once") < app.air.index("later")


def test_success_is_posted_once_and_never_as_queued(app):
    app.offer("a")
    app.clock.pass_(DAY)
    assert app.statuses == [("a", "sent")] and app.errors == [""]


# ── Failures ───────────────────────────────────────────────────────────────────────────────────────


def test_five_tries_each_reported_as_failed(app):
    app.radio.mode = "bad"
    app.offer("a")
    for wait in (1, 20 + 1, 300 + 1, 3600 + 1, DAY + 1):
        before = len(app.statuses)
        app.clock.pass_(wait - 0.5)
        assert len(app.statuses) == before
        app.clock.pass_(0.5)
        assert len(app.statuses) == before + 1
    app.clock.pass_(10 * DAY)
    assert app.statuses == [("a", "failed")] * 5
    assert app.outbox.state_of("a") == "given_up" and not app.air
    assert set(app.errors) <= {"generic failure", "no service", "radio off"}


def test_sent_may_follow_failed(app):
    app.radio.plan("radio off")
    app.offer("a")
    app.clock.pass_(60)
    assert app.statuses == [("a", "failed"), ("a", "sent")] and app.air == ["a"]


def test_its_owner_may_press_retry_on_what_was_given_up(app):
    app.radio.plan(*["no service"] * 5)
    app.offer("a")
    app.clock.pass_(2 * DAY)
    app.outbox.retry_all()
    app.clock.pass_(1)
    assert app.statuses[-1] == ("a", "sent")


def test_a_radio_silent_for_30_seconds_fails_and_the_text_goes_out_twice(app):
    app.radio.plan("late", "sent")
    app.offer("a")
    app.clock.pass_(29)
    assert not app.statuses
    app.clock.pass_(200)
    assert app.statuses == [("a", "failed"), ("a", "sent")]
    assert app.errors[0].startswith("Timeout")
    assert app.air == ["a", "a"]


@pytest.mark.parametrize("version", [13, 17])
def test_before_205_a_silent_radio_holds_its_place_for_ever(version):
    app = App(version)
    app.fill_radio()
    app.offer("a")
    app.clock.pass_(DAY)
    assert app.outbox.in_radio == 2 and not app.posts


@pytest.mark.parametrize(
    "to, text, error",
    [
        ("", "hello", "Destination address is empty"),
        ("15678", "hello", "Destination address is not allowed"),
        (TO, "", "Message body is empty"),
        (TO, "x" * 153 * 101, "Message has too many parts"),
    ],
)
def test_what_the_app_refuses_fails_once_for_each_offer(to, text, error):
    app = App(allowed=lambda number: number != "15678")
    for _ in range(2):
        app.outbox.offer("a", to, text)
    app.clock.pass_(2 * DAY)
    assert app.statuses == [("a", "failed")] * 2 and app.errors == [error] * 2 and not app.air


# ── The same id again ──────────────────────────────────────────────────────────────────────────────


def test_an_id_that_waits_is_ignored_in_silence(app):
    app.fill_radio()
    app.offer("a", "a", "stuck-1")
    assert not app.posts and len(app.outbox.waiting) == 1


def test_an_id_that_is_retried_or_given_up_is_ignored_in_silence(app):
    app.radio.mode = "bad"
    app.offer("a")
    for wait in (10, 2 * DAY):
        app.clock.pass_(wait)
        posts = len(app.posts)
        app.offer("a")
        assert len(app.posts) == posts


def test_an_id_sent_before_is_reported_again_and_not_sent_again(app):
    app.offer("a")
    app.clock.pass_(1)
    app.offer("a")
    app.clock.pass_(10)
    assert app.statuses == [("a", "sent")] * 2 and app.air == ["a"]


def test_only_the_last_100_ids_are_remembered():
    app = App(packages=2)
    app.offer(*(f"m{i}" for i in range(101)))
    app.clock.pass_(100)
    app.offer("m0", "m1")
    app.clock.pass_(10)
    assert app.air.count("m0") == 2 and app.air.count("m1") == 1


def test_version_20_remembers_nothing_and_sends_again():
    app = App(13)
    app.offer("a")
    app.clock.pass_(1)
    app.offer("a")
    app.clock.pass_(1)
    assert app.air == ["a", "a"]


def test_a_message_without_an_id_is_sent_and_has_no_status(app):
    app.offer(None, None)
    app.clock.pass_(5)
    assert len(app.radio.air) == 2 and not app.posts


def test_messages_with_an_empty_id_are_duplicates_of_each_other(app):
    app.offer("", "")
    app.clock.pass_(5)
    assert len(app.radio.air) == 1


# ── Restart ────────────────────────────────────────────────────────────────────────────────────────


def test_a_restart_keeps_what_waits_and_sends_again_what_is_in_the_radio(app):
    app.offer("a", "b", "c")
    app.outbox.restart()
    app.clock.pass_(5)
    assert sorted(app.air) == ["a", "a", "b", "b", "c"]
    assert sorted(app.statuses) == [("a", "sent"), ("b", "sent"), ("c", "sent")]


def test_a_restart_forgets_without_a_word_what_has_failed(app):
    app.radio.plan("no service")
    app.offer("a")
    app.clock.pass_(1)
    app.outbox.restart()
    app.clock.pass_(2 * DAY)
    assert app.statuses == [("a", "failed")] and app.outbox.state_of("a") is None


def test_a_restart_forgets_what_was_sent_so_the_id_is_sent_again(app):
    app.offer("a")
    app.clock.pass_(1)
    app.outbox.restart()
    app.offer("a")
    app.clock.pass_(1)
    assert app.air == ["a", "a"]


@pytest.mark.parametrize("version", [13, 17, 18])
def test_before_30_a_restart_loses_everything_waiting(version):
    app = App(version)
    app.radio.plan("lost", "lost")
    app.offer("a", "b", "c")
    app.outbox.restart()
    app.clock.pass_(2 * DAY)
    assert not app.air and not app.posts


# ── Cancelling ─────────────────────────────────────────────────────────────────────────────────────


def test_cancel_takes_away_what_waits(app):
    app.fill_radio()
    app.offer("a")
    app.outbox.cancel("a")
    assert app.posts == [("send_status", {"id": "a", "status": "cancelled", "error": "deleted by user"})]


def test_cancel_takes_away_what_waits_for_a_retry_or_was_given_up(app):
    app.radio.mode = "bad"
    app.offer("retried", "given-up")
    app.clock.pass_(10)
    app.outbox.cancel("retried")
    app.clock.pass_(2 * DAY)
    app.outbox.cancel("given-up")
    assert [id for id, status in app.statuses if status == "cancelled"] == ["retried", "given-up"]
    assert app.statuses.count(("retried", "failed")) == 1


def test_cancel_is_silent_for_what_is_in_the_radio_or_sent_or_unknown(app):
    app.offer("sent")
    app.clock.pass_(1)
    app.offer("radio")
    for id in ("sent", "radio", "unknown"):
        app.outbox.cancel(id)
    app.clock.pass_(1)
    assert app.statuses == [("sent", "sent"), ("radio", "sent")]


def test_after_cancelled_the_same_id_counts_as_new(app):
    app.radio.plan("no service")
    app.offer("a")
    app.clock.pass_(1)
    app.outbox.cancel("a")
    app.offer("a")
    app.clock.pass_(1)
    assert app.statuses == [("a", "failed"), ("a", "cancelled"), ("a", "sent")]


def test_an_owner_who_deletes_from_the_radio_causes_cancelled_though_the_text_goes_out(app):
    app.offer("a")
    app.outbox.delete("a")
    app.clock.pass_(5)
    assert app.statuses == [("a", "cancelled")] and app.air == ["a"] and app.outbox.in_radio == 0


def test_cancelled_after_a_timeout_does_not_prove_that_nothing_was_sent(app):
    app.radio.plan("late")
    app.offer("a")
    app.clock.pass_(30.5)
    app.outbox.cancel("a")
    app.clock.pass_(200)
    assert app.statuses == [("a", "failed"), ("a", "cancelled")] and app.air == ["a"]


@pytest.mark.parametrize("version, status", [(13, "failed"), (17, "failed"), (18, "cancelled"), (30, "cancelled")])
def test_what_an_owner_deletes_is_called_failed_before_205(version, status):
    app = App(version)
    app.fill_radio()
    app.offer("a")
    app.outbox.delete("a")
    assert app.statuses == [("a", status)] and app.errors == ["deleted by user"]


def test_cancel_all_removes_one_message_only(app):
    app.fill_radio()
    app.offer("a", "b", "c")
    assert app.outbox.cancel_all()
    assert app.statuses == [("a", "cancelled")] and len(app.outbox.waiting) == 2


# ── The limit of 100 parts an hour ─────────────────────────────────────────────────────────────────


def test_100_parts_go_out_in_3605_seconds_and_the_next_waits(app):
    app.offer(*(f"m{i}" for i in range(101)))
    app.clock.pass_(3604)
    assert len(app.air) == 100 and app.limit_reports == 1
    app.clock.pass_(3)
    assert len(app.air) == 101


def test_every_try_counts_against_the_limit(app):
    app.radio.plan("no service")
    app.offer("a")
    app.clock.pass_(60)
    app.offer(*(f"m{i}" for i in range(99)))
    app.clock.pass_(200)
    assert len(app.air) == 99 and app.limit_reports == 1


def test_a_message_of_several_parts_counts_them_all_and_blocks_those_behind_it(app):
    app.offer(*(f"m{i}" for i in range(98)))
    app.clock.pass_(60)
    app.offer("long", text="x" * 400)
    app.offer("short")
    app.clock.pass_(1000)
    assert len(app.air) == 98 and app.limit_reports == 1
    app.clock.pass_(3605)
    assert app.air[98:] == ["long", "short"]


def test_each_package_allows_another_100_parts():
    app = App(packages=2)
    app.offer(*(f"m{i}" for i in range(201)))
    app.clock.pass_(200)
    assert len(app.air) == 200 and app.limit_reports == 1 and app.outbox.send_limit == 200
