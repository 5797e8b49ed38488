"""What a kind's fields are, and what a component becomes."""

from __future__ import annotations

import inspect
import textwrap
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mlinfra.cli.render_values import block, inline, key_text
from mlinfra.cli.terminal import PLAIN, Style, harmless
from mlinfra.kinds.base import Bytes, Kind, RefTo, Seconds
from mlinfra.model.component import Component
from mlinfra.model.dataclass import dataclass
from mlinfra.model.resource import Resource
from mlinfra.model.values import freeze
from mlinfra.spec.hover import hover

_WORDS: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean", Any: "any", type(None): "null"}
_UNITS = {get_args(Bytes)[1]: "size (500GB)", get_args(Seconds)[1]: "duration (60s)"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a kind, in words. ``fields`` are those of what it holds, when that is an object of its own."""

    name: str
    type: str
    required: bool
    default: str
    description: str
    fields: tuple[Field, ...] = ()


def fields_of(model: type[BaseModel], called: str = "", seen: tuple[type, ...] = ()) -> tuple[Field, ...]:
    """The fields of the kind ``called`` so (or of a part of one), as the user writes them."""
    return tuple(_field(name, info, called or model.__name__, (*seen, model)) for name, info in model.model_fields.items())


def _field(name: str, info: FieldInfo, model: str, seen: tuple[type, ...]) -> Field:
    annotation = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
    inner = _model_in(annotation)
    default = (
        info.get_default(call_default_factory=True)
        if not info.is_required() and not info.default_factory_takes_validated_data
        else None
    )
    shown = "" if info.is_required() or default is None or isinstance(default, BaseModel) else inline(freeze(default))
    return Field(
        name=info.alias or name,
        type=type_text(annotation),
        required=info.is_required(),
        default=shown,
        description=info.description or hover(model, info.alias or name),
        fields=fields_of(inner, seen=seen) if inner is not None and inner not in seen else (),
    )


def type_text(annotation: Any) -> str:
    """A Python annotation in the spec's words: ``list of string``, ``map of integer``, ``"a" | "b"``."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        for mark in arguments[1:]:
            if isinstance(mark, RefTo):
                return f"reference to {' or '.join(mark.kinds)}" if mark.kinds else "reference"
            if isinstance(mark, type(next(iter(_UNITS)))) and mark in _UNITS:
                return _UNITS[mark]
        return type_text(arguments[0])
    if origin in (Union, types.UnionType):
        parts = dict.fromkeys(type_text(a) for a in arguments if a is not type(None))
        return " | ".join(parts)
    if origin is Literal:
        return " | ".join(inline(a) for a in arguments)
    if origin is tuple:
        return f"list of {type_text(arguments[0])}" if arguments else "list"
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return f"map of {type_text(arguments[1])}"
    if origin is not None and isinstance(origin, type) and issubclass(origin, Sequence):
        return f"list of {type_text(arguments[0])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "object"
    return _WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)).lower())


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        found = _model_in(argument)
        if found is not None:
            return found
    return None


def kind_text(name: str, kind: type[Kind], *, style: Style = PLAIN, width: int = 80) -> str:
    """A kind: what it is for, its fields, what ``${name.…}`` offers."""
    lines = [f"{style.bold(name)}: {kind.summary}" if kind.summary else style.bold(name)]
    own = kind.__dict__.get("__doc__") or ""
    for paragraph in inspect.cleandoc(own).split("\n\n") if own else []:
        lines += [
            "",
            *textwrap.wrap(
                " ".join(paragraph.replace("``", "").split()), min(width, 100) - 2, initial_indent="  ", subsequent_indent="  "
            ),
        ]
    lines += ["", style.bold("Fields")]
    lines += _field_lines(fields_of(kind, name), "  ", style, width) or ["  none"]
    lines += ["", style.bold("Outputs")]
    longest = max((len(o) for o in kind.outputs), default=0) + len("${NAME.}")
    lines += [f"  {f'${{NAME.{output}}}'.ljust(longest)}  {what}" for output, what in kind.outputs.items()] or ["  none"]
    lines += [
        "",
        style.dim("And what every resource takes: target, for_each, enabled, depends_on, description, tags, native, lifecycle."),
    ]
    return "\n".join(lines)


def _field_lines(fields: Iterable[Field], indent: str, style: Style, width: int) -> list[str]:
    listed = list(fields)
    longest = max((len(f.name) for f in listed), default=0)
    lines = []
    for f in listed:
        note = style.yellow("required") if f.required else style.dim(f"default {f.default}") if f.default else ""
        lines.append(f"{indent}{style.bold(f.name)}{' ' * (longest - len(f.name))}  {f.type}{'  ' if note else ''}{note}")
        inner = indent + "    "
        if f.description:
            room = max(40, min(width, 100) - len(inner))
            lines += [
                inner + style.dim(piece) for piece in textwrap.wrap(" ".join(f.description.replace("``", "").split()), room)
            ]
        lines += _field_lines(f.fields, inner, style, width)
    return lines


def kind_json(name: str, kind: type[Kind]) -> dict[str, Any]:
    """A kind as data."""
    return {
        "kind": name,
        "summary": kind.summary,
        "fields": [_field_json(f) for f in fields_of(kind, name)],
        "outputs": dict(kind.outputs),
    }


def _field_json(f: Field) -> dict[str, Any]:
    data: dict[str, Any] = {"name": f.name, "type": f.type, "required": f.required}
    if f.default:
        data["default"] = f.default
    if f.description:
        data["description"] = f.description
    if f.fields:
        data["fields"] = [_field_json(inner) for inner in f.fields]
    return data


def address_text(component: Component | None, resources: Iterable[Resource], *, style: Style = PLAIN, width: int = 80) -> str:
    """What a component becomes on its target: the native resources, with the references between them."""
    listed = list(resources)
    parts = []
    if component is not None:
        became = f"becomes {len(listed)} native resource{'s' if len(listed) != 1 else ''} on {component.target}"
        place = style.dim(f"  at {component.span}") if component.span else ""
        parts.append(f"{style.bold(harmless(component.name))} ({component.kind}) {became}{place}")
        if component.description:
            parts.append(f"  {harmless(component.description)}")
    for r in listed:
        lines = [f"  {style.bold(harmless(r.address))} ({r.type})"]
        longest = min(max((len(key_text(k)) for k in r.attributes), default=0), 30)
        for key, value in r.attributes.items():
            name = key_text(key).ljust(longest)
            first, *rest = block(value, width - longest - 9, indent="      ", sources=True)
            lines += [f"      {name} = {first}", *rest]
        for title, addresses in (("after", r.depends_on), ("settles after", r.settles_after)):
            if addresses:
                lines.append(style.dim(f"      {title}: {', '.join(addresses)}"))
        if r.existing is not None:
            lines.append(style.dim(f"      only looked up: {r.existing}"))
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
