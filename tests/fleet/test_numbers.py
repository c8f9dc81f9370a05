import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet import numbers


@pytest.mark.parametrize(
    ("typed", "region", "dialled"),
    [
        ("+255 754 310 221", "", "+255754310221"),
        (" +255-754-310-221 ", "", "+255754310221"),
        ("(0754) 310.221", "TZ", "+255754310221"),
        ("0754\u00a0310\u2011221", "TZ", "+255754310221"),
        ("0754 310 221", "", "0754310221"),
        ("15001", "TZ", "15001"),
        ("*102#", "TZ", "*102#"),
        ("+15551", "", "+15551"),
        ("12345678901234567890", "TZ", "12345678901234567890"),
    ],
)
def test_what_people_type_becomes_what_a_phone_dials(typed, region, dialled):
    assert numbers.dialable(typed, region) == dialled


@pytest.mark.parametrize("typed", ["", "   ", "+", "#", "Anna", "0754x310221", "1" * 21, "0754;1", "++255754310221"])
def test_what_cannot_be_dialled_is_refused_in_one_line(typed):
    with pytest.raises(numbers.NotANumber) as problem:
        numbers.dialable(typed, "TZ")
    assert "\n" not in str(problem.value)


@given(st.text(max_size=40), st.sampled_from(["", "TZ", "US", "DE"]))
def test_any_text_is_either_dialled_or_refused(text, region):
    try:
        dialled = numbers.dialable(text, region)
    except numbers.NotANumber:
        return
    assert dialled.lstrip("+") and set(dialled) <= set("+*#0123456789")


@given(st.from_regex(r"\+?[0-9 ]{1,24}", fullmatch=True), st.sampled_from(["", "TZ", "US"]))
def test_dialling_what_was_dialled_changes_nothing(text, region):
    try:
        dialled = numbers.dialable(text, region)
    except numbers.NotANumber:
        return
    assert numbers.dialable(dialled, region) == dialled


def test_numbers_are_shown_as_people_write_them():
    assert numbers.readable("+255754310221") == "+255 754 310 221"
    assert numbers.readable("0754310221", "TZ") == "+255 754 310 221"


@pytest.mark.parametrize("text", ["", "15001", "ACME Bank", "0754310221", "+1"])
def test_what_is_no_full_number_is_shown_as_it_came(text):
    assert numbers.readable(text) == text
