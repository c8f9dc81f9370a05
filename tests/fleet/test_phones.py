from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from django.db import connection

from fleet import clock, encryption, phones
from fleet.phones import LogChunk, Mode, NumberTaken, Phone, PhoneEvent, PhoneReport, State, models, silence
from tests.factories import hear, make_phone, make_report

pytestmark = pytest.mark.django_db


def seconds(number):
    return timedelta(seconds=number)


def events_of(phone):
    return list(PhoneEvent.objects.filter(phone=phone).order_by("pk").values_list("kind", flat=True))


# ── Adding and removing ────────────────────────────────────────────────────────────────────────────


def test_a_new_phone_was_never_seen_and_may_send():
    phone = phones.register(" 15550100 ", "secret", " Office ")
    assert (phone.number, phone.label, phone.state, phone.mode) == ("15550100", "Office", "never_seen", "active")
    assert events_of(phone) == ["added"]
    assert phone.name == "Office"


def test_a_phone_keeps_its_number_and_password_exactly_as_typed_into_the_app():
    phone = phones.register("+1 (555) 01-00", " with spaces ")
    phone.refresh_from_db()
    assert (phone.number, phone.password) == ("+1 (555) 01-00", " with spaces ")


@pytest.mark.parametrize(("number", "password"), [("", "x"), ("   ", "x"), ("15550100", ""), ("1" * 65, "x")])
def test_a_phone_needs_a_number_and_a_password(number, password):
    with pytest.raises(ValueError, match="number|password"):
        phones.register(number, password)
    assert not Phone.objects.exists()


def test_two_phones_of_the_fleet_cannot_share_a_number():
    phones.register("15550100", "secret")
    with pytest.raises(NumberTaken):
        phones.register("15550100", "other")
    other = phones.register("15550101", "other")
    with pytest.raises(NumberTaken):
        phones.change(other, number="15550100")


def test_the_loser_of_a_race_for_a_number_is_told_that_it_is_taken(monkeypatch):
    phones.register("15550100", "secret")
    monkeypatch.setattr(models.PhoneQuerySet, "exists", lambda self: False)
    with pytest.raises(NumberTaken):
        phones.register("15550100", "other")
    assert Phone.objects.count() == 1


def test_the_number_of_a_removed_phone_is_free_again_and_its_history_stays():
    first = phones.register("15550100", "secret")
    assert phones.archive(first)
    assert not phones.archive(first)
    second = phones.register("15550100", "other")
    assert list(Phone.objects.in_fleet()) == [second]
    assert events_of(first) == ["added", "removed"]


def test_a_removed_phone_is_heard_for_a_day_and_then_no_more():
    phone = make_phone()
    phones.archive(phone)
    assert phone in Phone.objects.reporting()
    assert phone not in Phone.objects.sending()
    Phone.objects.filter(pk=phone.pk).update(archived_at=clock.now() - seconds(phones.REMOVAL_SECONDS))
    assert phone not in Phone.objects.reporting()


def test_a_change_is_written_and_noted():
    phone = make_phone()
    phones.change(phone, mode=Mode.PAUSED, label="Roof")
    phone.refresh_from_db()
    assert (phone.mode, phone.label) == ("paused", "Roof")
    assert events_of(phone) == ["paused"]


@pytest.mark.parametrize(
    "hindrance",
    [{"mode": "paused"}, {"mode": "draining"}, {"mode": "disabled"}, {"state": "offline"}, {"state": "never_seen"}],
)
def test_only_an_active_phone_heard_lately_is_given_messages(hindrance):
    sender = make_phone()
    make_phone(**hindrance)
    assert list(Phone.objects.sending()) == [sender]


# ── What requests tell ─────────────────────────────────────────────────────────────────────────────


def test_a_phone_is_as_it_said_last():
    phone = hear(
        make_phone(),
        battery=87,
        power=2,
        network="WIFI",
        send_limit=100,
        settings_version=7,
        user_agent="EnvayaSMS/3.0.1 (Android; SDK 10; HTC; Wildfire S A510e)",
    )
    said = (phone.battery, phone.power, phone.network, phone.send_limit, phone.settings_version)
    assert said == (87, 2, "WIFI", 100, 7)
    assert (phone.app_version, phone.sdk, phone.manufacturer, phone.model) == ("3.0.1", 10, "HTC", "Wildfire S A510e")
    assert phone.charging is True


def test_what_a_phone_does_not_say_stays_as_it_was():
    phone = hear(make_phone(battery=50, network="WIFI", send_limit=100))
    assert (phone.battery, phone.network, phone.send_limit) == (50, "WIFI", 100)


@pytest.mark.parametrize(
    ("text", "app"), [("", ""), ("EnvayaSMS/2.0.4", "2.0.4"), ("EnvayaSMS/", ""), ("Mozilla/5.0", ""), ("x" * 999, "")]
)
def test_an_odd_user_agent_tells_little_and_breaks_nothing(text, app):
    phone = hear(make_phone(), user_agent=text)
    assert (phone.app_version, phone.sdk) == (app, None)


