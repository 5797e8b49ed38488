"""Comparisons of a contract test: as the engine makes them, by the schema."""

from __future__ import annotations

import json
from collections.abc import Mapping

from mlinfra.model.resource import Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import UNKNOWN, Map, Secret, SecretDigest, Value, leaves, thaw, transform

ABSENT = object()


def same(attribute: Attribute, one: Value, other: Value) -> bool:
    """Whether the schema counts two values as equal."""
    if one == other:
        return True
    if attribute.same is not None:
        return attribute.same(one, other)
    if attribute.unordered and isinstance(one, tuple) and isinstance(other, tuple):
        return sorted(map(repr, one)) == sorted(map(repr, other))
    return False


def differences(schema: Schema, one: Map, other: Map) -> dict[str, tuple[Value, Value]]:
    """Attributes that differ between two observations, volatile ones left out."""
    found: dict[str, tuple[Value, Value]] = {}
    for name in sorted({*one, *other}):
        attribute = schema.attributes.get(name, Attribute())
        before, after = one.get(name, ABSENT), other.get(name, ABSENT)
        if not attribute.volatile and not same(attribute, before, after):
            found[name] = (before, after)
    return found


def predicted(schema: Schema, attributes: Map) -> Mapping[str, Value]:
    return schema.predict(attributes) if schema.predict else {}


def foretold(schema: Schema, attributes: Map) -> Map:
    """The attributes with what the schema predicts beside them: together they decide what changes."""
    return Map({**{n: v for n, v in predicted(schema, attributes).items() if v is not UNKNOWN}, **attributes})


def secretive(value: Value) -> bool:
    return any(isinstance(leaf, (Secret, SecretDigest)) for _, leaf in leaves(value))


def lost(schema: Schema, given: Map, observed: Map) -> dict[str, tuple[Value, Value]]:
    """Inputs that did not come back as they were given; secrets and write-only ones need not."""
    silent = {n for n, a in schema.attributes.items() if a.write_only or a.sensitive or a.volatile}
    wanted = Map({n: v for n, v in given.items() if n not in silent and not secretive(v)})
    return differences(schema, wanted, Map({n: observed[n] for n in wanted if n in observed}))


def seen_differently(schema: Schema, state: ResourceState, seen: Observed) -> dict[str, tuple[Value, Value]]:
    """What read saw otherwise than recorded, as the engine compares: write-only and secret attributes are left out."""
    left_out = {n for n, a in schema.attributes.items() if a.write_only or a.sensitive}
    left_out |= {n for n, v in state.attributes.items() if secretive(v)}
    return differences(
        schema,
        Map({n: v for n, v in state.attributes.items() if n not in left_out}),
        Map({n: v for n, v in seen.attributes.items() if n not in left_out}),
    )


def check_plain(given: Map, observed: Map) -> None:
    """Observed attributes are plain, frozen JSON, and no secret of the inputs stands in them in the clear."""
    shown = transform(observed, lambda leaf: None if isinstance(leaf, (Secret, SecretDigest)) else leaf)
    text = json.dumps(thaw(shown), allow_nan=False)
    assert is_frozen(observed), "observed attributes must be frozen: Maps and tuples of plain values"
    for path, leaf in leaves(given):
        if isinstance(leaf, Secret):
            assert str(leaf.reveal()) not in text, f"the secret at {path} is returned in the clear"


def is_frozen(value: Value) -> bool:
    """Whether a tree is made of Maps, tuples and plain values (or secrets) alone."""
    if type(value) is Map:
        return all(type(k) is str and is_frozen(v) for k, v in value.items())
    if type(value) is tuple:
        return all(is_frozen(v) for v in value)
    return type(value) in (type(None), bool, int, float, str, Secret, SecretDigest)


def strange(id: str) -> str:
    """An id of the same make that nothing has."""
    return (id[:-1] if len(id) > 8 else id) + ("x" if not id.endswith("x") else "y")
