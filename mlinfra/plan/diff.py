"""One resource at a time: wanted against recorded, driven by the schema. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mlinfra.model.change import HALF_MADE, TRIGGERED, Action, AttributeChange, Change
from mlinfra.model.dataclass import dataclass, maker, replace
from mlinfra.model.resource import Resource, ResourceState
from mlinfra.model.schema import Schema
from mlinfra.model.values import UNKNOWN, Map, Ref, SecretDigest, Value, holds, is_known, path_text
from mlinfra.resolve.cel import substitute
from mlinfra.state.compare import differences, equal, keep_ignored, predict, recollect
from mlinfra.state.sealing import Sealer

Lookup = Callable[[Ref], Value]


@dataclass(frozen=True, slots=True)
class Decision:
    """The change, the values that others see when they refer to the resource, and the attributes that are ``wanted`` of it
    (UNKNOWN where apply will tell)."""

    change: Change
    values: Map
    wanted: Map


_make_change, _decision = maker(Change), maker(Decision)


def decide(
    resource: Resource,
    prior: ResourceState | None,
    schema: Schema,
    lookup: Lookup,
    sealer: Sealer,
    *,
    replace_reason: str = "",
) -> Decision:
    """What has to happen to this resource. ``replace_reason`` forces replacement (``--replace``)."""
    wanted: Map = substitute(resource.attributes, lookup)
    when = resource.lifecycle.replace_when
    triggers = substitute(when, lookup) if when else ()
    if prior is None:
        after = _created(schema, wanted)
        change = _change(resource, Action.CREATE, after=after, runs=schema.runs)
        return Decision(change, after, wanted)
    reason = replace_reason or _replacement_reason(resource, prior, triggers, sealer)
    ignore = resource.lifecycle.ignore_changes
    same_type = prior.type == resource.type
    asked = wanted
    if ignore:
        wanted = keep_ignored(schema, wanted, prior.attributes, ignore)
    found, predicted = _found(schema, prior, wanted, sealer, ignore) if same_type else ((), {})
    if not found and not reason:
        change = _change(resource, Action.NOOP, before=prior.attributes, after=prior.attributes)
        known = prior.attributes
        if holds(known, SecretDigest):
            known = recollect(known, {**predicted, **wanted})
        return _decision(change, known, wanted)
    forced = [a for a in found if a.forces_replacement]
    if reason or forced:
        # the successor is made as the spec says: there is nothing of it yet that could be left alone
        if ignore and same_type:
            found, _ = _found(schema, prior, asked, sealer, ())
        wanted = asked
        after = _created(schema, wanted)
        first = resource.lifecycle.create_first
        change = _change(
            resource, Action.REPLACE, before=prior.attributes, after=after, attributes=found,
            reason=reason or f"{path_text(forced[0].path)} cannot be changed in place: {forced[0].forces_replacement}",
            create_first=schema.create_first if first is None else first, runs=schema.runs,
            may_be_noop=not reason and all(not is_known(a.after) for a in forced) and all(not is_known(a.after) for a in found),
        )  # fmt: skip
        if not fits_beside(change, schema):  # whatever was asked for: the second would be refused
            change = replace(change, create_first=False)
        return Decision(change, after, wanted)
    runs = schema.runs and _runs_again(schema, found)
    after = _updated(schema, prior, wanted, predicted, forget=runs)
    change = _change(
        resource, Action.UPDATE, before=prior.attributes, after=after, attributes=found, runs=runs,
        reason=_run_reason(tuple(a for a in found if a.path[0] not in predicted) or found) if runs else "",
        may_be_noop=all(not is_known(a.after) for a in found),
    )  # fmt: skip
    return Decision(change, after, wanted)


def fits_beside(change: Change, schema: Schema) -> bool:
    """Whether the old object and the new one can stand side by side: what is named by an attribute needs two names."""
    before, after = change.before or Map(), change.after or Map()
    return not schema.named_by or before.get(schema.named_by) != after.get(schema.named_by)


def _found(
    schema: Schema, prior: ResourceState, wanted: Map, sealer: Sealer, ignore: tuple[str, ...]
) -> tuple[tuple[AttributeChange, ...], dict[str, Value]]:
    """What differs from the record, inputs first, and what the schema predicts beside the inputs."""
    found = differences(schema, prior.attributes, wanted, sealer, inputs_before=prior.inputs, ignore=ignore)
    if schema.predict is None:
        return found, {}
    predicted = {k: v for k, v in predict(schema, wanted, unchanged=not found).items() if k not in wanted}
    return (*found, *differences(schema, prior.attributes, predicted, sealer, ignore=ignore)), predicted


def _replacement_reason(resource: Resource, prior: ResourceState, triggers: Value, sealer: Sealer) -> str:
    if prior.tainted:
        return HALF_MADE
    if prior.type != resource.type:
        return f"its type changes from {prior.type} to {resource.type}"
    if prior.provider != resource.provider:
        return f"it moves from provider {prior.provider} to {resource.provider}"
    if triggers and not equal(prior.replace_when, triggers, sealer):
        return TRIGGERED
    return ""


def _created(schema: Schema, wanted: Map) -> Map:
    """Attributes after a create: the inputs, the predictions, and UNKNOWN for everything else that is computed."""
    values: dict[str, Value] = {name: UNKNOWN for name, a in schema.attributes.items() if a.computed}
    values.update(wanted)
    values.update({k: v for k, v in predict(schema, wanted).items() if k not in wanted or v is not None})
    return Map(values)


def _updated(schema: Schema, prior: ResourceState, wanted: Map, predicted: Mapping[str, Value], *, forget: bool) -> Map:
    """Attributes after an update: computed ones keep their value, unless the update runs the user's code."""
    values: dict[str, Value] = {k: v for k, v in prior.attributes.items() if k not in prior.inputs or k in wanted}
    if forget:
        values.update({k: UNKNOWN for k, a in schema.attributes.items() if a.computed and not a.volatile and k not in wanted})
        if schema.keeps:
            values.update(schema.keeps(prior.attributes, wanted))
    values.update(wanted)
    values.update(predicted)
    return Map(values)


def _runs_again(schema: Schema, found: tuple[AttributeChange, ...]) -> bool:
    return not schema.run_inputs or any(a.path[0] in schema.run_inputs for a in found)


def _run_reason(found: tuple[AttributeChange, ...]) -> str:
    names = list(dict.fromkeys(path_text(a.path) for a in found))
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    if all(not is_known(a.after) for a in found):
        return f"runs again if {shown} changes"
    return f"runs again: {shown} changed"


def _change(
    resource: Resource,
    action: Action,
    *,
    before: Map | None = None,
    after: Map,
    attributes: tuple[AttributeChange, ...] = (),
    reason: str = "",
    create_first: bool = False,
    runs: bool = False,
    may_be_noop: bool = False,
) -> Change:
    return _make_change(
        action=action, address=resource.address, type=resource.type, provider=resource.provider, kind=resource.kind,
        component=resource.component, before=before, after=after, attributes=attributes, reason=reason, create_first=create_first,
        runs=runs, may_be_noop=may_be_noop,
    )  # fmt: skip
