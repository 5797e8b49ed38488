"""The order in which components can be made, and the circle when there is none. No recursion: chains may be long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

MAX_CIRCLES = 10
"""How many circles are told apart; more help nobody, and each costs its length."""


def topological(needs: Mapping[str, Iterable[str]]) -> tuple[list[str], list[list[str]]]:
    """The names with everything that they need before them, otherwise in the order given; and the circles that were found,
    each from its first name back to it. What ``needs`` does not list is passed over. Linear time."""
    order: list[str] = []
    circles: list[list[str]] = []
    state: dict[str, int] = {}  # 1: on the path, 2: done
    for start in needs:
        if start in state:
            continue
        path = [start]
        state[start] = 1
        stack = [iter(needs[start])]
        while stack:
            for name in stack[-1]:
                if name not in needs:
                    continue
                seen = state.get(name)
                if seen is None:
                    state[name] = 1
                    path.append(name)
                    stack.append(iter(needs[name]))
                    break
                if seen == 1 and len(circles) < MAX_CIRCLES:
                    circles.append([*path[path.index(name) :], name])
            else:
                stack.pop()
                done = path.pop()
                state[done] = 2
                order.append(done)
    return order, circles
