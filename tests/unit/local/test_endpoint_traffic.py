"""How requests are shared out among variants."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from mlinfra_local.serving.traffic import Sample, StickyChoice, WeightedTurns

WEIGHTS = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 60), min_size=1).filter(lambda w: sum(w.values()) > 0)


@given(WEIGHTS, st.integers(1, 3))
def test_in_every_full_round_each_variant_comes_exactly_its_weight(weights: dict[str, int], rounds: int) -> None:
    turns = WeightedTurns(weights)
    for _ in range(rounds):
        seen = Counter(turns.next() for _ in range(sum(weights.values())))
        assert seen == {name: weight for name, weight in weights.items() if weight}


def test_turns_are_spread_evenly_and_not_in_bursts() -> None:
    turns = WeightedTurns({"a": 5, "b": 1, "c": 1})
    assert "".join(turns.next() for _ in range(7)) == "aabacaa"


@given(WEIGHTS, st.text())
def test_a_key_keeps_its_variant_and_never_gets_one_without_traffic(weights: dict[str, int], key: str) -> None:
    chosen = StickyChoice(weights).of(key)
    assert weights[chosen] > 0
    assert StickyChoice(dict(reversed(weights.items()))).of(key) == chosen


def test_moving_a_weight_moves_keys_in_one_direction_only() -> None:
    before, after = StickyChoice({"challenger": 10, "champion": 90}), StickyChoice({"challenger": 50, "champion": 50})
    moves = Counter((before.of(str(i)), after.of(str(i))) for i in range(2000))
    assert moves["challenger", "champion"] == 0
    assert 0.3 < moves["champion", "challenger"] / 2000 < 0.5


@given(st.integers(0, 100))
def test_a_sample_takes_exactly_its_percentage(percent: int) -> None:
    sample = Sample(percent)
    assert sum(sample.next() for _ in range(300)) == 3 * percent
