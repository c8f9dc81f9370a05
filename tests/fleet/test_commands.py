import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command

from fleet import clock, encryption, problems
from fleet.live import PendingNote
from fleet.outbox import AttemptState, Message, MessageEvent, MessageState
from fleet.phones import Phone
from fleet.problems import SignInProblem
from tests.factories import make_attempt, make_incoming, make_message, make_phone
from tests.server import REPOSITORY

MOMENT = datetime(2026, 3, 1, 12, 0, 0, 250_000, UTC)


def run(*words):
    """The JSON document the command prints, and nothing else may be on its standard output."""
    out = io.StringIO()
    call_command(*words, "--json", stdout=out)
    return json.loads(out.getvalue())


def said(*words):
    out = io.StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


# ── phone ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db
def test_a_phone_is_added_listed_and_removed():
    run("phone", "add", "+15550100", "--password", "secret", "--label", "Roof")
    assert run("phone", "list") == [
        {
            "number": "+15550100",
            "label": "Roof",
            "state": "never_seen",
            "mode": "active",
            "battery": None,
            "power": None,
            "network": None,
            "last_heard": None,
            "version": None,
            "model": None,
            "send_limit": None,
        }
    ]
    run("phone", "remove", "+15550100")
    assert run("phone", "list") == []


@pytest.mark.django_db
def test_a_listed_phone_shows_what_it_reported():
    make_phone(
        "15550100", battery=87, power=1, network="WIFI", last_heard=MOMENT, version=30, send_limit=100,
        manufacturer="HTC", model="Wildfire S",
    )  # fmt: skip
    (row,) = run("phone", "list")
    assert row["last_heard"] == "2026-03-01T12:00:00.250Z"
    assert (row["state"], row["battery"], row["power"], row["network"]) == ("online", 87, 1, "WIFI")
    assert (row["version"], row["model"], row["send_limit"]) == (30, "HTC Wildfire S", 100)


@pytest.mark.django_db
def test_no_command_shows_a_password():
    shown = said("phone", "add", "15550100", "--password", "correct horse") + said("phone", "list", "--json")
    assert "correct horse" not in shown
    assert Phone.objects.get().password == "correct horse"


# ── send, messages ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db
def test_send_queues_a_message_and_says_its_id():
    phone = make_phone("15550100")
    sent = run("send", "+255754310221", "Hello", "--phone", "15550100", "--priority", "5")
    message = Message.objects.get()
    assert sent == {"id": message.pk}
    assert (message.to, message.text, message.phone, message.priority) == ("+255754310221", "Hello", phone, 5)


@pytest.mark.django_db
def test_a_waiting_message_is_listed_with_its_reason():
    message = make_message(text="Hello", priority=2, reason="no_phone", waits_until=MOMENT)
    MessageEvent.objects.create(message=message, what="queued", at=MOMENT)
    assert run("messages") == [
        {
            "id": message.pk,
            "to": "+255754310221",
            "text": "Hello",
            "state": "queued",
            "uncertain": False,
            "phone": None,
            "priority": 2,
            "parts": 1,
            "reason": "no_phone",
            "waits_until": "2026-03-01T12:00:00.250Z",
            "attempts": [],
            "timeline": [{"at": "2026-03-01T12:00:00.250Z", "what": "queued", "phone": None, "why": None}],
        }
    ]


@pytest.mark.django_db
def test_a_message_is_listed_with_its_attempts_oldest_first():
    message = make_message(state=MessageState.SENDING)
    first = make_attempt(message, make_phone("15550100"), state=AttemptState.REFUSED, error="not allowed")
    second = make_attempt(message, make_phone("15550101"), state=AttemptState.ASSIGNED)
    (row,) = run("messages")
    assert row["phone"] == "15550101"
    assert [attempt["id"] for attempt in row["attempts"]] == [first.public_id, second.public_id]
    assert row["attempts"][0] == {
        "id": first.public_id,
        "phone": "15550100",
        "state": "refused",
        "handed_at": row["attempts"][0]["handed_at"],
        "error": "not allowed",
    }
    assert row["attempts"][0]["handed_at"].endswith("Z")
    assert (row["attempts"][1]["handed_at"], row["attempts"][1]["error"]) == (None, None)


@pytest.mark.django_db
def test_a_list_is_newest_first_and_as_long_as_asked(django_assert_max_num_queries):
    ids = [make_message().pk for _ in range(103)]
    with django_assert_max_num_queries(4):
        assert [row["id"] for row in run("messages")] == ids[:-101:-1]
    assert len(run("messages", "--limit", "2")) == 2
    assert [row["id"] for row in run("messages", "--limit", "0")] == ids[::-1]


