"""Tags: the user's, the settings' default ones, and the marks that say whose an object is (docs/decisions/0041)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mlinfra.model.values import Map, Value

OURS = "mlinfra:"
OP = "mlinfra:op"
_FORBIDDEN = re.compile(r"[^\w\s+\-=.:/@]")
_LIMIT = 256

Form = Literal["list", "lower", "map", "group"]
"""``list``: Key and Value; ``lower``: key and value; ``map``; ``group``: an Auto Scaling group's, with PropagateAtLaunch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """How a type is tagged.

    ``at_create``  the parameter of the create that takes tags; ``""``: it takes none, they are set right after it
    ``inside``     where the read answer holds them; ``""``: they are asked for by ``list``
    ``by``         the parameter that says whose tags: ``ResourceArn``, ``RoleName``
    ``of``         what it is given: the ``arn`` or the ``id``
    """

    attribute: str = "Tags"
    form: Form = "list"
    written: Literal["list", "map"] = "list"
    at_create: str = "Tags"
    inside: str = ""
    by: str = "ResourceArn"
    of: Literal["arn", "id"] = "arn"
    add: str = "TagResource"
    remove: str = "UntagResource"
    list: str = "ListTagsForResource"
    items: str = "Tags"
    param: str = "Tags"
    keys: str = "TagKeys"
    type: str = ""
    """EC2's resource type, for TagSpecifications."""


def marks(project: str, environment: str, address: str, token: str) -> dict[str, str]:
    """The tags that say whose an object is: project, environment, address, and the operation that made it."""
    return {
        "mlinfra:project": project,
        "mlinfra:env": environment,
        "mlinfra:address": tag_value(address),
        OP: token,
    }


def tag_value(text: str) -> str:
    """The text within what AWS takes as a tag's value: ``item["a"]`` becomes ``item/a``."""
    plain = re.sub(r'\["?(.*?)"?\]', r"/\1", text)
    plain = _FORBIDDEN.sub(lambda m: f"={ord(m[0]):02x}", plain)
    if len(plain) > _LIMIT:
        plain = plain[: _LIMIT - 17] + "/" + hashlib.sha256(text.encode()).hexdigest()[:16]
    return plain


def written(tags: Tags, value: Value) -> dict[str, str]:
    """The user's tags as a dict, however the property writes them."""
    if isinstance(value, Mapping):
        return {str(k): str(v) for k, v in value.items()}
    return {str(t["Key"]): str(t["Value"]) for t in value or () if isinstance(t, Mapping) and "Key" in t and "Value" in t}


def sent(form: Form, tags: Mapping[str, str]) -> Any:
    """Tags as an API takes them."""
    if form == "map":
        return dict(tags)
    if form == "group":
        return [{"Key": k, "Value": v, "PropagateAtLaunch": True} for k, v in tags.items()]
    if form == "lower":
        return [{"key": k, "value": v} for k, v in tags.items()]
    return [{"Key": k, "Value": v} for k, v in tags.items()]


def told(answer: Any) -> dict[str, str]:
    """Tags as an API tells them, whatever its form."""
    if isinstance(answer, Mapping):
        return {str(k): str(v) for k, v in answer.items()}
    rows: Iterable[Mapping[str, Any]] = answer or ()
    return {str(r.get("Key", r.get("key"))): str(r.get("Value", r.get("value", "")) or "") for r in rows}


def users(tags: Mapping[str, str], defaults: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """What of the world's tags is the user's affair: no marks, none of AWS's, and none of the defaults that are as they should be. A
    default that is missing shows as an empty one: it is to be set again."""
    kept = {}
    for key, value in tags.items():
        if key.startswith((OURS, "aws:")):
            continue
        if key in defaults and key not in wanted and defaults[key] == value:
            continue
        kept[key] = value
    kept.update({key: "" for key in defaults if key not in wanted and key not in tags})
    return kept


def shown(tags: Tags, values: Mapping[str, str]) -> Value:
    """Tags as the property writes them."""
    if tags.written == "map":
        return Map(values)
    return tuple([Map(Key=k, Value=v) for k, v in values.items()])


def with_tags(tags: Tags, attributes: Map, more: Mapping[str, str]) -> Map:
    """The attributes with a component's ``tags`` added; the type's own property wins."""
    value = attributes.get(tags.attribute)
    if value is not None and not isinstance(value, (Mapping, tuple)):
        return attributes  # not known yet
    own = value or ()
    if tags.written == "map":
        return Map({**attributes, tags.attribute: Map({**more, **dict(own)})})
    named = {t.get("Key") for t in own if isinstance(t, Mapping)}
    spread = {"PropagateAtLaunch": True} if tags.form == "group" else {}
    extra = [Map({"Key": k, "Value": v, **spread}) for k, v in more.items() if k not in named]
    return Map({**attributes, tags.attribute: (*own, *extra)})


def mark(project: str, environment: str, address: str, token: str) -> str:
    """The marks of an object without tags, as they stand in its text."""
    return f"mlinfra {project}/{environment}/{tag_value(address)} {token}"


def unmarked(text: str) -> str:
    """The text without the marks that were added to it."""
    at = text.rfind("[mlinfra ")
    return text[:at].rstrip() if at >= 0 else text


def in_recorded_order(recorded: Value, shown: Value) -> Value:
    """The world's tags in the recorded order where they are the same set."""
    if isinstance(recorded, tuple) and isinstance(shown, tuple) and sorted(map(repr, recorded)) == sorted(map(repr, shown)):
        return recorded
    if isinstance(recorded, tuple) and isinstance(shown, tuple):
        order = {repr(t.get("Key")): i for i, t in enumerate(recorded) if isinstance(t, Mapping)}
        return tuple(sorted(shown, key=lambda t: (order.get(repr(t.get("Key")), len(order)), repr(t))))
    return shown
