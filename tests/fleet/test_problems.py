from datetime import timedelta

import pytest

from fleet import clock, problems
from fleet.problems import Cause, SignInProblem

pytestmark = pytest.mark.django_db


def problem(number="15550100", cause=Cause.WRONG_PASSWORD, detail="", address="192.0.2.1", at=None):
    at = at or clock.now()
    return SignInProblem(phone_number=number, cause=cause, detail=detail, address=address, first_at=at, at=at)


def test_the_same_problem_again_is_counted_not_repeated():
    first, last = clock.now() - timedelta(hours=1), clock.now()
    problems.record([problem(at=first)])
    problems.record([problem(address="192.0.2.2", at=last), problem(address="192.0.2.3", at=last)])
    row = SignInProblem.objects.get()
    assert (row.count, row.first_at, row.at, row.address) == (3, first, last, "192.0.2.3")


def test_another_number_cause_or_detail_is_another_problem():
    problems.record(
        [problem(), problem("15550101"), problem(cause=Cause.OTHER_URL), problem(detail="x"), problem(detail="y")]
    )
    assert SignInProblem.objects.count() == 5


def test_nothing_refused_is_nothing_noted():
    problems.record([])
    assert not SignInProblem.objects.exists()


def test_what_a_stranger_says_is_cut_to_what_fits():
    problems.record([problem("9" * 999, detail="x" * 999, cause=Cause.MALFORMED)])
    problems.record([problem("9" * 999, detail="x" * 999, cause=Cause.MALFORMED)])
    row = SignInProblem.objects.get()
    assert (len(row.phone_number), len(row.detail), row.count) == (64, 255, 2)


def test_only_the_newest_problems_are_kept(monkeypatch):
    monkeypatch.setattr(problems, "KEEP", 10)
    start = clock.now() - timedelta(hours=1)
    for number in range(25):
        problems.record([problem(f"{number:03}", at=start + timedelta(seconds=number))])
    kept = SignInProblem.objects.order_by("-at").values_list("phone_number", flat=True)
    assert list(kept) == [f"{number:03}" for number in range(24, 14, -1)]
