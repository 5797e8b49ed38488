"""The one module that knows the expression engine: Google's CEL by ``cel-expr-python``, imported on first use.

:func:`substitute` is what the engine calls for every resource: it puts values where references stand and evaluates the
expressions that have become complete. Plain references never reach CEL.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from operator import is_
from typing import Any

from mlinfra.model.values import (
    DEFERRED,
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
    freeze,
    holds,
    path_text,
)
from mlinfra.resolve.cel_errors import ExpressionError, failed, refused
from mlinfra.resolve.shared import ORDERED, shared
from mlinfra.resolve.template import Chain, Code, code, parse
from mlinfra.spec.suggest import did_you_mean

_AWAITED = (*DEFERRED, SecretDigest)
"""What no expression can be evaluated over."""

Fetched = Callable[[SecretRef], Value]
"""Gives the Secret that lies at a SecretRef, or the SecretRef itself where it was not fetched."""


def substitute(tree: Value, lookup: Callable[[Ref], Value], fetched: Fetched | None = None) -> Value:
    """The tree with every Ref replaced by ``lookup(ref)`` and every Expr evaluated that has all its values then.
    ``fetched`` does the same for secrets that are still to be fetched; without it they stay.

    ``lookup`` may return the Ref itself, another Ref, UNKNOWN or a value. An Expr of which a value is UNKNOWN becomes UNKNOWN;
    one that still waits for a Ref stays an Expr. What a Secret went into is a Secret. A tree in which nothing changes is
    returned as it is. ExpressionError when an evaluation fails.
    """
    kind = type(tree)
    if kind in SCALARS:
        return tree
    if kind is Map:
        changed: dict[str, Value] | None = None
        for key, child in tree.items():
            if type(child) in SCALARS:
                continue
            new = substitute(child, lookup, fetched)
            if new is not child:
                if changed is None:
                    changed = dict(tree)
                changed[key] = new
        return tree if changed is None else Map(changed)
    if kind is tuple:
        items = [substitute(child, lookup, fetched) for child in tree]
        return tree if all(map(is_, items, tree)) else tuple(items)
    if kind is Ref:
        return lookup(tree)
    if kind is Expr:
        old = [bound for _, bound in tree.bindings]
        values = [substitute(bound, lookup, fetched) for bound in old]
        if not all(map(is_, values, old)):
            tree = Expr(tree.source, tuple([(path, value) for (path, _), value in zip(tree.bindings, values, strict=True)]))
        return complete(tree)
    if kind is Secret:
        inner = tree.reveal()
        new = substitute(inner, lookup, fetched)
        return tree if new is inner else secret(new)
    if kind is SecretRef and fetched is not None:
        return fetched(tree)
    return tree


def complete(expression: Expr) -> Value:
    """The value of ``expression`` when all its bindings are known, UNKNOWN when one is UNKNOWN, else itself: it waits for a
    reference, or for a secret of which only the digest is at hand."""
    waiting = False
    for _, bound in expression.bindings:
        if holds(bound, _AWAITED):
            if holds(bound, type(UNKNOWN)):
                return UNKNOWN
            waiting = True
    return expression if waiting else evaluate(expression)


def secret(value: Value) -> Value:
    """``value`` as a Secret; what is UNKNOWN stays UNKNOWN, and a Secret is not wrapped twice."""
    return value if value is UNKNOWN or isinstance(value, Secret) else Secret(value)


def evaluate(expression: Expr) -> Value:
    """The value of an expression of which every binding is known. A whole expression keeps its type; inside text every part
    becomes text. ExpressionError when it cannot be."""
    template = parse(expression.source)
    bindings = dict(expression.bindings)
    hidden = any([holds(bound, Secret) for bound in bindings.values()])
    result: Value
    try:
        if template.whole is not None:
            result = _value(template.whole, bindings, expression.source)
        else:
            result = "".join(
                [
                    p if isinstance(p, str) else as_text(_value(p, bindings, expression.source), expression.source, p.offset)
                    for p in template.parts
                ]
            )
    except ExpressionError as error:
        if hidden and any(text in error.message + error.hint for text in _secret_texts(tuple(bindings.values()))):
            message = "it cannot be evaluated; the reason would show a sensitive value"
            raise ExpressionError(message, source=error.source, offset=error.offset, code=error.code) from None
        raise
    return Secret(_reveal(result)) if hidden else result


def evaluate_rule(text: str, names: Mapping[str, Value]) -> Value:
    """The value of the bare expression ``text`` (no ``${}``) over ``names``."""
    return _value(code(text), {(name,): value for name, value in names.items()}, text)


def check_rule(text: str, names: Collection[str], fields: Mapping[Path, Sequence[str]] = {}) -> None:
    """Compile the bare expression ``text``, which may read ``names``, of which ``fields`` says what they hold, where that is known.
    ExpressionError with the place of the first fault."""
    part = code(text)
    for chain in part.chains:
        if chain.names[0] not in names:
            allowed = ", ".join(sorted(names))
            raise ExpressionError(
                f"there is no {chain.names[0]} here", source=text, offset=chain.start, hint=f"a rule sees {allowed}"
            )
        for depth in range(1, len(chain.names)):
            held, name = fields.get(chain.names[:depth]), chain.names[depth]
            if held is not None and name not in held:
                owner = ".".join(map(str, chain.names[:depth]))
                hint = did_you_mean(str(name), held, allowed=f"{owner} has")
                raise ExpressionError(f"{owner} has no {name!r}", source=text, offset=chain.start, hint=hint)
    if part.plain is None:
        _compiled(part, text)


def check(source: str) -> None:
    """Compile every expression of a template. ExpressionError with the place of the first fault."""
    for part in parse(source).codes:
        if part.plain is None:
            _compiled(part, source)


def descend(value: Value, path: Path) -> Value:
    """The value at ``path`` inside a tree, through Secrets, Refs and UNKNOWN; KeyError with the step that is not there.

    An Expr cannot be entered before it is evaluated: KeyError too.
    """
    for index, step in enumerate(path):
        if value is UNKNOWN:
            return UNKNOWN
        if isinstance(value, Secret):
            return secret(descend(value.reveal(), path[index:]))
        if isinstance(value, Ref):
            return Ref(value.address, value.path + path[index:])
        inside = step in value if isinstance(value, Map) else isinstance(value, tuple) and step in range(len(value))
        if not inside:
            raise KeyError(path_text(path[: index + 1]))
        value = value[step]
    return value


def as_text(value: Value, source: str = "", offset: int = 0) -> str:
    """A value inside text: ``true``, ``null``, ``3``, ``0.5``; whole floats without their ``.0``, as CEL's ``string()`` does."""
    if isinstance(value, Secret):
        value = value.reveal()
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    what = "a map" if isinstance(value, Map) else "a list"
    raise ExpressionError(
        f"{what} cannot stand inside text",
        source=source,
        offset=offset,
        hint='use a field of it, or .join(", ") for a list; ${…} as the whole value keeps its type',
        code="expression.type",
    )


