import pytest
from django.conf import settings
from django.db import DatabaseError

from fleet import outbox
from fleet.celery import app
from tests.factories import make_message, make_phone


@pytest.mark.django_db
@pytest.mark.parametrize("entry", settings.CELERY_BEAT_SCHEDULE.values(), ids=lambda entry: entry["task"])
def test_beat_asks_for_tasks_that_exist_and_run(entry):
    app.loader.import_default_modules()
    assert app.tasks[entry["task"]].apply(throw=True).successful()


@pytest.mark.django_db
def test_a_task_that_runs_twice_does_its_work_once():
    make_phone()
    make_message()
    app.loader.import_default_modules()
    for _ in range(2):
        app.tasks["fleet.assign"].apply(throw=True)
    assert outbox.Attempt.objects.count() == 1


def test_work_that_is_not_taken_at_once_does_not_pile_up():
    assert all(entry["options"]["expires"] <= 20 for entry in settings.CELERY_BEAT_SCHEDULE.values())


@pytest.mark.django_db
def test_healthz_says_whether_the_database_answers(client, monkeypatch):
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")

    def gone():
        raise DatabaseError

    monkeypatch.setattr("fleet.health.connection.cursor", gone)
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (503, "error")
