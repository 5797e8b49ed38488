"""What an object of a row holds: the body that is sent, what comes back in the form in which it was asked for, and its marks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mlinfra.model.resource import Observed
from mlinfra.model.values import Map, Value, freeze, reveal, thaw
from mlinfra.provider import ownership
from mlinfra_gcp import marks
from mlinfra_gcp.client import GcpClient
from mlinfra_gcp.engine.addressed import Addressed
from mlinfra_gcp.shape import hollow, like
from mlinfra_gcp.table import Body, Row


class Bodied(Addressed):
    """Writes and reads bodies."""

    def body(self, client: GcpClient, attributes: Mapping[str, Value], owner: ownership.Owner) -> Body:
        """The body that is sent, with the marks of ownership."""
        body: Body = {n: thaw(reveal(attributes[n])) for n in self.row.properties if attributes.get(n) is not None}
        for name, value in self.row.defaults.items():
            body.setdefault(name, thaw(value))
        self._mark(client, body, owner.marks(marks.label_value), owner.line(marks.label_value))
        return body

    def _wrapped(self, attributes: Map, body: Body) -> Body:
        if self.row.wrap is not None:
            inner, name = self.row.wrap
            return {inner: body, name: attributes["name"]}
        if self.row.chosen == "name":
            return {"name": attributes["name"], **body}
        if self.row.chosen == "fullname":
            return {"name": self.row.identity(attributes), **body}
        return body

    def observed(self, client: GcpClient, identity: str, body: Mapping[str, Any], wanted: Mapping[str, Value]) -> Observed:
        """The object in the form in which it was asked for, and what is computed of it."""
        clean = self._unmarked(client, body, wanted)
        out: dict[str, Value] = {"id": identity, **self._place_of(client, identity)}
        if self.row.chosen:
            out["name"] = wanted.get("name") or self.short(identity)
        for name in self.row.properties:
            if wanted.get(name) is None:
                continue
            labels = (name,) == self.row.marks and name != "description"  # as a whole, so that one added by hand is seen
            value = (
                freeze(clean.get(name) or {})
                if labels
                else like(freeze(self._with_inputs(self.row.properties[name], clean.get(name), wanted[name])), wanted[name])
            )
            if value is not None:
                out[name] = value
        for name, read in self.row.extra.items():
            out[name] = freeze(read(dict(body)))
        return Observed(identity, Map(out))

    def token_of(self, body: Mapping[str, Any]) -> str:
        """The operation that made it, as far as it says so."""
        value: Any = body
        for step in self.row.marks:
            value = value[int(step)] if isinstance(value, list) else (value or {}).get(step)
        if self.row.marks[-1] == "description":
            return ownership.token_in(str(value or ""))
        return str((value or {}).get(ownership.OPERATION, ""))

    def token_of_safe(self, body: Mapping[str, Any]) -> str:
        try:
            return self.token_of(body)
        except (AttributeError, KeyError, IndexError, TypeError):
            return ""

    def _whole(self, body: Mapping[str, Any]) -> bool:
        """Whether an answer is the object itself, as get would give it."""
        return (
            self.row.doc not in ("compute.v1", "iam.v1", "storage.v1")
            and self.row.ready is None
            and self.token_of_safe(body) != ""
        )

    def _with_inputs(self, prop: Mapping[str, Any], seen: Any, wanted: Value) -> Any:
        """``seen`` with what is input only, and so never comes back, as it was given."""
        if prop.get("input"):
            return thaw(wanted) if seen is None else seen
        if isinstance(wanted, (tuple, list)) and isinstance(seen, list) and len(wanted) == len(seen):
            return [self._with_inputs(prop.get("items", {}), s, w) for s, w in zip(seen, wanted, strict=True)]
        known = prop.get("props") or (self.row.document.properties(prop["ref"]) if "ref" in prop else None)
        if known and isinstance(seen, dict) and isinstance(wanted, Mapping):
            filled = {k: self._with_inputs(known[k], seen.get(k), w) for k, w in wanted.items() if k in known}
            return {**seen, **{k: v for k, v in filled.items() if v is not None}}
        return seen

    def _labels(self, attributes: Mapping[str, Value]) -> Value:
        value: Value = attributes
        for step in self.row.marks:
            if isinstance(step, int):
                value = value[step] if isinstance(value, (tuple, list)) and len(value) > step else None
            else:
                value = value.get(step) if isinstance(value, Mapping) else None
        return value

    def _mark(self, client: GcpClient, body: Body, labels: Mapping[str, str], line: str) -> None:
        at: Any = body
        for step in self.row.marks[:-1]:
            at = at[int(step)] if isinstance(at, list) else at.setdefault(step, {})
        last = self.row.marks[-1]
        if last == "description":
            at[last] = ownership.with_line(at.get(last) or "", line, self.row.limit)
        else:
            at[last] = {**client.config.labels, **(at.get(last) or {}), **labels}

    def _unmarked(self, client: GcpClient, body: Mapping[str, Any], wanted: Mapping[str, Value]) -> Body:
        clean: Body = json.loads(json.dumps(body))
        at: Any = clean
        for step in self.row.marks[:-1]:
            at = at[int(step)] if isinstance(at, list) and len(at) > int(step) else at.get(step) if isinstance(at, dict) else None
            if at is None:
                return clean
        last = self.row.marks[-1]
        if at.get(last) is None:
            return clean
        if last == "description":
            at[last] = ownership.without_line(at[last])
        else:
            given = self._labels(wanted)
            at[last] = marks.other_labels(at[last], client.config.labels, given if isinstance(given, Mapping) else {})
        return clean

    def _everything(self, body: Mapping[str, Any], identity: str) -> Map:
        """What adopting records: every property that a person may write and that is not empty."""
        prune = _Pruner(self.row)
        kept = {n: prune(p, body[n]) for n, p in self.row.properties.items() if n in body}
        return Map({n: freeze(v) for n, v in kept.items() if not hollow(freeze(v)) or isinstance(v, bool)})


class _Pruner:
    """Takes output-only properties out of a body, at any depth."""

    def __init__(self, row: Row) -> None:
        self._document = row.document

    def __call__(self, prop: Mapping[str, Any], value: Any) -> Any:
        if isinstance(value, list):
            return [self(prop.get("items", {}), v) for v in value]
        if isinstance(value, dict):
            known = prop.get("props") or (self._document.properties(prop["ref"]) if "ref" in prop else None)
            if known is None:
                return {k: self(prop.get("map", {}), v) for k, v in value.items()}
            return {k: self(known[k], v) for k, v in value.items() if k in known and not known[k].get("output") and k != "kind"}
        return value
