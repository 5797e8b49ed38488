"""Offline checks of what a spec says: against CloudFormation's property schemas, and against botocore's shapes.

Both walk the value and the description side by side and give ``(path, sentence)``; values that are not known yet are passed over.
Formats are checked only where they can be: patterns are written for Java, and what Python cannot read is not held against anybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from mlinfra.model.values import DEFERRED, Map, Path, Secret, SecretDigest, Value, is_known, leaves
from mlinfra_aws.engine.published import Fragment, Published
from mlinfra_aws.engine.translate import NOTHING, document, member_of

Problems = Iterator[tuple[Path, str]]
_KINDS: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (tuple,),
    "object": (Mapping,),
    "null": (type(None),),
}
_WORDS = {
    "string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false",
    "array": "a list", "object": "a map", "null": "null",
}  # fmt: skip
_CLASSES = {"L": r"\w", "IsL": r"\w", "M": r"\w", "N": r"\d", "Z": r"\s", "S": r"\W", "P": r"\W", "Alnum": "a-zA-Z0-9"}
"""Java's classes of characters, each as the narrowest of Python's that holds it all."""
_FEW = 12
"""So many allowed values are named in full."""


def unknowable(value: Value) -> bool:
    """Whether it is a leaf that nobody can check yet, or may look at."""
    return isinstance(value, (*DEFERRED, Secret, SecretDigest))


def by_schema(published: Published, fragment: Fragment, value: Value, path: Path) -> Problems:
    """What CloudFormation's schema says against ``value``."""
    if unknowable(value):
        return
    fragment = published.resolve(fragment)
    kinds = fragment.get("type")
    allowed = [kinds] if isinstance(kinds, str) else list(kinds or ())
    if allowed and not any(_is(value, k) for k in allowed):
        yield path, f"must be {' or '.join(_WORDS.get(k, k) for k in allowed)}, not {_shown(value)}"
        return
    if isinstance(value, str):
        yield from _text(fragment, value, path)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from _bounds(value, fragment.get("minimum"), fragment.get("maximum"), path, "")
        if fragment.get("enum") and value not in fragment["enum"]:
            yield path, not_allowed(value, fragment["enum"])
    elif isinstance(value, tuple):
        yield from _bounds(len(value), fragment.get("minItems"), fragment.get("maxItems"), path, "items")
        items = fragment.get("items")
        if isinstance(items, Mapping):
            for index, item in enumerate(value):
                yield from by_schema(published, items, item, (*path, index))
    elif isinstance(value, Mapping):
        yield from _object(published, fragment, value, path)
    yield from _combined(published, fragment, value, path)


def _object(published: Published, fragment: Fragment, value: Mapping[str, Value], path: Path) -> Problems:
    properties = fragment.get("properties", {})
    patterns = fragment.get("patternProperties", {})
    for name, item in value.items():
        if name in properties:
            if (*[str(p) for p in path], name) in published.deep_read_only:
                yield (*path, name), f"{name!r} is set by AWS and cannot be given"
            yield from by_schema(published, properties[name], item, (*path, name))
            continue
        wider = [f for pattern, f in patterns.items() if (r := pattern_of(pattern)) is None or r.search(name)]
        if wider:
            yield from by_schema(published, wider[0], item, (*path, name))
        elif fragment.get("additionalProperties") is False and (properties or patterns):
            yield (*path, name), unknown_name(name, properties)
    for name in fragment.get("required") or ():
        if value.get(name) is None:
            yield path, f"needs {name!r}"


def _combined(published: Published, fragment: Fragment, value: Value, path: Path) -> Problems:
    """``allOf`` as it is; of ``oneOf`` and ``anyOf`` one has to fit, and the nearest miss is told."""
    for part in fragment.get("allOf") or ():
        yield from by_schema(published, part, value, path)
    if isinstance(value, Mapping):
        for key, count in (("requiredXor", "exactly one"), ("requiredOr", "at least one")):
            names = fragment.get(key)
            if names:
                given = [n for n in names if value.get(n) is not None]
                if not given or (key == "requiredXor" and len(given) > 1):
                    yield path, f"needs {count} of {', '.join(map(repr, names))}"
        for name, others in (fragment.get("dependentExcluded") or {}).items():
            clash = [o for o in others if value.get(o) is not None] if value.get(name) is not None else []
            if clash:
                yield (*path, name), f"cannot stand beside {', '.join(map(repr, clash))}"
        for name, others in (fragment.get("dependentRequired") or {}).items():
            missing = [o for o in others if value.get(o) is None] if value.get(name) is not None else []
            if missing:
                yield path, f"needs {', '.join(map(repr, missing))} beside {name!r}"
    for key in ("oneOf", "anyOf"):
        choices = fragment.get(key)
        if choices:
            told = [list(by_schema(published, c, value, path)) for c in choices]
            if all(told):
                yield min(told, key=lambda t: (len(t), -max(len(p) for p, _ in t)))[0]


def _text(fragment: Fragment, value: str, path: Path) -> Problems:
    yield from _bounds(len(value), fragment.get("minLength"), fragment.get("maxLength"), path, "characters")
    choices = fragment.get("enum")
    if choices and value not in choices:
        yield path, not_allowed(value, choices)
    elif "enumCaseInsensitive" in fragment and value.lower() not in {str(c).lower() for c in fragment["enumCaseInsensitive"]}:
        yield path, not_allowed(value, fragment["enumCaseInsensitive"])
    if "const" in fragment and value != fragment["const"]:
        yield path, f"must be {fragment['const']!r}"
    pattern = fragment.get("pattern")
    if isinstance(pattern, str):
        found = pattern_of(pattern)
        if found is not None and not found.search(value):
            yield path, f"{_cut(value)!r} does not have the form {_cut(pattern)}"


