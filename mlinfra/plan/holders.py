"""What lies inside what: a collection in its server, a dataset in its bucket. It shares the fate of its holder. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from mlinfra.model.resource import Observed, ResourceState
from mlinfra.model.schema import Schema
from mlinfra.model.values import Map, Value
from mlinfra.provider.failures import Failure

SchemaOf = Callable[[str], Schema]
"""The schema of a native type, by its name."""


def lies_in(r: ResourceState, holder: ResourceState, schema_of: SchemaOf, *, moves_over: bool = False) -> bool:
    """Whether one of the attributes that say where ``r`` lies (``Schema.inside``) has its value from ``holder``. What says where the
    holder itself lies does not count: two in one place are neighbours. ``moves_over``: nor do pointers, which move to a successor."""
    schema = schema_of(r.type)
    inside = [name for name in schema.inside if not (moves_over and name in schema.follows)]
    if not inside or holder.address not in r.dependencies:
        return False
    theirs = schema_of(holder.type).inside
    offered = [value for name, value in holder.attributes.items() if name not in theirs]
    return any(place and place in offered for place in (r.attributes.get(name) for name in inside))


def holders_first(resources: Iterable[ResourceState], schema_of: SchemaOf) -> Iterator[ResourceState]:
    """Every resource after what it may lie in: what became of that says what becomes of it."""
    left = {r.key: r for r in resources}
    ready = dict(left)

    def visit(r: ResourceState) -> Iterator[ResourceState]:
        if ready.pop(r.key, None) is None:
            return
        if schema_of(r.type).inside:
            for need in r.dependencies:
                if (holder := left.get((need, ""))) is not None:
                    yield from visit(holder)
        yield r

    for r in left.values():
        yield from visit(r)


def fate(
    r: ResourceState,
    schema_of: SchemaOf,
    answer: Observed | Failure | None,
    lost: Mapping[str, Sequence[ResourceState]],
    moved: Mapping[str, Mapping[Value, Value]],
) -> Observed | Failure | None:
    """What became of ``r``, given what became of its holders: gone with one of the ``lost`` (by address), moved along with one that
    ``moved`` (address → old value → new), else as it was read. What was read at the old place is a stranger's."""
    if any(lies_in(r, holder, schema_of) for need in r.dependencies for holder in lost.get(need, ())):
        return None
    places: dict[str, Value] = {}
    for name in schema_of(r.type).inside:
        for need in r.dependencies:
            new = moved.get(need, {}).get(r.attributes.get(name))
            if new:
                places[name] = new
    return Observed(r.id, Map({**r.attributes, **places})) if places else answer
