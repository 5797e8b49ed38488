"""Which address a component's physical names are made from: that at which its objects were first made."""

from __future__ import annotations

from collections.abc import Iterable

from mlinfra.model.component import Component
from mlinfra.model.dataclass import replace
from mlinfra.model.state import State


def as_recorded(components: Iterable[Component], recorded: State) -> tuple[Component, ...]:
    """The components, those that have moved ``named`` as they were made.

    A new component whose address still names somebody else's objects gets a name of its own: two never share one."""
    made = {r.component: r.named or r.component for r in recorded.resources.values() if not r.existing}
    moved = {named for component, named in made.items() if named != component}
    if not moved:
        return tuple(components)
    return tuple(_named(c, made.get(c.name) or _free(c.name, moved)) for c in components)


def _named(component: Component, named: str) -> Component:
    return component if named == component.name else replace(component, named=named)


def _free(address: str, taken: set[str]) -> str:
    candidate, number = address, 1
    while candidate in taken:
        number += 1
        candidate = f"{address}~{number}"
    return candidate