def _value(part: Code, bindings: Mapping[Path, Value], source: str) -> Value:
    if part.plain is not None:
        return _plain(part, part.plain, bindings, source)
    placeholders = shared(part).placeholders
    program = _compiled(part, source)
    try:
        result = program.eval(data=_activation(bindings, placeholders))
        is_error = result.type() == _cel().Type.ERROR
        plain = result.plain_value()
    except (RuntimeError, TypeError, ValueError) as error:
        raise failed(str(error), part, source) from None
    if is_error:
        raise failed(str(plain), part, source)
    return _from_cel(plain, source, part.offset)


def _plain(part: Code, chain: Chain, bindings: Mapping[Path, Value], source: str) -> Value:
    for end in range(len(chain.names), 0, -1):
        if chain.names[:end] in bindings:
            try:
                return descend(bindings[chain.names[:end]], chain.names[end:])
            except KeyError as error:
                raise ExpressionError(
                    f"{path_text(chain.names[:end])} has no {error.args[0]}",
                    source=source,
                    offset=part.offset + chain.start,
                    code="expression.no_such_key",
                ) from None
    raise ExpressionError(f"{path_text(chain.names)} is not known here", source=source, offset=part.offset + chain.start)


def _activation(bindings: Mapping[Path, Value], placeholders: Mapping[str, str]) -> dict[str, Any]:
    """Nested plain dicts: ``("raw", "uri")`` bound to 1 is ``{"raw": {"uri": 1}}``. A longer path below a bound one is in it."""
    data: dict[Any, Any] = {}
    bound: set[Path] = set()
    for path in sorted(bindings, key=len):
        root = placeholders.get(str(path[0]))
        if root is None or any(path[:n] in bound for n in range(1, len(path))):
            continue
        bound.add(path)
        steps = (root, *path[1:])
        place = data
        for step in steps[:-1]:
            place = place.setdefault(step, {})
        place[steps[-1]] = _reveal_plain(bindings[path])
    return data