# ── incoming, problems ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db
def test_what_came_in_is_listed_with_its_parts():
    png = {"name": "flower.png", "type": "image/png", "size": 12, "sha256": "ab" * 32}
    make_incoming(make_phone("15550100"), parts=[png], text="Look", timestamp=MOMENT)
    assert run("incoming") == [
        {
            "phone": "15550100",
            "direction": "in",
            "type": "mms",
            "from": "+255754310221",
            "to": "15550100",
            "text": "Look",
            "timestamp": "2026-03-01T12:00:00.250Z",
            "parts": [png],
        }
    ]


@pytest.mark.django_db
def test_what_was_sent_by_hand_goes_from_the_phone_to_the_other():
    make_incoming(make_phone("15550100"), direction="out")
    (row,) = run("incoming")
    assert (row["direction"], row["from"], row["to"]) == ("out", "15550100", "+255754310221")


@pytest.mark.django_db
def test_incoming_is_newest_first():
    phone, now = make_phone(), clock.now()
    for minutes in (2, 3, 1):
        make_incoming(phone, text=str(minutes), received_at=now - timedelta(minutes=minutes))
    assert [row["text"] for row in run("incoming")] == ["1", "2", "3"]
    assert [row["text"] for row in run("incoming", "--limit", "1")] == ["1"]


@pytest.mark.django_db
def test_sign_in_problems_are_listed():
    refused = SignInProblem(phone_number="15550100", cause="wrong_password", detail="", first_at=MOMENT, at=MOMENT)
    problems.record([refused])
    assert run("problems") == [
        {"at": "2026-03-01T12:00:00.250Z", "phone_number": "15550100", "cause": "wrong_password", "detail": None}
    ]


# ── When something is wrong ────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db
@pytest.mark.parametrize(
    "words",
    [
        ("phone", "add", "15550100", "--password", "x"),
        ("phone", "add", " ", "--password", "x"),
        ("phone", "add", "15550101", "--password", ""),
        ("phone", "remove", "15550199"),
        ("phone", "list", "--limit", "-1"),
        ("send", "Anna", "Hello"),
        ("send", "15001", ""),
        ("send", "15001", "Hello", "--phone", "15550199"),
        ("send", "15001", "Hello", "--priority", "99999"),
        ("messages", "--limit", "-1"),
        ("incoming", "--limit", "-1"),
        ("problems", "--limit", "-1"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(words):
    make_phone("15550100")
    out = io.StringIO()
    with pytest.raises(CommandError) as problem:
        call_command(*words, "--json", stdout=out)
    assert str(problem.value) and "\n" not in str(problem.value)
    assert problem.value.returncode == 1
    assert out.getvalue() == ""
    assert Phone.objects.count() == 1 and not Message.objects.exists()


@pytest.mark.django_db
def test_a_lost_encryption_key_is_said_in_one_line(settings):
    make_phone()
    settings.FLEET_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    encryption._opened.clear()
    with pytest.raises(CommandError, match="FLEET_ENCRYPTION_KEYS") as problem:
        run("phone", "list")
    assert "\n" not in str(problem.value)


# ── As people and scripts run it ───────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data folder of its own, migrated."""
    path = tmp_path_factory.mktemp("data")
    assert manage(path, "migrate", "--verbosity", "0").returncode == 0
    return path


def manage(folder, *words):
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV")}
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=REPOSITORY,
        env={**kept, "FLEET_DATA_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_with_only_a_data_folder_set_a_command_prints_one_json_document_and_exits_0(folder):
    added = manage(folder, "phone", "add", "15550100", "--password", "x", "--json")
    assert (added.returncode, added.stderr) == (0, "")
    listed = manage(folder, "phone", "list", "--json")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert [row["number"] for row in json.loads(listed.stdout)] == ["15550100"]
    text = manage(folder, "send", "15001", "Grüße 😀", "--json")
    assert (json.loads(text.stdout), text.stderr) == ({"id": 1}, "")
    assert json.loads(manage(folder, "messages", "--json").stdout)[0]["text"] == "Grüße 😀"


@pytest.mark.parametrize(
    "words",
    [
        ("phone", "remove", "15559999"),
        ("phone", "add", "15559999"),
        ("phone",),
        ("send", "15001"),
        ("send", "15001", "Hello", "--priority", "high"),
        ("messages", "--no-such-option"),
    ],
)
def test_any_mistake_is_one_line_on_stderr_and_exit_code_1(folder, words):
    done = manage(folder, *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1


def test_a_data_folder_that_was_never_migrated_is_one_line_on_stderr(tmp_path):
    done = manage(tmp_path, "messages", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1 and "migrated" in done.stderr


@pytest.mark.django_db(transaction=True)
def test_what_a_command_changes_beside_a_running_server_is_left_as_a_note_for_it(settings):
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "fleet.live.EmbeddedLayer"}}
    run("phone", "add", "15550100", "--password", "x")
    assert PendingNote.objects.get().message["kinds"] == {"phone": [Phone.objects.get().pk]}
