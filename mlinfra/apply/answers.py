"""What a provider answered: checked against what was asked, and turned into what is recorded."""

from __future__ import annotations

from collections.abc import Callable

from mlinfra.graph.edges import needs_of
from mlinfra.model.component import Lifecycle
from mlinfra.model.dataclass import maker
from mlinfra.model.resource import Observed, Resource, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Secret, SecretDigest, Value, holds, is_known
from mlinfra.provider.calls import BrokenContract
from mlinfra.state.compare import cloak, differences
from mlinfra.state.sealing import Sealer, veil

_FREE = Attribute()

_record = maker(ResourceState)


def broken_promises(schema: Schema, desired: Map, answer: object, sealer: Sealer) -> str:
    """What is wrong with the answer, as a sentence; ``""`` when it keeps the contract: an id, plain known values, every
    input as asked for, every prediction as predicted."""
    if not isinstance(answer, Observed) or not answer.id:
        return f"answered {answer!r} instead of an object with an id"
    if not is_known(answer.attributes):
        return "answered with values that are not known"
    expected = {k: v for k, v in desired.items() if k in answer.attributes and not schema.attributes.get(k, _FREE).write_only}
    predicted = schema.predict(desired) if schema.predict else {}
    expected.update({k: v for k, v in predicted.items() if k not in desired and is_known(v)})
    wrong = differences(schema, _observed(desired, answer), expected, sealer)
    if not wrong:
        return ""
    first = wrong[0]
    shown = "another value" if first.sensitive else f"{first.before!r} where {first.after!r} was planned"
    return f"answered {'.'.join(map(str, first.path))} = {shown}"


def attributes_of(schema: Schema, desired: Map, answer: Observed) -> Map:
    """The object's attributes for use in memory: inputs that were not read back, everything observed, secrets wrapped."""
    return veil(Map({**desired, **_observed(desired, answer)}), schema)


def _observed(desired: Map, answer: Observed) -> Value:
    """What was observed, hidden where what was asked for is a secret."""
    return cloak(answer.attributes, desired) if holds(desired, (Secret, SecretDigest)) else answer.attributes


def frame_of(
    resource: Resource, *, triggers: Value, schema_version: int, version: int, is_recorded: Callable[[str], bool]
) -> ResourceState:
    """The record of an object that is to stand, without what only the object tells: its id and its attributes. Dependencies that are not
    recorded themselves (look-ups) are left out. ``triggers``: sealed."""
    lifecycle: Lifecycle = resource.lifecycle
    return _record(
        address=resource.address,
        type=resource.type,
        provider=resource.provider,
        id="",
        inputs=tuple(resource.attributes),
        dependencies=tuple([a for a in needs_of(resource) if is_recorded(a)]),
        schema_version=schema_version,
        protect=lifecycle.protect,
        create_first=lifecycle.create_first is True,
        component=resource.component,
        kind=resource.kind,
        named=resource.named,
        version=version,
        replace_when=triggers,
    )


def refuse(provider: str, complaint: str) -> BrokenContract:
    """The failure that names the provider which broke its contract."""
    return BrokenContract(complaint, hint=f"this is a bug in the provider {provider!r}, please report it")