def test_an_enormous_sdk_number_is_cut_to_what_fits():
    phone = hear(make_phone(), user_agent=f"EnvayaSMS/9 (Android; SDK {'9' * 40}; a; b)")
    assert phone.sdk == 2**31 - 1


def test_the_first_word_of_a_phone_is_an_event():
    phone = hear(make_phone(state=State.NEVER_SEEN))
    assert phone.state == State.ONLINE
    assert events_of(phone) == ["first_heard"]


def test_a_phone_that_comes_back_says_how_long_it_was_away():
    now = clock.now()
    phone = hear(make_phone(state=State.OFFLINE, last_heard=now - seconds(600)), at=now)
    assert (phone.state, phone.state_since) == (State.ONLINE, now)
    assert PhoneEvent.objects.get(phone=phone).text == "away 600 s"


def test_a_phone_that_was_merely_late_comes_back_without_an_event():
    phone = hear(make_phone(state=State.LATE))
    assert phone.state == State.ONLINE
    assert events_of(phone) == []


def test_another_network_and_another_app_are_events():
    phone = hear(make_phone(network="WIFI", version=18), network="MOBILE", version=30)
    assert (phone.network, phone.version) == ("MOBILE", 30)
    assert events_of(phone) == ["network", "version"]


def test_a_charger_is_known_from_the_word_where_the_app_has_no_other():
    phone = make_phone(version=18)
    assert phone.charging is None
    assert hear(phone, device_status="power_connected").charging is True
    assert hear(phone, device_status="power_disconnected").charging is False
    assert events_of(phone) == ["power_connected", "power_disconnected"]


def test_power_over_usb_is_not_mistaken_for_a_wall_socket():
    assert hear(make_phone(power=2), device_status="power_connected").power == 2


def test_a_phone_at_its_limit_is_closed_for_the_apps_window():
    now = clock.now()
    phone = hear(make_phone(), at=now, device_status="send_limit_exceeded")
    assert phone.closed_until == now + seconds(3605)
    assert phone not in Phone.objects.sending()


def test_an_unknown_device_status_is_noted_and_changes_nothing():
    phone = hear(make_phone(power=1), device_status="on_fire" * 100)
    assert phone.power == 1
    event = PhoneEvent.objects.get(phone=phone)
    assert event.kind == "odd" and "on_fire" in event.text


def test_a_point_of_history_is_written_once_a_minute_while_nothing_changes():
    start, phone = clock.now(), make_phone()
    for second in (0, 20, 40, 59, 60, 80):
        hear(phone, at=start + seconds(second), battery=50)
    times = PhoneReport.objects.filter(phone=phone).order_by("at").values_list("at", flat=True)
    assert list(times) == [start, start + seconds(60)]


def test_a_point_of_history_is_written_whenever_something_changes():
    start, phone = clock.now(), make_phone()
    hear(phone, at=start, battery=50, power=0, network="WIFI")
    hear(phone, at=start + seconds(1), battery=49)
    hear(phone, at=start + seconds(2), power=1)
    hear(phone, at=start + seconds(3), network="MOBILE")
    rows = PhoneReport.objects.filter(phone=phone).order_by("at").values_list("battery", "power", "network")
    assert list(rows) == [(50, 0, "WIFI"), (49, 0, "WIFI"), (49, 1, "WIFI"), (49, 1, "MOBILE")]


def test_several_requests_of_one_phone_take_effect_in_their_order():
    phone, now = make_phone(), clock.now()
    phones.hear(
        [
            phones.Heard(phone, make_report(battery=50, log="first\n"), now, polled=True),
            phones.Heard(phone, make_report(battery=49, log="second\n"), now + seconds(1), polled=True),
        ]
    )
    phone.refresh_from_db()
    assert (phone.battery, phone.last_heard) == (49, now + seconds(1))
    assert list(LogChunk.objects.order_by("pk").values_list("text", flat=True)) == ["first\n", "second\n"]


def test_log_text_is_kept_and_only_the_end_of_too_much_of_it(settings):
    settings.FLEET_MAX_LOG_CHARS = 10
    phone = make_phone()
    hear(phone, log="short\n")
    hear(phone, log="dropped-kept kept\n")
    hear(phone, log="")
    assert list(LogChunk.objects.order_by("pk").values_list("text", flat=True)) == ["short\n", "kept kept\n"]


def test_a_byte_equal_copy_brings_no_new_log_lines():
    phone = make_phone()
    hear(phone, log="line\n")
    hear(phone, log="line\n", copy=True)
    assert LogChunk.objects.count() == 1


def test_the_difference_of_the_clocks_is_known_in_milliseconds():
    now = clock.now()
    phone = hear(make_phone(), at=now, now_ms=round(now.timestamp() * 1000) - 90_000)
    assert phone.clock_offset_ms == -90_000
    assert hear(phone, now_ms=2**62).clock_offset_ms > 0


