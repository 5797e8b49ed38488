"""The invariants of a state: each way to break one is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlinfra.model.resource import ResourceState
from mlinfra.model.state import State
from mlinfra.model.values import UNKNOWN, Map

RAW = ResourceState(address="raw", type="local.bucket", provider="local", id="raw")
NOTES = ResourceState(address="notes", type="local.data", provider="local", id="n1", dependencies=("raw",))


def state(*resources: ResourceState) -> State:
    return State(resources={r.key: r for r in resources})


def test_a_sound_state_has_no_problems() -> None:
    assert state(RAW, NOTES, replace(NOTES, id="n0", deposed="a1")).problems() == []


def test_current_objects_are_told_from_deposed_ones() -> None:
    both = state(RAW, replace(RAW, id="old", deposed="a1"))
    assert both.get("raw") == RAW
    assert both.current() == {"raw": RAW}


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (state(replace(RAW, id="")), "raw has no id"),
        (state(replace(RAW, address="Not An Address")), "'Not An Address' is not an address"),
        (state(replace(RAW, attributes=Map(uri=UNKNOWN))), "raw records a value that is not known"),
        (state(NOTES), "notes depends on raw, which is not recorded"),
        (state(RAW, replace(RAW, address="twin")), "twin and raw record the same local.bucket raw"),
        (State(resources={("other", ""): RAW}), "raw is filed under other"),
    ],
)
def test_a_broken_invariant_is_told(broken: State, problem: str) -> None:
    assert broken.problems() == [problem]


def test_the_same_object_may_be_looked_up_twice() -> None:
    assert state(RAW, replace(RAW, address="lookup", existing=True)).problems() == []
