"""Where the nodes of a graph stand."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from mlinfra.cli.formats.layout import HEIGHT, WIDTH, place

NAMES = [f"n{i}" for i in range(12)]


@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).filter(lambda e: e[0] != e[1]), max_size=40, unique=True)
)
def test_no_two_nodes_overlap_and_all_are_on_the_page_whatever_the_graph(edges: list[tuple[str, str]]) -> None:
    placed = place(NAMES, edges)
    assert set(placed.at) == set(NAMES)
    for (x1, y1), (x2, y2) in combinations(placed.at.values(), 2):
        assert abs(x1 - x2) >= WIDTH or abs(y1 - y2) >= HEIGHT
    assert all(0 <= x <= placed.width - WIDTH and 0 <= y <= placed.height - HEIGHT for x, y in placed.at.values())


@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)).filter(lambda e: e[0] < e[1]), max_size=40, unique=True))
def test_without_a_cycle_every_arrow_points_to_the_right(pairs: list[tuple[int, int]]) -> None:
    edges = [(NAMES[a], NAMES[b]) for a, b in pairs]
    at = place(NAMES, edges).at
    assert all(at[a][0] < at[b][0] for a, b in edges)


def test_nothing_has_no_size() -> None:
    assert place([], []).at == {}
