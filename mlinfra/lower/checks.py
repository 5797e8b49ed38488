"""Checks of native resources against their schemas: unknown, missing and ill-typed attributes, and the type's own rules."""

from __future__ import annotations

from collections.abc import Iterator

from mlinfra.model.component import Component
from mlinfra.model.dataclass import dataclass
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.resource import Resource
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import DEFERRED, Map, Path, Secret, Value, path_text
from mlinfra.provider.contract import ResourceType, Validates, span_at
from mlinfra.spec.suggest import closest, did_you_mean
from mlinfra.spec.words import describe

_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "string": ((str,), "text"),
    "integer": ((int,), "a whole number"),
    "number": ((int, float), "a number"),
    "boolean": ((bool,), "true or false"),
    "list": ((tuple,), "a list"),
    "map": ((Map,), "a map"),
}


@dataclass(frozen=True, slots=True)
class Rules:
    """What a native type asks of its resources: found out once for each type. ``validates`` is None where it has no rules of its own."""

    schema: Schema
    required: tuple[str, ...]
    validates: Validates | None


def rules_of(type_: ResourceType) -> Rules:
    """The rules of ``type_``."""
    required = tuple([name for name, attribute in type_.schema.attributes.items() if attribute.required])
    return Rules(type_.schema, required, type_ if isinstance(type_, Validates) else None)


def check_resource(resource: Resource, component: Component, rules: Rules) -> Iterator[Diagnostic]:
    """What is wrong with the attributes of ``resource``, at the places of ``component``."""
    attributes, schema = resource.attributes, rules.schema
    known = schema.attributes
    sound = True
    for name, value in attributes.items():
        attribute = known.get(name)
        if attribute is None and schema.open:
            continue
        if attribute is None:
            hint = did_you_mean(name, _nearest(name, schema), allowed="attributes")
            yield _problem(
                "lower.unknown_attribute", f"{resource.type} has no attribute {name!r}", resource, component, (name,), hint
            )
            sound = False
        elif attribute.read_only and value is not None:
            message = f"{name!r} of {resource.type} is what the provider tells of it, and cannot be given"
            yield _problem("lower.read_only", message, resource, component, (name,))
            sound = False
        elif attribute.type != "any" and value is not None and not _fits(attribute, value):
            expected = _TYPES[attribute.type][1]
            shown = "a sensitive value of another type" if attribute.sensitive or isinstance(value, Secret) else describe(value)
            message = f"{name} of {resource.type} must be {expected}, not {shown}"
            yield _problem("lower.bad_type", message, resource, component, (name,))
            sound = False
    if resource.existing is None:
        for name in rules.required:
            if attributes.get(name) is None:
                message = f"{resource.type} needs {name!r}"
                hint = known[name].description
                yield _problem("lower.missing_attribute", message, resource, component, (), hint)
                sound = False
    if sound and rules.validates is not None:
        for path, sentence in rules.validates.validate(attributes):
            yield _problem("lower.invalid", sentence, resource, component, path)


def _fits(attribute: Attribute, value: Value) -> bool:
    if type(value) in _TYPES[attribute.type][0]:
        return True
    if isinstance(value, Secret):
        value = value.reveal()
    if value is None or isinstance(value, DEFERRED):
        return True
    if isinstance(value, bool):
        return attribute.type == "boolean"
    return isinstance(value, _TYPES[attribute.type][0])


def _nearest(name: str, schema: Schema) -> list[str]:
    """What to propose for ``name``: what only the user gives; else, where one is near, what has a default of the server's."""
    settable = [n for n, a in schema.attributes.items() if a.required or not a.computed]
    near = closest(name, settable) or closest(name, schema.attributes)
    return [near] if near else settable


def _problem(code: str, message: str, resource: Resource, component: Component, path: Path, hint: str = "") -> Diagnostic:
    role = resource.type.rpartition(".")[2]
    span = None
    for candidate in (path, ("native", *path), ("native", role, *path), ("native", resource.type, *path)):
        if path and span is None:
            span = component.spans.get(candidate)
    where = "" if not path or len(path) == 1 else f"{path_text(path)}: "
    return Diagnostic(
        code=code,
        message=f"{where}{message}" if code == "lower.invalid" else message,
        span=span or span_at(component, path),
        hint=hint,
        address=resource.address,
        path=path,
    )
