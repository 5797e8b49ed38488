"""pydantic's errors about a kind's fields, as diagnostics in plain words at the place that the user wrote."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlinfra.kinds import catalog
from mlinfra.model.address import NAME
from mlinfra.model.dataclass import dataclass
from mlinfra.model.diagnostic import Diagnostic, Span
from mlinfra.model.patterns import pattern
from mlinfra.model.values import Path, path_text
from mlinfra.spec.resource_blocks import COMMON_KEYS
from mlinfra.spec.suggest import closest, did_you_mean
from mlinfra.spec.words import cut, describe, one_of

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

    from mlinfra.spec.kind_fields import Location

_TYPES = {
    "string_type": "text", "string_sub_type": "text", "int_type": "a whole number", "int_from_float": "a whole number",
    "int_parsing": "a whole number", "int_parsing_size": "a whole number that fits into 64 bits", "float_type": "a number",
    "float_parsing": "a number", "finite_number": "a finite number", "bool_type": "true or false",
    "bool_parsing": "true or false", "dict_type": "a map", "mapping_type": "a map", "model_type": "a map",
    "model_attributes_type": "a map", "dataclass_type": "a map", "tuple_type": "a list", "list_type": "a list",
    "iterable_type": "a list", "set_type": "a list", "frozen_set_type": "a list", "none_required": "empty",
}  # fmt: skip
_LIMITS = {
    "greater_than": "more than {gt}", "greater_than_equal": "at least {ge}", "less_than": "less than {lt}",
    "less_than_equal": "at most {le}", "multiple_of": "a multiple of {multiple_of}",
    "string_too_short": "text of at least {min_length} characters", "string_too_long": "text of at most {max_length} characters",
    "string_pattern_mismatch": "text of the form {pattern}",
}  # fmt: skip
_QUOTED = pattern(r"'((?:[^'\\]|\\.)*)'")
_HABITS = {"count": "for_each", "provider": "target"}
"""Terraform's words for what every resource takes."""
_FEW = 6
"""More options than these are listed in the hint, not in the sentence."""
_YES_NO = {"yes": "true", "on": "true", "true": "true", "no": "false", "off": "false", "false": "false"}


@dataclass(frozen=True, slots=True)
class _Problem:
    type: str
    at: Location
    value: Any
    message: str
    context: Mapping[str, Any]


def diagnostics(
    kind_name: str,
    error: ValidationError,
    component_name: str,
    spans: Mapping[Path, Span],
    *,
    model: type[BaseModel] | None = None,
) -> list[Diagnostic]:
    """One diagnostic for each mistake behind ``error``.

    ``spans`` are the places below the component's properties (:class:`~mlinfra.spec.positions.Spans`); ``model`` is the
    class that was validated, when it is not the portable kind ``kind_name`` (a provider's settings).
    """
    from mlinfra.spec.kind_fields import Location, locate

    model = model or (catalog.form(kind_name) if kind_name in catalog.NAMES else None)
    problems = []
    for item in error.errors(include_url=False):
        at = locate(model, item["loc"]) if model else Location(tuple(item["loc"]), None, "", ())
        problems.append(_Problem(item["type"], at, item.get("input"), item["msg"], item.get("ctx", {})))
    problems = _without_renamed(_best_members(problems))
    by_place: dict[tuple[Path, bool], list[_Problem]] = {}
    for problem in problems:
        separate = problem.type in ("missing", "extra_forbidden")
        by_place.setdefault((problem.at.path, separate), []).append(problem)
    return [_diagnostic(group, kind_name, component_name, spans) for group in by_place.values()]


def _best_members(problems: list[_Problem]) -> list[_Problem]:
    """Of a union, only what the member that comes nearest complains of; all of them when none came near."""
    kept = []
    unions: dict[Path, dict[str, list[_Problem]]] = {}
    for problem in problems:
        if problem.at.union is not None:
            unions.setdefault(problem.at.union, {}).setdefault(problem.at.member, []).append(problem)
    for problem in problems:
        union = problem.at.union
        if union is None:
            kept.append(problem)
            continue
        deep = {m: found for m, found in unions[union].items() if all(len(p.at.path) > len(union) for p in found)}
        if not deep or problem.at.member == min(deep, key=lambda m: len(deep[m])):
            kept.append(problem)
    return kept


def _without_renamed(problems: list[_Problem]) -> list[_Problem]:
    """A missing field that an unknown key beside it was surely meant to be is one mistake, not two."""
    meant = set()
    for problem in problems:
        if problem.type == "extra_forbidden":
            near = closest(str(problem.at.path[-1]), problem.at.fields)
            meant.add((*problem.at.path[:-1], near))
    return [p for p in problems if p.type != "missing" or p.at.path not in meant]