def _compiled(part: Code, source: str) -> Any:
    program = _compile(shared(part).text, frozenset(shared(part).placeholders.values()))
    if isinstance(program, str):
        raise refused(program, part, source)
    return program


@lru_cache(maxsize=65536)
def _compile(text: str, names: frozenset[str]) -> Any:
    """A program, or the engine's message: refusals are remembered too."""
    try:
        return _environment(names).compile(text)
    except (RuntimeError, ValueError, TypeError) as error:
        return str(error)


def _cel() -> Any:
    from cel_expr_python import cel

    return cel


@lru_cache(maxsize=4096)
def _environment(names: frozenset[str]) -> Any:
    from cel_expr_python.ext import ext_bindings, ext_encoders, ext_math, ext_optional, ext_strings

    cel = _cel()
    extensions = [
        ext_strings.ExtStrings(),
        ext_math.ExtMath(),
        ext_optional.ExtOptional(),
        ext_encoders.ExtEncoders(),
        ext_bindings.ExtBindings(),
    ]
    anything, items = cel.Type.DYN, cel.Type.List(cel.Type.DYN)
    member = {
        "sort": ([items], items, sorted),
        "distinct": ([items], items, _distinct),
        "flatten": ([items], items, lambda xs: [y for x in xs for y in (x if isinstance(x, list) else [x])]),
        "slice": ([items, cel.Type.INT, cel.Type.INT], items, lambda xs, start, end: xs[start:end]),
    }
    functions = [
        cel.FunctionDecl(name, [cel.Overload(f"list_{name}", result, parameters, True, impl=run)])
        for name, (parameters, result, run) in member.items()
    ]
    over_list = cel.Overload("list_ordered", items, [items], True, impl=lambda xs: xs)
    over_map = cel.Overload("map_ordered", items, [cel.Type.Map(anything, anything)], True, impl=_keys)
    functions.append(cel.FunctionDecl(ORDERED, [over_list, over_map]))
    numbers = cel.Overload("lists_range", items, [cel.Type.INT], False, impl=lambda n: list(range(n)))
    functions.append(cel.FunctionDecl("lists.range", [numbers]))
    return cel.NewEnv(variables={n: anything for n in names}, extensions=extensions, functions=functions)


def _keys(mapping: dict[Any, Any]) -> list[Any]:
    return sorted(mapping, key=lambda key: (str(type(key)), key))


def _distinct(items: list[Any]) -> list[Any]:
    found: list[Any] = []
    for item in items:
        if item not in found:
            found.append(item)
    return found


def _reveal_plain(value: Value) -> Any:
    """Plain dicts and lists for CEL, Secrets opened."""
    if isinstance(value, Secret):
        value = value.reveal()
    if isinstance(value, dict):
        return {k: _reveal_plain(v) for k, v in value.items()}
    if isinstance(value, tuple):
        return [_reveal_plain(v) for v in value]
    return value


def _reveal(value: Value) -> Value:
    return freeze(_reveal_plain(value))


def _secret_texts(value: Value, *, hidden: bool = False) -> list[str]:
    """Every scalar below a Secret, as it would show in a message."""
    if isinstance(value, Secret):
        return _secret_texts(value.reveal(), hidden=True)
    if isinstance(value, dict):
        return [text for v in value.values() for text in _secret_texts(v, hidden=hidden)]
    if isinstance(value, tuple):
        return [text for v in value for text in _secret_texts(v, hidden=hidden)]
    return [str(value)] if hidden and value not in (None, "", True, False) else []


def _from_cel(value: Any, source: str, offset: int) -> Value:
    """A result as a frozen tree. Timestamps and durations become text, as CEL's ``string()`` writes them."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        raise ExpressionError(f"the result is {value}, which is no number", source=source, offset=offset)
    if isinstance(value, list):
        return tuple([_from_cel(v, source, offset) for v in value])
    if isinstance(value, dict):
        if odd := next((k for k in value if not isinstance(k, str)), None):
            raise ExpressionError(f"the keys of a map must be strings, not {odd!r}", source=source, offset=offset)
        return Map({k: _from_cel(value[k], source, offset) for k in sorted(value)})
    if isinstance(value, timedelta):
        return f"{as_text(value.total_seconds())}s"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    raise ExpressionError(
        "the result is neither text, number, boolean, list nor map",
        source=source,
        offset=offset,
        hint="base64.encode(…) makes text of bytes" if isinstance(value, (bytes, bytearray)) else "",
        code="expression.type",
    )
