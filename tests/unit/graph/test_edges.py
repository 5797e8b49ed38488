"""Order, cycles, closures: for graphs of any shape and size."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.graph.edges import closure, dependencies, find_cycle, order, ordered_or_refused, select
from mlinfra.model.errors import SpecError
from mlinfra.model.resource import Resource
from mlinfra.model.values import Map, Ref


@given(st.dictionaries(st.integers(0, 20), st.lists(st.integers(0, 20), max_size=4)))
def test_an_order_exists_exactly_when_there_is_no_cycle(graph: dict[int, list[int]]) -> None:
    edges = {n: [m for m in needs if m in graph] for n, needs in graph.items()}
    cycle = find_cycle(edges)
    if cycle:
        assert cycle[0] == cycle[-1] and all(b in edges[a] for a, b in pairwise(cycle))
        with pytest.raises(ValueError, match="cycle"):
            order(edges)
    else:
        place = {n: i for i, n in enumerate(order(edges))}
        assert all(place[m] < place[n] for n, needs in edges.items() for m in needs)


def test_a_chain_of_a_hundred_thousand_needs_no_recursion() -> None:
    edges = {i: [i - 1] if i else [] for i in range(100_000)}
    assert order(edges)[-1] == 99_999
    assert find_cycle({**edges, 0: [99_999]})[0] in edges
    assert len(closure([99_999], edges.__getitem__)) == 100_000


def wanted(*links: tuple[str, str]) -> dict[str, Resource]:
    return {a: Resource(address=a, type="t.x", provider="t", attributes=Map(v=Ref(b, ("id",)))) for a, b in links}


def test_a_cycle_is_refused_with_its_exact_path() -> None:
    resources = wanted(("a", "b"), ("b", "c"), ("c", "a"))
    with pytest.raises(SpecError, match="a → b → c → a"):
        ordered_or_refused(resources, dependencies(resources))


def test_a_reference_to_nothing_is_refused() -> None:
    with pytest.raises(SpecError, match="a depends on nowhere"):
        dependencies(wanted(("a", "nowhere")))


def test_a_pattern_selects_instances_natives_and_modules() -> None:
    known = ["a", "ab", 'a["x"]', "a.config", "module.m.b"]
    assert select(known, ["a"]) == {"a", 'a["x"]', "a.config"}
    assert select(known, ["module.m"]) == {"module.m.b"}
