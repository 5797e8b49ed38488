"""What lies inside what: a collection in its server, a dataset in its bucket. It shares the fate of its holder. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mlinfra.model.resource import Observed, ResourceState
from mlinfra.model.schema import Schema
from mlinfra.model.values import Map, Value
from mlinfra.provider.failures import Failure


def lies_in(r: ResourceState, schema: Schema, holder: ResourceState) -> bool:
    """Whether one of the attributes that say where ``r`` lies (``Schema.inside``) has its value from ``holder``."""
    return holder.address in r.dependencies and any(
        place and place in holder.attributes.values() for place in (r.attributes.get(name) for name in schema.inside)
    )


def fate(
    r: ResourceState,
    schema: Schema,
    answer: Observed | Failure | None,
    lost: Iterable[ResourceState],
    moved: Mapping[str, Mapping[Value, Value]],
) -> Observed | Failure | None:
    """What became of ``r``, given what became of its holders: gone with one of the ``lost``, moved along with one that
    ``moved`` (address → old value → new), else as it was read. What was read at the old place is a stranger's."""
    if any(lies_in(r, schema, holder) for holder in lost):
        return None
    places: dict[str, Value] = {}
    for name in schema.inside:
        for need in r.dependencies:
            new = moved.get(need, {}).get(r.attributes.get(name))
            if new:
                places[name] = new
    return Observed(r.id, Map({**r.attributes, **places})) if places else answer
