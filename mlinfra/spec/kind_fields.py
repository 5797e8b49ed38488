"""Follows pydantic's error locations through a kind's annotations, to what the user wrote."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from mlinfra.model.dataclass import dataclass
from mlinfra.model.values import Path


@dataclass(frozen=True, slots=True)
class Location:
    """``path`` is where the user wrote it, pydantic's names of union members left out. ``union`` is the path of the
    innermost union on the way (None: there is none) and ``member`` which of its members was tried. ``fields`` are what
    the map that holds the last step may have. ``is_key``: the error is about the key itself."""

    path: Path
    union: Path | None
    member: str
    fields: tuple[str, ...]
    is_key: bool = False


def locate(model: type[BaseModel], loc: Sequence[str | int]) -> Location:
    """Where an error of ``model`` with this ``loc`` lies."""
    path: list[str | int] = []
    union: Path | None = None
    member = ""
    candidates: list[Any] = [model]
    fields: tuple[str, ...] = ()
    for step in loc:
        if step == "[key]":
            return Location(tuple(path), union, member, fields, is_key=True)
        if len(candidates) > 1:
            union, member = tuple(path), str(step)
            named = [c for c in candidates if getattr(c, "__name__", None) == step]
            tagged = [c for c in candidates if step in _tags(c)]
            candidates = _flatten(named or tagged or candidates, keep=True)
            if len(candidates) > 1:
                candidates = [_Any(candidates)]
            continue
        fields = tuple(field_names(candidates))
        candidates = _below(candidates, step)
        path.append(step)
    return Location(tuple(path), union, member, fields)


def field_names(candidates: Sequence[Any]) -> list[str]:
    """The keys that a map of one of these types may have, as the user writes them."""
    names: dict[str, None] = {}
    for candidate in _members(candidates):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            names.update((field.alias or name, None) for name, field in candidate.model_fields.items())
    return list(names)


@dataclass(frozen=True, slots=True)
class _Any:
    """One of several union members, which of them is not known."""

    members: Sequence[Any]


def _members(candidates: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    for candidate in candidates:
        found += candidate.members if isinstance(candidate, _Any) else [candidate]
    return found


def _below(candidates: Sequence[Any], step: str | int) -> list[Any]:
    found: list[Any] = []
    for candidate in _members(candidates):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            for name, field in candidate.model_fields.items():
                if step in (name, field.alias):
                    found.append(field.annotation)
            continue
        origin, arguments = get_origin(candidate), get_args(candidate)
        if origin is None:
            continue
        if isinstance(origin, type) and issubclass(origin, Mapping) and len(arguments) == 2:
            found.append(arguments[1])
        elif isinstance(origin, type) and issubclass(origin, (Sequence, AbstractSet)) and arguments and isinstance(step, int):
            found.append(arguments[0 if len(arguments) == 1 or arguments[-1] is Ellipsis else min(step, len(arguments) - 1)])
    return _flatten(found)


def _flatten(annotations: Sequence[Any], *, keep: bool = False) -> list[Any]:
    """Union members apart, ``Annotated`` and None away."""
    found: list[Any] = []
    for annotation in annotations:
        origin = get_origin(annotation)
        if hasattr(annotation, "__value__"):
            found += _flatten([annotation.__value__])
        elif origin is Annotated:
            found += _flatten([get_args(annotation)[0]])
        elif origin in (Union, types.UnionType) and not keep:
            found += _flatten(get_args(annotation))
        elif annotation is not type(None) and annotation is not None:
            found.append(annotation)
    return found


def _tags(candidate: Any) -> set[Any]:
    """Values of the literal fields of a model: the tags that a discriminated union names it by."""
    if not (isinstance(candidate, type) and issubclass(candidate, BaseModel)):
        return set()
    return {tag for field in candidate.model_fields.values() for tag in get_args(field.annotation) if isinstance(tag, str)}