def by_shape(shape: Any, value: Value, path: Path, names: Mapping[str, str] = NOTHING, *, partial: bool = False) -> Problems:
    """What a botocore shape says against ``value``, which is in CloudFormation's words: ``names`` as in :func:`translate.to_api`.
    ``partial``: members that are missing are not missed here."""
    if unknowable(value):
        return
    kind = shape.type_name
    rules = shape.metadata
    if kind == "structure":
        if not isinstance(value, Mapping):
            yield path, f"must be a map, not {_shown(value)}"
            return
        given = set()
        for name, item in value.items():
            member = member_of(shape, name, names)
            if member is None:
                yield (*path, name), unknown_name(name, shape.members)
            elif item is not None:
                given.add(member)
                yield from by_shape(shape.members[member], item, (*path, name), names)
        words = {api: name for name, api in names.items()}
        for name in () if partial else shape.required_members:
            if name not in given:
                yield path, f"needs {words.get(name, name)!r}"
    elif kind == "list":
        if not isinstance(value, (tuple, list)):
            yield path, f"must be a list, not {_shown(value)}"
            return
        yield from _bounds(len(value), rules.get("min"), rules.get("max"), path, "items")
        for index, item in enumerate(value):
            yield from by_shape(shape.member, item, (*path, index), names)
    elif kind == "map":
        if not isinstance(value, Mapping):
            yield path, f"must be a map, not {_shown(value)}"
            return
        for key, item in value.items():
            yield from by_shape(shape.key, key, (*path, key), names)
            yield from by_shape(shape.value, item, (*path, key), names)
    elif kind in ("integer", "long", "float", "double"):
        number = _number(value)
        if number is None:
            yield path, f"must be a number, not {_shown(value)}"
        else:
            yield from _bounds(number, rules.get("min"), rules.get("max"), path, "")
    elif kind == "boolean":
        if not isinstance(value, bool):
            yield path, f"must be true or false, not {_shown(value)}"
    elif kind == "string":
        if isinstance(value, (Mapping, tuple)):
            if any(not is_known(leaf) for _, leaf in leaves(value)):
                return
            value = document(value)
        elif isinstance(value, (bool, int, float)):
            value = str(value)
        elif not isinstance(value, str):
            yield path, f"must be text, not {_shown(value)}"
            return
        choices = getattr(shape, "enum", None)
        if choices and value not in choices:
            yield path, not_allowed(value, choices)
            return
        yield from _bounds(len(value), rules.get("min"), rules.get("max"), path, "characters")
        found = pattern_of(rules["pattern"]) if rules.get("pattern") else None
        if found is not None and not found.fullmatch(value):
            yield path, f"{_cut(value)!r} does not have the form {_cut(rules['pattern'])}"


def unknown_name(name: str, allowed: Any) -> str:
    from difflib import get_close_matches

    names = [str(a) for a in allowed]
    near = get_close_matches(name, names, 1, 0.7) or [n for n in names if n.lower() == name.lower()]
    if near:
        return f"there is no {name!r} here; did you mean {near[0]!r}?"
    return f"there is no {name!r} here" + (f"; there are {', '.join(names)}" if 0 < len(names) <= _FEW else "")


def not_allowed(value: Any, choices: Sequence[Any]) -> str:
    from difflib import get_close_matches

    names = [str(c) for c in choices]
    text = f"{_cut(str(value))!r} is not allowed"
    near = get_close_matches(str(value), names, 3, 0.6)
    if len(names) <= _FEW:
        return f"{text}: it must be one of {', '.join(names)}"
    return f"{text}; did you mean {', '.join(near)}?" if near else f"{text}: AWS knows {len(names)} values, such as {names[0]}"


@cache
def pattern_of(pattern: str) -> re.Pattern[str] | None:
    """Java's pattern for Python, made wider where Python has no like of it; None where it cannot be read."""
    text = pattern
    for java, ours in _CLASSES.items():
        text = text.replace(rf"\p{{{java}}}", ours)
    text = re.sub(
        r"\\u([0-9A-Fa-f]{4})", lambda m: re.escape(chr(int(m[1], 16))) if not 0xD800 <= int(m[1], 16) < 0xE000 else "", text
    )
    text = text.replace(r"\x{10FFFF}", "\U0010ffff").replace(r"\z", r"\Z")
    if r"\p" in text or r"\P" in text or "[:" in text or "&&" in text:
        return None
    try:
        return re.compile(text, re.DOTALL)
    except (re.error, OverflowError, RuntimeWarning):
        return None


def _bounds(size: float, least: Any, most: Any, path: Path, unit: str) -> Problems:
    if isinstance(least, (int, float)) and size < least:
        yield path, f"must have at least {least} {unit}, not {size}" if unit else f"must be at least {least}, not {size}"
    elif isinstance(most, (int, float)) and size > most:
        yield path, f"must have at most {most} {unit}, not {size}" if unit else f"must be at most {most}, not {size}"


def _number(value: Value) -> float | None:
    """A number, also one that stands in quotes, as CloudFormation allows it."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _is(value: Value, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _KINDS.get(kind, (object,)))


def _shown(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a map"
    if isinstance(value, (tuple, list)):
        return "a list"
    return "nothing" if value is None else f"{_cut(str(value))!r}" if isinstance(value, str) else str(value)


def _cut(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "…"


def leaf_in(attributes: Map, text: str) -> Path:
    """The deepest attribute whose text stands in a cloud's message: where in the spec the message belongs."""
    best: Path = ()
    size = 3
    for path, leaf in leaves(attributes):
        if isinstance(leaf, str) and len(leaf) > size and is_known(leaf) and leaf in text and path[0] != "Tags":
            best, size = path, len(leaf)
    return best
