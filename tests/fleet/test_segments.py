import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet import segments

VECTORS = json.loads((Path(__file__).parent / "sms_parts.json").read_text())
ANYTHING = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)
BASIC = st.text(st.sampled_from(sorted(segments.BASIC)), max_size=500)
ALPHABET = st.text(st.sampled_from(sorted(segments.BASIC | segments.EXTENDED)), max_size=500)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["case"])
def test_a_known_text_costs_what_is_known(vector):
    cost = segments.cost(vector["text"])
    assert (cost.encoding, cost.parts) == (vector["encoding"], vector["parts"])


@given(ANYTHING)
def test_only_the_empty_text_costs_nothing(text):
    assert (segments.parts(text) == 0) == (text == "")


@given(BASIC)
def test_plain_characters_fill_parts_to_the_brim(text):
    expected = min(len(text), 1) if len(text) <= 160 else -(-len(text) // 153)
    assert segments.cost(text) == segments.Cost(expected, "GSM-7", len(text))


@given(ALPHABET)
def test_an_extended_character_costs_two_septets(text):
    cost = segments.cost(text)
    assert cost.encoding == "GSM-7"
    assert cost.units == len(text) + sum(character in segments.EXTENDED for character in text)


@given(ANYTHING)
def test_parts_always_hold_the_units(text):
    cost = segments.cost(text)
    single, each = (160, 153) if cost.encoding == "GSM-7" else (70, 67)
    if cost.units <= single:
        assert cost.parts <= 1
    else:
        assert cost.parts * each >= cost.units


@given(ANYTHING)
def test_one_foreign_character_makes_the_whole_text_utf_16(text):
    cost = segments.cost(text + "я")
    assert cost.encoding == "UCS-2"
    assert cost.units == len((text + "я").encode("utf-16-le")) // 2


@given(ALPHABET, st.sampled_from(sorted(segments.BASIC)))
def test_a_longer_plain_text_never_costs_less(text, more):
    assert segments.parts(text + more) >= segments.parts(text)


def test_a_cluster_longer_than_a_part_is_torn_rather_than_looped_over():
    assert segments.parts("a" + "\u0301" * 200) == 3


def test_half_a_surrogate_pair_is_counted_rather_than_refused():
    assert segments.cost("\ud83d").units == 1
