"""What differs between recorded and wanted attributes: pure, driven by the schema. Used by plan, and again by apply when
values that were unknown have become known."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from mlinfra.model.change import MISSING, AttributeChange
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import (
    SCALARS,
    UNKNOWN,
    Expr,
    Map,
    Path,
    Ref,
    Secret,
    SecretDigest,
    SecretRef,
    Value,
    holds,
    is_known,
    leaves,
    path_text,
    reveal,
    thaw,
    transform,
    within,
)
from mlinfra.state.sealing import Sealer

_FREE = Attribute()


def differences(
    schema: Schema,
    recorded: Mapping[str, Value],
    wanted: Mapping[str, Value],
    sealer: Sealer,
    *,
    inputs_before: Iterable[str] = (),
    ignore: tuple[str, ...] = (),
) -> tuple[AttributeChange, ...]:
    """Every leaf of ``wanted`` (inputs and predictions, UNKNOWN and Secret leaves allowed) that is not as recorded, and
    every attribute of ``inputs_before`` that is wanted no more. Attributes of the record that nobody wants are left alone."""
    changes: list[AttributeChange] = []
    for name, want in wanted.items():
        have = recorded.get(name, MISSING)
        if have is want or (want is not UNKNOWN and equal(have, want, sealer)) or (want is None and have is MISSING):
            continue
        attribute = schema.attributes.get(name, _FREE)
        if not attribute.volatile:
            _differ(attribute, (name,), have, want, sealer, changes)
    for name in inputs_before:
        if name not in wanted and recorded.get(name) is not None:
            attribute = schema.attributes.get(name, _FREE)
            if not attribute.computed:
                _add(attribute, (name,), recorded[name], MISSING, changes)
    return tuple(c for c in changes if not ignored(c.path, ignore)) if ignore else tuple(changes)


def drifted(schema: Schema, recorded: Map, observed: Map, sealer: Sealer) -> tuple[AttributeChange, ...]:
    """What the world holds otherwise than recorded. Only what both sides know counts: write-only and volatile
    attributes do not, nor do attributes that the provider newly reports."""
    shared = {
        name: observed[name]
        for name, have in recorded.items()
        if name in observed and not schema.attributes.get(name, _FREE).write_only and have is not observed[name]
    }
    return differences(schema, recorded, shared, sealer)


def ignored(path: Path, ignore: tuple[str, ...]) -> bool:
    """Whether ``lifecycle.ignore_changes`` names this path or something above it."""
    text = path_text(path)
    return any(text == name or text.startswith((name + ".", name + "[")) for name in ignore)


def keep_ignored(schema: Schema, wanted: Map, recorded: Map, ignore: tuple[str, ...]) -> Map:
    """``wanted`` with what ``ignore`` names as it is recorded, at any depth: an update leaves it alone, whatever else it changes.
    An ignored attribute that the spec gives no more stays too."""
    if not ignore:
        return wanted
    stay = [n for n in recorded if ignored((n,), ignore) and not schema.attributes.get(n, _FREE).computed]
    names = dict.fromkeys([*wanted, *stay])
    kept = {n: _kept((n,), recorded.get(n, MISSING), wanted.get(n, MISSING), ignore) for n in names}
    return Map({n: v for n, v in kept.items() if v is not MISSING})


def _kept(path: Path, have: Any, want: Any, ignore: tuple[str, ...]) -> Any:
    if ignored(path, ignore):
        # the value of a recorded secret is not kept: the spec's has to do, should the provider need it
        secret = have is not MISSING and want is not MISSING and any(isinstance(leaf, SecretDigest) for _, leaf in leaves(have))
        return want if secret else have
    if isinstance(have, dict) and isinstance(want, dict):
        names = [*want, *(n for n in have if n not in want and ignored((*path, n), ignore))]
        kept = {n: _kept((*path, n), have.get(n, MISSING), want.get(n, MISSING), ignore) for n in names}
        return Map({n: v for n, v in kept.items() if v is not MISSING})
    if isinstance(have, tuple) and isinstance(want, tuple):
        return tuple([_kept((*path, i), have[i], w, ignore) if i < len(have) else w for i, w in enumerate(want)])
    return want


def cloak(observed: Value, pattern: Value) -> Value:
    """``observed`` with every leaf wrapped into Secret where ``pattern`` (wanted or recorded) has a secret."""
    if isinstance(pattern, (Secret, SecretDigest)):
        return observed if isinstance(observed, (Secret, SecretDigest)) or observed is None else Secret(observed)
    if isinstance(pattern, dict) and isinstance(observed, dict):
        return Map({k: cloak(v, pattern.get(k)) for k, v in observed.items()})
    if isinstance(pattern, tuple) and isinstance(observed, tuple) and len(pattern) == len(observed):
        return tuple([cloak(v, p) for v, p in zip(observed, pattern, strict=True)])
    return observed


def equal(have: Value, want: Value, sealer: Sealer) -> bool:
    """Deep equality that sees through secrets; False as soon as something is unknown. A secret that is not fetched (offline),
    and a text made with a secret that is not kept, are taken as recorded."""
    kind = type(want)
    if kind in SCALARS and kind is type(have):
        return bool(have == want)
    if isinstance(want, dict) and isinstance(have, dict):
        return want.keys() == have.keys() and all([equal(have[k], v, sealer) for k, v in want.items()])
    if isinstance(want, tuple) and isinstance(have, tuple):
        return len(want) == len(have) and all([equal(h, w, sealer) for h, w in zip(have, want, strict=True)])
    if isinstance(want, Expr):
        if isinstance(have, Expr):
            return have.source == want.source and equal(
                tuple([v for _, v in have.bindings]), tuple([v for _, v in want.bindings]), sealer
            )
        return have is not MISSING and waits_for_secret(want)
    if isinstance(want, (Secret, SecretDigest)) or isinstance(have, (Secret, SecretDigest)):
        return have is not MISSING and want is not MISSING and _same_secret(have, want, sealer)
    if isinstance(want, bool) is not isinstance(have, bool):
        return False
    return bool(have == want)


def predict(schema: Schema, wanted: Map, *, unchanged: bool = False) -> Mapping[str, Value]:
    """What the schema foretells. A secret of which only the digest is at hand, or that was not fetched, counts as unknown: the
    attributes that depend on it are foretold no more when the inputs are ``unchanged``."""
    if schema.predict is None:
        return {}
    waiting = holds(wanted, (SecretDigest, SecretRef, Expr))
    if not waiting or not any(isinstance(leaf, SecretDigest) or waits_for_secret(leaf) for leaf in within(wanted)):
        return schema.predict(wanted)
    blind = transform(wanted, lambda leaf: UNKNOWN if isinstance(leaf, SecretDigest) or waits_for_secret(leaf) else leaf)
    foretold = schema.predict(blind)
    return {k: v for k, v in foretold.items() if is_known(v)} if unchanged else foretold


def recollect(recorded: Map, known: Mapping[str, Value]) -> Map:
    """``recorded`` with the secrets in it that ``known`` (wanted or foretold, and found to be the same) still has."""
    if not holds(recorded, SecretDigest):
        return recorded
    found = {name: _recollected(value, known[name]) for name, value in recorded.items() if name in known}
    return Map({**recorded, **found}) if any(found[n] is not recorded[n] for n in found) else recorded


def _recollected(recorded: Value, known: Value) -> Value:
    if type(recorded) is SecretDigest and isinstance(known, Secret):
        return known
    if isinstance(recorded, Map) and isinstance(known, Map):
        return recollect(recorded, known)
    if isinstance(recorded, tuple) and isinstance(known, tuple) and len(recorded) == len(known):
        items = tuple([_recollected(r, k) for r, k in zip(recorded, known, strict=True)])
        return recorded if all(a is b for a, b in zip(items, recorded, strict=True)) else items
    return recorded


def waits_for_secret(value: Value) -> bool:
    """Whether all that keeps this leaf from being known is a secret that was not fetched, or of which only a digest is kept."""
    if isinstance(value, Secret):
        return not is_known(value) and waits_for_secret(value.reveal())
    if isinstance(value, Expr):
        bound = tuple([v for _, v in value.bindings])
        hidden = holds(bound, (SecretRef, SecretDigest))
        return hidden and not any(isinstance(leaf, Ref) or leaf is UNKNOWN for leaf in within(bound))
    return isinstance(value, SecretRef)


def _same_secret(have: Value, want: Value, sealer: Sealer) -> bool:
    if waits_for_secret(want) or waits_for_secret(have):
        return True
    if isinstance(have, SecretDigest):
        return have == want if isinstance(want, SecretDigest) else sealer.fits(have, reveal(want))
    if isinstance(want, SecretDigest):
        return sealer.fits(want, reveal(have))
    return sealer.digest(reveal(have)) == sealer.digest(reveal(want))


def _compare(attribute: Attribute, path: Path, have: Value, want: Value, sealer: Sealer, changes: list[AttributeChange]) -> None:
    if want is UNKNOWN or not equal(have, want, sealer):
        _differ(attribute, path, have, want, sealer, changes)


def _differ(attribute: Attribute, path: Path, have: Value, want: Value, sealer: Sealer, changes: list[AttributeChange]) -> None:
    """Note where below ``path`` two values differ that are not the same, unless the schema says that this one does not count."""
    if want is UNKNOWN:
        _add(attribute, path, have, UNKNOWN, changes)
        return
    if len(path) == 1 and have is not MISSING and is_known(want):
        if attribute.same is not None and attribute.same(have, want):
            return
        if attribute.unordered and _multiset(have) == _multiset(want):
            return
    if isinstance(have, dict) and isinstance(want, dict) and not attribute.sensitive:
        for key in [*want, *(k for k in have if k not in want)]:
            _compare(attribute, (*path, key), have.get(key, MISSING), want.get(key, MISSING), sealer, changes)
    elif _lists_of_maps(have, want):
        for index, (h, w) in enumerate(zip(have, want, strict=True)):
            _compare(attribute, (*path, index), h, w, sealer, changes)
    else:
        _add(attribute, path, have, want, changes)


def _lists_of_maps(have: Value, want: Value) -> bool:
    return (
        isinstance(have, tuple)
        and isinstance(want, tuple)
        and len(have) == len(want)
        and all(isinstance(v, Mapping) for v in (*have, *want))
    )


def _multiset(value: Value) -> list[str]:
    if not isinstance(value, tuple):
        return [repr(value)]
    return sorted(json.dumps(thaw(v), sort_keys=True, default=repr) for v in value)


def _add(attribute: Attribute, path: Path, before: Any, after: Any, changes: list[AttributeChange]) -> None:
    sensitive = attribute.sensitive or any(isinstance(v, (Secret, SecretDigest)) for v in (before, after))
    changes.append(
        AttributeChange(
            path=path,
            before=before,
            after=after,
            sensitive=sensitive,
            forces_replacement=_forced(attribute, path, before, after),
        )
    )


def _forced(attribute: Attribute, path: Path, before: Any, after: Any) -> str:
    """Why this difference cannot be made in place; nothing when it can."""
    if attribute.immutable:
        return attribute.source or "this attribute is immutable"
    if not attribute.fixed:
        return ""
    steps = tuple([step for step in path[1:] if isinstance(step, str)])
    for place, source in attribute.fixed.items():
        if steps[: len(place)] == place:
            return source
        rest = place[len(steps) :]
        if place[: len(steps)] == steps and any(_has(side, rest) for side in (before, after)):
            return source
    return ""


def _has(value: Any, place: tuple[str, ...]) -> bool:
    """Whether something is given at ``place`` below the value, in whichever item of a list."""
    if isinstance(value, tuple):
        return any(_has(item, place) for item in value)
    if not place:
        return value is not MISSING
    return isinstance(value, dict) and place[0] in value and _has(value[place[0]], place[1:])
