"""What an object of a row holds: the body that is sent, what comes back in the form in which it was asked for, and its marks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mlinfra.model.resource import Observed
from mlinfra.model.schema import Schema
from mlinfra.model.values import Map, Path, Value, freeze, reveal, thaw
from mlinfra.provider import ownership
from mlinfra.provider.bodies import Property, variant
from mlinfra_azure import marks
from mlinfra_azure.client import AzureClient
from mlinfra_azure.contracts import Contract
from mlinfra_azure.shape import hollow, like, same_place
from mlinfra_azure.table import Body, Row


class Bodied:
    """Writes and reads bodies."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.schema: Schema = row.schema_of_attributes

    def placed(self, client: AzureClient, attributes: Mapping[str, Value]) -> Map:
        """The attributes with the resource group and the location filled in."""
        out = {**attributes}
        if self.row.home and not out.get(self.row.within):
            out[self.row.within] = client.group_id if self.row.home == "group" else f"/subscriptions/{client.subscription}"
        if self.row.located and not out.get("location"):
            out["location"] = client.location
        return Map(out)

    def body(self, client: AzureClient, attributes: Mapping[str, Value], owned: Mapping[str, str], line: str) -> Body:
        """The body that is sent, with the marks of ownership."""
        body: Body = {"properties": {}} if self.row.contract.body.get("properties", {}).get("required") else {}
        for name, place in self.row.places.items():
            if attributes.get(name) is not None:
                put(body, place, thaw(reveal(attributes[name])))
        self._mark(client, body, owned, line)
        return body

    def observed(self, client: AzureClient, identity: str, body: Mapping[str, Any], wanted: Mapping[str, Value]) -> Observed:
        """The object in the form in which it was asked for, and what is computed of it."""
        clean = self._unmarked(client, body, wanted)
        out: dict[str, Value] = {"id": identity}
        parent = self.row.parent_of(identity)
        out[self.row.within] = like(parent, wanted.get(self.row.within)) if wanted.get(self.row.within) else parent
        out["name"] = wanted.get("name") or identity.rpartition("/")[2]
        for name, place in self.row.places.items():
            seen = at(clean, place)
            if name == "location":
                out[name] = wanted[name] if same_place(seen, wanted.get(name)) else freeze(seen)
            elif wanted.get(name) is None:
                continue
            elif name in self.row.unread and seen is None:
                out[name] = wanted[name]
            else:
                whole = name == "tags"  # so that one added by hand is seen
                value = freeze(seen or {}) if whole else like(freeze(self._with_unread(name, seen, wanted[name])), wanted[name])
                if value is not None:
                    out[name] = value
        for name, where in self.row.outputs.items():
            out[name] = freeze(at(body, tuple(where.split("."))))
        return Observed(identity, Map(out))

    def token_of(self, body: Mapping[str, Any]) -> str:
        """The operation that made it, as far as it says so."""
        found = at(body, tuple(self.row.marks.split(".")))
        if self.row.marks == "properties.description":
            return ownership.token_in(str(found or ""))
        return str((found or {}).get(_key(self.row, ownership.OPERATION), "")) if isinstance(found, Mapping) else ""

    def everything(self, body: Mapping[str, Any]) -> Map:
        """What adopting records: every property that a person may write and that is not empty."""
        known = prune(self.row.contract, body)
        found = {n: freeze(at(known, p)) for n, p in self.row.places.items() if n not in self.row.secret}
        return Map({n: v for n, v in found.items() if v is not None and (isinstance(v, bool) or not hollow(v))})

    def marks_of(self, live: Mapping[str, Any]) -> tuple[dict[str, str], str]:
        """The marks that an object has: tags, and the line of its description. What was imported has none."""
        found = at(live, tuple(self.row.marks.split(".")))
        if self.row.marks == "properties.description":
            return {}, ownership.line_of(str(found or ""))
        return {k.replace("_", "-"): v for k, v in marks.own(found).items()} if isinstance(found, Mapping) else {}, ""

    def _with_unread(self, name: str, seen: Any, wanted: Value) -> Any:
        """``seen`` with the parts that Azure never gives back, as they were given."""
        for place in self.row.unread:
            head, _, rest = place.partition(".")
            if head == name and rest:
                seen = _filled(seen, wanted, rest.split("."))
        return seen

    def _mark(self, client: AzureClient, body: Body, owned: Mapping[str, str], line: str) -> None:
        place = tuple(self.row.marks.split("."))
        if self.row.tags_at:
            tags = self.row.places["tags"]
            given = {**client.config.tags, **(at(body, tags) or {})}
            if given:
                put(body, tags, given)
        if self.row.marks == "properties.description":
            if line:
                put(body, place, ownership.with_line(at(body, place) or "", line, self.row.limit))
        elif self.row.marks != "parent":
            put(body, place, {**(at(body, place) or {}), **{_key(self.row, k): v for k, v in owned.items()}})

    def _unmarked(self, client: AzureClient, body: Mapping[str, Any], wanted: Mapping[str, Value]) -> Body:
        clean: Body = json.loads(json.dumps(body))
        place = tuple(self.row.marks.split("."))
        found = at(clean, place)
        if isinstance(found, str) and self.row.marks == "properties.description":
            put(clean, place, ownership.without_line(found))
        for tags in {place, self.row.places.get("tags", place)}:
            found = at(clean, tags)
            if isinstance(found, Mapping):
                given = wanted.get("tags") if tags == self.row.places.get("tags") else wanted.get("metadata")
                put(clean, tags, marks.others(found, client.config.tags, given if isinstance(given, Mapping) else {}))
        return clean


