"""Values and recorded resources as JSON, and back.

Leaves that JSON does not know are tagged maps: ``{"$secret": digest}``, ``{"$ref": [address, path]}``, ``{"$expr": …}``,
``{"$sealed": [digest, ciphertext]}``, ``{"$fetched": source}``, ``{"$unknown": true}``, ``{"$missing": true}``; a user's own
map with a ``$`` key is wrapped as ``{"$map": …}``. A Secret cannot be encoded: it must be sealed first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from operator import attrgetter
from sys import intern
from typing import Any

from mlinfra.model.change import MISSING
from mlinfra.model.dataclass import filler
from mlinfra.model.resource import ResourceState
from mlinfra.model.values import EMPTY, SCALARS, UNKNOWN, Expr, Map, Ref, Sealed, Secret, SecretDigest, SecretRef, Value


def encode(value: Value) -> Any:
    """A JSON tree of ``value``. TypeError for a Secret (a bug: nothing unsealed may be written) and for foreign objects."""
    kind = type(value)
    if kind in SCALARS:
        return value
    if isinstance(value, dict):
        encoded = {k: v if type(v) in SCALARS else encode(v) for k, v in value.items()}
        return {"$map": encoded} if any(k.startswith("$") for k in encoded) else encoded
    if isinstance(value, (tuple, list)):
        return [v if type(v) in SCALARS else encode(v) for v in value]
    if isinstance(value, Sealed):
        return {"$sealed": [value.digest, value.ciphertext]}
    if isinstance(value, SecretRef):
        return {"$fetched": value.source}
    if isinstance(value, SecretDigest):
        return {"$secret": value.digest}
    if isinstance(value, Ref):
        return {"$ref": [value.address, list(value.path)]}
    if isinstance(value, Expr):
        return {"$expr": value.source, "bindings": [[list(path), encode(bound)] for path, bound in value.bindings]}
    if value is UNKNOWN:
        return {"$unknown": True}
    if value is MISSING:
        return {"$missing": True}
    if isinstance(value, Secret):
        raise TypeError("a Secret must be sealed before it is encoded")
    if isinstance(value, tuple(SCALARS)):
        return value
    raise TypeError(f"a {kind.__name__} is no value of mlinfra")


def decode(tree: Any) -> Value:
    """The value of a JSON tree."""
    kind = type(tree)
    if kind is dict:
        first = next(iter(tree), "")  # a map of the user's own in which any key begins like a tag was written as {"$map": …}
        if first[:1] == "$":
            return _tagged(first, tree)
        if SCALARS.issuperset(map(type, tree.values())):
            return Map(tree)
        return Map({key: child if type(child) in SCALARS else decode(child) for key, child in tree.items()})
    if kind is list:
        return tuple([v if type(v) in SCALARS else decode(v) for v in tree])
    return tree


def _tagged(tag: str, tree: dict[str, Any]) -> Value:
    body = tree[tag]
    match tag:
        case "$map":
            return Map({k: decode(v) for k, v in body.items()})
        case "$secret":
            return SecretDigest(body)
        case "$sealed":
            return Sealed(body[0], body[1])
        case "$fetched":
            return Secret(SecretRef(body))
        case "$ref":
            return Ref(body[0], tuple(body[1]))
        case "$expr":
            return Expr(body, tuple((tuple(path), decode(bound)) for path, bound in tree["bindings"]))
        case "$unknown":
            return UNKNOWN
        case "$missing":
            return MISSING
    raise ValueError(f"unknown tag {tag}")


_FIELDS = fields(ResourceState)
_ORDER = [f.name for f in _FIELDS]
_NAMES = frozenset(_ORDER)
_DEFAULTS = [f.default for f in _FIELDS]
_in_order = attrgetter(*_ORDER)
_resource = filler(ResourceState)


def encode_resource(r: ResourceState) -> dict[str, Any]:
    """A recorded resource; fields at their default are left out."""
    out = {
        name: value
        for name, value, default in zip(_ORDER, _in_order(r), _DEFAULTS, strict=True)
        if value is not default and value != default
    }
    for name in ("attributes", "replace_when"):  # the others are texts, numbers and tuples of texts, which JSON knows
        if name in out:
            out[name] = encode(out[name])
    return out


def decode_resource(tree: Mapping[str, Any]) -> ResourceState:
    """The recorded resource. What has keys that this version does not know is refused (TypeError), or lacks those that all have (KeyError).

    Names are interned, as those of the spec are: they are looked up in large dicts by the thousand, and Python compares two strings letter
    by letter unless they are the same object."""
    if not tree.keys() <= _NAMES:
        raise TypeError(f"unknown: {', '.join(sorted(tree.keys() - _NAMES))}")
    get = tree.get
    return _resource(  # the fields in their order, each with its default
        intern(tree["address"]),
        intern(tree["type"]),
        intern(tree["provider"]),
        tree["id"],
        decode(get("attributes", EMPTY)),
        tuple(map(intern, get("inputs", ()))),
        tuple(map(intern, get("dependencies", ()))),
        get("schema_version", 1),
        get("tainted", False),
        get("deposed", ""),
        get("protect", False),
        get("create_first", False),
        intern(get("component", "")),
        intern(get("kind", "")),
        get("named", ""),
        get("version", 1),
        decode(get("replace_when", ())),
        get("existing", False),
    )
