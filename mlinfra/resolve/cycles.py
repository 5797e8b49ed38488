"""What each component needs, and the exact circle when components need each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

from mlinfra.model.component import Component
from mlinfra.model.diagnostic import Span
from mlinfra.model.values import Value, leaves, references
from mlinfra.provider.contract import span_at
from mlinfra.resolve.order import topological
from mlinfra.resolve.problems import Problems


def needs_of(component: Component) -> tuple[str, ...]:
    """The components that ``component`` refers to or depends on, each once."""
    found = [ref.address for ref in references(component.properties)]
    for tree in (component.native, component.tags, component.lifecycle.replace_when):
        if tree:
            found += [ref.address for ref in references(tree)]
    found += component.depends_on
    return tuple(dict.fromkeys(found)) if found else ()


def ordered(components: Iterable[Component], problems: Problems) -> tuple[dict[str, tuple[str, ...]], frozenset[str]]:
    """What each component needs, each behind what it needs; and the addresses in a circle. Notes every circle, with the place of
    each step."""
    by_name = {c.name: c for c in components}
    needs = {name: needs_of(component) for name, component in by_name.items()}
    order, circles = topological(needs)
    for circle in circles:
        first = by_name[circle[0]]
        if len(circle) == 2:
            message, hint = f"{first.name} needs itself", "a resource cannot use its own outputs"
        else:
            message = f"these need each other: {' → '.join(circle)}"
            hint = "take one of these references out, or pass the value in another way"
        places = [(_place(by_name[a], b), f"{a} needs {b}") for a, b in pairwise(circle)]
        related = tuple((span, remark) for span, remark in places[1:] if span is not None)
        problems.add("reference.cycle", message, places[0][0], hint, related)
    return {name: needs[name] for name in order}, frozenset(name for circle in circles for name in circle)


def _place(component: Component, needed: str) -> Span | None:
    """Where ``component`` says that it needs ``needed``."""
    trees: Mapping[str, Value] = {"": component.properties, "native": component.native, "tags": component.tags}
    for prefix, tree in trees.items():
        for path, leaf in leaves(tree):
            if any(ref.address == needed for ref in references(leaf)):
                found: Span | None = span_at(component, (prefix, *path) if prefix else path)
                return found
    place: Span | None = component.spans.get(("depends_on",)) or component.span
    return place
