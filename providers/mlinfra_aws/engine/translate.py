"""Values between the two vocabularies: CloudFormation's property names, which people write, and the API's, which botocore sends."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from typing import Any

from mlinfra.model.values import Map, Secret, Value, freeze
from mlinfra_aws.engine.published import Fragment, Published

NOTHING = Map()


def to_api(shape: Any, value: Value, names: Mapping[str, str] = NOTHING) -> Any:
    """``value`` in the form that ``shape`` asks for. ``names`` says how a property is called in the API where it is not the same
    word but for upper and lower case. What the shape does not know is passed on under its own name: the checks tell of it."""
    if isinstance(value, Secret):
        value = value.reveal()
    kind = shape.type_name
    if kind == "structure" and isinstance(value, Mapping):
        made = {}
        for name, item in value.items():
            member = member_of(shape, name, names)
            made[member or name] = to_api(shape.members[member], item, names) if member else item
        return made
    if kind == "list" and isinstance(value, (tuple, list)):
        return [to_api(shape.member, item, names) for item in value]
    if kind == "map" and isinstance(value, Mapping):
        return {str(k): to_api(shape.value, v, names) for k, v in value.items()}
    if kind == "string" and not isinstance(value, str):
        if isinstance(value, (Mapping, tuple, list)):
            return document(value)
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value) if isinstance(value, (int, float)) else value
    if kind == "blob" and isinstance(value, str):
        return value.encode()
    if kind in ("integer", "long") and isinstance(value, str) and value.lstrip("-").isdigit():
        return int(value)
    return value


def member_of(shape: Any, name: str, names: Mapping[str, str] = NOTHING) -> str | None:
    """The member of a structure that a property is called there; None: it has none."""
    for wanted in (names.get(name), name):
        if wanted in shape.members:
            return str(wanted)
    low = name.lower()
    return next((str(m) for m in shape.members if m.lower() == low), None)


def from_api(published: Published, fragment: Fragment, value: Any, names: Mapping[str, str] = NOTHING) -> Value:
    """What an API answered, in the form of a property's schema. ``names`` as in :func:`to_api`. Members that CloudFormation has no
    word for are left out."""
    fragment = published.resolve(fragment)
    if isinstance(value, Mapping):
        properties = properties_of(published, fragment)
        if not properties:
            return freeze({k: from_api(published, {}, v) for k, v in value.items()})
        words = _words(properties, names)
        found = {}
        for member, item in value.items():
            name = words.get(member.lower())
            if name is not None and item is not None:
                found[name] = from_api(published, properties[name], item, names)
        return Map(found)
    if isinstance(value, (list, tuple)):
        items = fragment.get("items")
        inner = items if isinstance(items, Mapping) else {}
        return tuple([from_api(published, inner, item, names) for item in value])
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "replace")
    kinds = fragment.get("type")
    if isinstance(value, str) and (kinds == "object" or (isinstance(kinds, (list, tuple)) and "object" in kinds)):
        return parsed(value)
    if kinds == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    if kinds in ("integer", "number") and isinstance(value, str):
        return _number(value)
    if kinds == "string" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return value


def properties_of(published: Published, fragment: Fragment) -> Mapping[str, Fragment]:
    """The properties that a map may have, those of its alternatives included."""
    found = dict(fragment.get("properties") or {})
    for key in ("oneOf", "anyOf", "allOf"):
        for part in fragment.get(key) or ():
            for name, inner in (published.resolve(part).get("properties") or {}).items():
                found.setdefault(name, inner)
    return found


def _words(properties: Mapping[str, Fragment], names: Mapping[str, str]) -> Mapping[str, str]:
    words = {name.lower(): name for name in properties}
    words.update({api.lower(): name for name, api in names.items() if name in properties})
    return words


def _number(text: str) -> Any:
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return text


def document(value: Value) -> str:
    """A JSON document as the APIs take it."""
    from mlinfra.model.values import thaw

    return json.dumps(thaw(value), separators=(",", ":"), sort_keys=True)


def parsed(text: str) -> Value:
    """A JSON document as a tree; the text itself when it is none."""
    try:
        return freeze(json.loads(text))
    except ValueError:
        return text


def project(wanted: Value, seen: Value) -> Value:
    """``seen`` as far as ``wanted`` speaks of it: defaults that a cloud adds inside a map are nobody's wish. What was wanted and is
    not there shows as missing; equal documents keep the form in which they were wanted."""
    if isinstance(wanted, Map) and isinstance(seen, Map):
        return Map({k: project(w, seen[k]) for k, w in wanted.items() if k in seen})
    if isinstance(wanted, tuple) and isinstance(seen, tuple):
        if len(wanted) == len(seen):
            items = tuple([project(w, s) for w, s in zip(wanted, seen, strict=True)])
            if items == wanted:
                return wanted
            pool = list(seen)
            matched = []
            for w in wanted:  # a cloud may tell a list in an order of its own
                found = next((i for i, s in enumerate(pool) if project(w, s) == w), None)
                if found is None:
                    return items
                matched.append(project(w, pool.pop(found)))
            return tuple(matched)
        return seen
    if same_text(wanted, seen):
        return wanted
    return seen


def same_text(wanted: Value, seen: Value) -> bool:
    """Whether two leaves, or two documents in different forms, say the same."""
    if wanted == seen and isinstance(wanted, bool) is isinstance(seen, bool):
        return True
    if isinstance(wanted, str) and isinstance(seen, (Map, tuple)):
        return bool(settled(parsed(wanted)) == settled(seen))
    if isinstance(seen, str) and isinstance(wanted, (Map, tuple)):
        return bool(settled(wanted) == settled(parsed(seen)))
    if isinstance(wanted, str) and isinstance(seen, str) and wanted[:1] in "{[" and seen[:1] in "{[":
        return bool(settled(parsed(wanted)) == settled(parsed(seen)))
    if isinstance(wanted, (Map, tuple)) and isinstance(seen, (Map, tuple)):
        return bool(settled(wanted) == settled(seen))
    if isinstance(wanted, (int, float)) and not isinstance(wanted, bool) and isinstance(seen, str):
        return str(wanted) == seen
    return False


def settled(value: Value) -> Value:
    """A document in one form. In a policy IAM takes a text for a list of one, and lists in any order; elsewhere order counts."""
    return _policy(value) if isinstance(value, Map) and "Statement" in value else value


def _policy(value: Value) -> Value:
    if isinstance(value, Map):
        return Map({k: _policy(v) for k, v in value.items()})
    if isinstance(value, tuple):
        items = [_policy(v) for v in value]
        return items[0] if len(items) == 1 else tuple(sorted(items, key=repr))
    return value


def same(have: Value, want: Value) -> bool:
    """Whether a recorded attribute already is what is wanted: the same, but for what a cloud fills in by itself, and for a list's order
    where nothing in it changes."""
    if have == want:
        return True
    if same_text(want, have):
        return True
    if isinstance(have, Map) and isinstance(want, Map):
        left = {k: v for k, v in have.items() if k not in want and v not in (None, False, "", (), NOTHING)}
        return not left and all(k in have and same(have[k], v) for k, v in want.items())
    if isinstance(have, tuple) and isinstance(want, tuple) and len(have) == len(want):
        return all(same(h, w) for h, w in zip(have, want, strict=True))
    return False
