"""Where the nodes of a graph stand on a page: in columns, so that every arrow points to the right.

The columns are the longest way from a source; inside a column nodes are moved next to what they are tied to (barycentres, a few
sweeps, after Sugiyama, Tagawa and Toda 1981). Linear in nodes and edges a sweep.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mlinfra.model.dataclass import dataclass

WIDTH, HEIGHT = 176, 46
"""Of a node, in CSS pixels."""
GAP_X, GAP_Y = 64, 18
_SWEEPS = 6


@dataclass(frozen=True, slots=True)
class Placed:
    """The upper left corner of every node, and the size of the whole."""

    at: dict[str, tuple[float, float]]
    width: float
    height: float


def place(nodes: Sequence[str], edges: Iterable[tuple[str, str]]) -> Placed:
    """``edges`` point from what is needed to what needs it. Cycles are drawn, with an arrow that points back."""
    links = list(edges)
    after: dict[str, list[str]] = {n: [] for n in nodes}
    before: dict[str, list[str]] = {n: [] for n in nodes}
    for a, b in links:
        after[a].append(b)
        before[b].append(a)
    _cut_cycles(nodes, after, before)
    column = _columns(nodes, after, before)
    columns: list[list[str]] = [[] for _ in range(max(column.values(), default=0) + 1)]
    for node in nodes:
        columns[column[node]].append(node)
    for sweep in range(_SWEEPS):
        _sweep(columns if sweep % 2 == 0 else columns[::-1], before if sweep % 2 == 0 else after)
    tallest = max((len(c) for c in columns), default=0)
    at: dict[str, tuple[float, float]] = {}
    for x, members in enumerate(columns):
        top = (tallest - len(members)) * (HEIGHT + GAP_Y) / 2
        for y, node in enumerate(members):
            at[node] = (x * (WIDTH + GAP_X), top + y * (HEIGHT + GAP_Y))
    width = len(columns) * (WIDTH + GAP_X) - GAP_X
    return Placed(at, max(width, 0), max(tallest * (HEIGHT + GAP_Y) - GAP_Y, 0))


def _cut_cycles(nodes: Sequence[str], after: dict[str, list[str]], before: dict[str, list[str]]) -> None:
    """Take out of the layout every edge that leads back to where the walk came from (components may need each other, by way of
    their resources)."""
    done: set[str] = set()
    for start in nodes:
        if start in done:
            continue
        way, on_way = [(start, iter(list(after[start])))], {start}
        while way:
            node, rest = way[-1]
            successor = next(rest, None)
            if successor is None:
                way.pop()
                on_way.discard(node)
                done.add(node)
            elif successor in on_way:
                after[node].remove(successor)
                before[successor].remove(node)
            elif successor not in done:
                way.append((successor, iter(list(after[successor]))))
                on_way.add(successor)


def _columns(nodes: Sequence[str], after: dict[str, list[str]], before: dict[str, list[str]]) -> dict[str, int]:
    left = {n: len(before[n]) for n in nodes}
    column = dict.fromkeys(nodes, 0)
    ready = [n for n in nodes if not left[n]]
    while ready:
        node = ready.pop()
        for successor in after[node]:
            column[successor] = max(column[successor], column[node] + 1)
            left[successor] -= 1
            if not left[successor]:
                ready.append(successor)
    # a source stands close to the first that needs it, not at the far left
    for node in nodes:
        if not before[node] and after[node]:
            column[node] = max(0, min(column[s] for s in after[node]) - 1)
    return column


def _sweep(columns: list[list[str]], neighbours: dict[str, list[str]]) -> None:
    rank: dict[str, float] = {}
    for members in columns:
        own = {n: i for i, n in enumerate(members)}

        def centre(node: str, own: dict[str, int] = own) -> float:
            known = [rank[n] for n in neighbours[node] if n in rank]
            return sum(known) / len(known) if known else own[node] / max(len(own), 1)

        members.sort(key=centre)
        rank.update({n: i / max(len(members), 1) for i, n in enumerate(members)})