def _diagnostic(group: Sequence[_Problem], kind_name: str, component: str, spans: Mapping[Path, Span]) -> Diagnostic:
    first = group[0]
    path = first.at.path
    where = component + path_text(path, leading_dot=True)
    parent = component + path_text(path[:-1], leading_dot=True)
    if first.type == "missing":
        message = f"{parent} needs {str(path[-1])!r}"
        return _at("spec.missing_key", message, "", component, path, _parent_span(spans, path[:-1]))
    if first.type == "extra_forbidden":
        key = str(path[-1])
        fields = first.at.fields
        options = (*fields, *COMMON_KEYS) if len(path) == 1 else fields
        near = (_HABITS.get(key) if len(path) == 1 else None) or closest(key, options)
        hint = f"did you mean {near!r}?" if near else (did_you_mean(key, fields) if fields else "it takes no keys")
        what = f"a {kind_name}" if len(path) == 1 else parent
        return _at("spec.unknown_key", f"{what} has no key {cut(key)!r}", hint, component, path, _key_span(spans, path))
    code, message, hint = _value_problem(group, where)
    place = _key_span(spans, path) if first.at.is_key or first.value is None else _nearest(spans, path)
    return _at(code, message, hint, component, path, place)


def _value_problem(group: Sequence[_Problem], where: str) -> tuple[str, str, str]:
    first = group[0]
    found = describe(first.value)
    if all(p.type in _TYPES for p in group):
        expected = list(dict.fromkeys(_TYPES[p.type] for p in group))
        return "spec.bad_type", f"{where} must be {one_of(expected)}, not {found}", _type_hint(expected, first.value)
    choices = [p for p in group if p.type in ("literal_error", "enum")]
    if choices and all(p.type in _TYPES or p in choices for p in group):
        options = [_unquote(o) for p in choices for o in _QUOTED.findall(str(p.context.get("expected", "")))]
        expected = [repr(o) for o in options] or [str(p.context.get("expected")) for p in choices]
        expected += dict.fromkeys(_TYPES[p.type] for p in group if p.type in _TYPES)
        near = closest(first.value, options) if isinstance(first.value, str) else None
        hint = f"did you mean {near!r}?" if near else ""
        if len(expected) > _FEW:
            allowed = f"allowed: {', '.join(options)}"
            return "spec.bad_value", f"{where} cannot be {found}", f"{hint} {allowed}".lstrip()
        return "spec.bad_value", f"{where} must be {one_of(expected)}, not {found}", hint
    specific = next((p for p in group if p.type not in _TYPES), first)
    context = specific.context
    if specific.type in _LIMITS:
        return "spec.bad_value", f"{where} must be {_LIMITS[specific.type].format(**context)}, not {found}", ""
    if specific.type in ("too_short", "too_long"):
        bound, limit = ("least", "min_length") if specific.type == "too_short" else ("most", "max_length")
        entries = "entry" if context.get(limit) == 1 else "entries"
        return (
            "spec.bad_value",
            f"{where} must have at {bound} {context.get(limit)} {entries}, not {context.get('actual_length')}",
            "",
        )
    if specific.type in ("union_tag_invalid", "union_tag_not_found"):
        key = _unquote(str(context.get("discriminator", "")).strip("'"))
        tags = [_unquote(t) for t in _QUOTED.findall(str(context.get("expected_tags", "")))]
        if specific.type == "union_tag_not_found":
            return "spec.missing_key", f"{where} needs {key!r}", ""
        message = f"{where}.{key} must be {one_of([repr(t) for t in tags])}, not {describe(context.get('tag'))}"
        near = closest(str(context.get("tag")), tags)
        return "spec.bad_value", message, f"did you mean {near!r}?" if near else ""
    said = str(context.get("error") or specific.message).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    code = "spec.bad_reference" if specific.type.startswith("reference") else "spec.bad_value"
    hint = str(context.get("hint", ""))
    if specific.type == "reference" and isinstance(first.value, str) and NAME.match(first.value):
        hint = f"write ${{{first.value}}}"
    return code, f"{where}: {said}", hint


def _type_hint(expected: Sequence[str], value: Any) -> str:
    if "text" in expected and isinstance(value, (bool, int, float)):
        return "quote it to make it text"
    if isinstance(value, str):
        if "true or false" in expected and value.lower() in _YES_NO:
            return f"write {_YES_NO[value.lower()]}"
        if any("number" in e for e in expected) and re.fullmatch(r"\s*[-+]?\d+(\.\d+)?\s*", value):
            return "remove the quotes"
        if "a list" in expected:
            return f"write [{cut(value)}]"
    return ""


def _unquote(text: str) -> str:
    return text.replace("\\'", "'")


def _at(code: str, message: str, hint: str, component: str, path: Path, span: Span | None) -> Diagnostic:
    return Diagnostic(code=code, message=message, hint=hint, address=component, path=path, span=span)


def _nearest(spans: Mapping[Path, Span], path: Path) -> Span | None:
    for end in range(len(path), -1, -1):
        span = spans.get(path[:end])
        if span is not None:
            return span
    return None


def _key_span(spans: Mapping[Path, Span], path: Path) -> Span | None:
    key_span = getattr(spans, "key_span", None)
    found: Span | None = key_span(path) if key_span is not None else None
    return found or _nearest(spans, path)


def _parent_span(spans: Mapping[Path, Span], path: Path) -> Span | None:
    """A missing key is shown at the key of the map that lacks it, which is a better place than the map's whole extent."""
    return _key_span(spans, path) if path else _nearest(spans, path)