def test_the_last_five_gaps_between_polls_are_its_rhythm():
    start, phone = clock.now(), make_phone(last_poll=None)
    assert phone.usual_gap is None
    at = start
    for gap in (0, 1, 30, 31, 29, 500, 30):
        at += seconds(gap)
        hear(phone, at=at, polled=True)
    hear(phone, at=at + seconds(7))
    phone.refresh_from_db()
    assert phone.poll_gaps == [30, 31, 29, 500, 30]
    assert phone.usual_gap == 30


# ── Silence ────────────────────────────────────────────────────────────────────────────────────────


def silent_for(duration, **values):
    phone = make_phone(last_heard=clock.now() - seconds(duration), **values)
    phones.sweep_states()
    phone.refresh_from_db()
    return phone


@pytest.mark.parametrize(
    ("duration", "gaps", "state"),
    [
        (50, [], "online"), (70, [], "late"), (200, [], "offline"),
        (50, [10] * 5, "online"), (70, [10] * 5, "late"), (200, [10] * 5, "offline"),
        (700, [300] * 5, "online"), (800, [300] * 5, "late"), (1900, [300] * 5, "offline"),
    ],
)  # fmt: skip
def test_a_phone_is_late_and_then_offline_by_its_own_rhythm(duration, gaps, state):
    assert silent_for(duration, poll_gaps=gaps).state == state


def test_an_hour_of_silence_passes_faster_on_a_fast_clock(settings):
    settings.FLEET_CLOCK_SPEED = 60
    assert silent_for(2).state == State.LATE
    assert silent_for(4).state == State.OFFLINE


def test_going_quiet_is_an_event_once():
    phone = silent_for(70)
    assert phones.sweep_states() == 0
    Phone.objects.filter(pk=phone.pk).update(last_heard=clock.now() - seconds(200))
    assert phones.sweep_states() == 1
    assert phones.sweep_states() == 0
    assert events_of(phone) == ["late", "offline"]


def test_a_phone_that_was_never_heard_does_not_go_offline():
    phone = make_phone(state=State.NEVER_SEEN)
    assert phones.sweep_states() == 0
    assert phone.late_at is None and phone.offline_at is None


def test_a_request_that_arrives_during_the_sweep_wins():
    phone = make_phone(last_heard=clock.now() - seconds(200))
    seen_by_the_sweep = Phone.objects.get(pk=phone.pk)
    hear(phone)
    assert not silence._move(seen_by_the_sweep, State.OFFLINE, clock.now())
    phone.refresh_from_db()
    assert phone.state == State.ONLINE
    assert events_of(phone) == []


# ── Secrets ────────────────────────────────────────────────────────────────────────────────────────


def stored_password(phone):
    with connection.cursor() as cursor:
        cursor.execute("SELECT password FROM fleet_phone WHERE id = %s", [phone.pk])
        return cursor.fetchone()[0]


def test_the_database_never_holds_a_password_in_clear():
    phone = make_phone(password="correct horse", previous_password="battery staple")
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM fleet_phone")
        row = str(cursor.fetchall())
    assert "correct horse" not in row and "battery staple" not in row
    assert Phone.objects.get(pk=phone.pk).password == "correct horse"


def test_hearing_a_phone_leaves_its_password_alone():
    phone = make_phone(password="correct horse")
    before = stored_password(phone)
    hear(phone, battery=1, user_agent="EnvayaSMS/3.0.1 (Android; SDK 10; HTC; A)")
    assert stored_password(phone) == before


def test_after_a_change_of_keys_old_passwords_can_still_be_read(settings):
    phone = make_phone(password="correct horse")
    old = settings.FLEET_ENCRYPTION_KEYS
    settings.FLEET_ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *old]
    encryption._opened.clear()
    assert Phone.objects.get(pk=phone.pk).password == "correct horse"
    Phone.objects.get(pk=phone.pk).save()
    settings.FLEET_ENCRYPTION_KEYS = settings.FLEET_ENCRYPTION_KEYS[:1]
    encryption._opened.clear()
    assert Phone.objects.get(pk=phone.pk).password == "correct horse"


def test_a_lost_key_is_named_as_the_cause(settings):
    phone = make_phone(password="correct horse")
    settings.FLEET_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    encryption._opened.clear()
    with pytest.raises(encryption.WrongKey, match="FLEET_ENCRYPTION_KEYS"):
        Phone.objects.get(pk=phone.pk)


def test_the_previous_password_counts_until_its_time_is_over():
    phone = make_phone(password="new", previous_password="old")
    assert phone.accepts_password() == ("new", "old")
    phone.previous_password_until = clock.now() + seconds(60)
    assert phone.accepts_password() == ("new", "old")
    phone.previous_password_until = clock.now() - seconds(1)
    assert phone.accepts_password() == ("new",)


def test_a_phone_whose_poll_may_be_held_is_not_late_before_the_poll_is_answered(settings):
    settings.FLEET_LATE_SECONDS, settings.FLEET_LONG_POLL_SECONDS = 60, 45
    at = clock.now()
    held, reporting = Phone(last_poll=at, last_heard=at), Phone(last_poll=None, last_heard=at)
    assert held.late_at == at + timedelta(seconds=105)
    assert reporting.late_at == at + timedelta(seconds=60)