def at(body: Any, place: Path) -> Any:
    """What stands at a place of a body; None when nothing does."""
    for step in place:
        if isinstance(body, list):
            body = body[int(step)] if str(step).isdigit() and int(step) < len(body) else None
        else:
            body = body.get(step) if isinstance(body, Mapping) else None
    return body


def put(body: Body, place: Path, value: Any) -> None:
    """Put a value at a place of a body."""
    for step in place[:-1]:
        inside = body.get(str(step))
        if not isinstance(inside, dict):
            inside = body[str(step)] = {}
        body = inside
    body[str(place[-1])] = value


def prune(contract: Contract, body: Mapping[str, Any]) -> Body:
    """The body without what is read only, at any depth: what could be sent again."""
    return {n: _kept(contract, p, body[n]) for n, p in contract.body.items() if body.get(n) is not None}


def _kept(contract: Contract, prop: Property, value: Any) -> Any:
    if isinstance(value, list):
        return [_kept(contract, prop.get("items", {}), v) for v in value]
    if not isinstance(value, dict):
        return value
    if "map" in prop:
        return {k: _kept(contract, prop["map"], v) for k, v in value.items()}
    if "variants" in prop:
        known = variant(prop, value) or {}
    elif "ref" in prop or "props" in prop:
        known = contract.fields(prop)
    else:
        return value
    return {k: _kept(contract, known[k], v) for k, v in value.items() if k in known and v is not None}


def _filled(seen: Any, wanted: Value, steps: list[str]) -> Any:
    if isinstance(wanted, (tuple, list)) and isinstance(seen, list) and len(seen) == len(wanted):
        return [_filled(s, w, steps) for s, w in zip(seen, wanted, strict=True)]
    if not isinstance(wanted, Mapping) or steps[0] not in wanted or not isinstance(seen, Mapping):
        return seen
    step, rest = steps[0], steps[1:]
    if not rest:
        return seen if seen.get(step) is not None else {**seen, step: wanted[step]}
    return {**seen, step: _filled(seen[step], wanted[step], rest)} if step in seen else seen


def _key(row: Row, name: str) -> str:
    """The key of a mark: metadata takes identifiers alone."""
    return name.replace("-", "_") if row.marks == "properties.metadata" else name
