"""The table engine: a :class:`~mlinfra_gcp.table.Row` at work, over Google's resource patterns.

Resource names with parents, names that the client chooses, update masks and merge patches, etags, fingerprints and
metagenerations, requestId tokens, long-running operations, labels of ownership. https://google.aip.dev/general
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from mlinfra.model.change import SAFE, Risk
from mlinfra.model.cost import Cost
from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.values import Map, Path, Secret, SecretDigest, Value, freeze, is_known, reveal, thaw
from mlinfra.provider.contract import Find
from mlinfra.provider.failures import AlreadyExists, Failure, Invalid, NotFound, Timeout, Transient
from mlinfra.provider.progress import say
from mlinfra_gcp import marks
from mlinfra_gcp.bodies import value_problems
from mlinfra_gcp.client import GcpClient
from mlinfra_gcp.errors import NoRoom
from mlinfra_gcp.operations import PATIENCE, finished, pending
from mlinfra_gcp.shape import alike, hollow, like
from mlinfra_gcp.table import Body, Row

_FEW = 3
"""So many of one place are read one by one; more by one list call."""


class TableType:
    """A native type that is a row of the table."""

    row: Row

    def __init__(self, row: Row) -> None:
        self.row = row
        self.schema = row.schema_of_attributes

    # what the engine asks

    async def read(self, client: GcpClient, recorded: ResourceState) -> Observed | None:
        body = await self.get(client, recorded.id)
        return None if body is None else self.observed(client, recorded.id, body, recorded.attributes)

    async def read_many(self, client: GcpClient, recorded: Sequence[ResourceState]) -> Mapping[str, Observed]:
        groups: dict[str, list[ResourceState]] = {}
        for state in recorded:
            groups.setdefault(state.id.rpartition("/")[0], []).append(state)
        answers = await asyncio.gather(*[self._read_group(client, group) for group in groups.values()])
        return {id: seen for answer in answers for id, seen in answer.items()}

    async def create(self, client: GcpClient, desired: Desired, token: str) -> Observed:
        attributes = self.placed(client, desired.attributes)
        identity = self.row.identity(attributes)
        body = self.body(client, attributes, client.owner(desired.address, token))
        try:
            answer = await client.call(
                self.row.doc,
                self._method(self.row.create),
                self._create_params(attributes, token),
                self._wrapped(attributes, body),
            )
            made = await finished(client, self.row.doc, answer, what=f"creating {self._said(attributes)}", limit=desired.timeout)
        except AlreadyExists as failure:
            live = await self.get(client, identity) if identity else None
            if live is None or self.token_of(live) != token:
                raise AlreadyExists(f"{failure.message}; it is not ours", import_id=identity or "") from failure
            made = live
        except NoRoom as failure:
            from mlinfra_gcp.zones import elsewhere

            failure.hint = "; ".join(filter(None, (elsewhere(client, attributes), failure.hint)))
            raise
        except Failure as failure:
            if identity and not isinstance(failure, (Transient, Timeout)):
                await self._left_behind(client, identity, token, desired, failure)
            raise
        identity = identity or self.id_of(made, attributes)
        return await self.settled(client, identity, desired, made if self._whole(made) else None)

    async def update(self, client: GcpClient, recorded: ResourceState, desired: Desired) -> Observed:
        wanted = self.placed(client, desired.attributes)
        changed = [n for n in self.row.properties if not _same(recorded.attributes.get(n), wanted.get(n))]
        live = await self.get(client, recorded.id)
        if live is None:
            raise NotFound(f"{recorded.id} is gone")
        for name in [n for n in changed if n in self.row.setters]:
            await self._set(client, recorded.id, name, wanted, live, desired)
            live = await self.get(client, recorded.id) or live
        rest = [n for n in changed if n not in self.row.setters]
        if rest:
            await self._patch(client, recorded, wanted, rest, live, desired)
        await self.updated(client, recorded, desired)
        return await self.settled(client, recorded.id, desired, None)

    async def delete(self, client: GcpClient, recorded: ResourceState) -> None:
        try:
            if self.row.before_delete is not None:
                live = await self.get(client, recorded.id)
                if live is None:
                    return
                await self.row.before_delete(client, recorded.id, live)
            answer = await client.call(
                self.row.doc, self._method("delete"), {**self._id_params("delete", recorded.id), **self.row.delete_query}
            )
            await finished(client, self.row.doc, answer, what=f"deleting {recorded.id.rpartition('/')[2]}")
        except NotFound:
            return

    async def find(self, client: GcpClient, desired: Desired, token: str) -> Observed | None:
        attributes = self.placed(client, desired.attributes)
        live = await self._look_for(client, attributes, token)
        if live is None or self.token_of(live) != token:
            return None
        identity = self.row.identity(attributes) if self.row.chosen else self.id_of(live, attributes)
        assert identity is not None
        try:
            return await self.settled(client, identity, desired, None)
        except Failure as failure:
            if failure.partial is None:
                raise
            return failure.partial

    async def adopt(self, client: GcpClient, id: str) -> Observed | None:
        identity = self.full(client, id)
        body = await self.get(client, identity)
        return None if body is None else self.observed(client, identity, body, self._everything(body, identity))

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        found: list[tuple[Path, str]] = []
        doc, method = self.row.document, self.row.create_name
        for name, prop in self.row.properties.items():
            if name in attributes:
                found.extend(value_problems(doc, prop, attributes[name], method=method, at=(name,)))
        called = attributes.get("name")
        if isinstance(called, str) and self.row.name_pattern and not re.fullmatch(self.row.name_pattern, called):
            found.append((("name",), f"{called!r} is no name that Google takes here: it must match {self.row.name_pattern}"))
        labels = self._labels(attributes)
        if isinstance(labels, Mapping):
            at = self.row.marks
            found.extend(((*at, k), f"the label {k!r} is mlinfra's own") for k in labels if k.startswith(marks.PREFIX))
            found.extend(
                ((*at, k), f"{v!r} is no value of a label: lower-case letters, digits, - and _, at most 63")
                for k, v in labels.items()
                if isinstance(v, str) and marks.label_value(v) != v
            )
        return found

    def assess(self, before: Map, after: Map) -> Risk:
        return self.row.assess(before, after) if self.row.assess else SAFE

    def price(self, attributes: Map, settings: Map, find: Find) -> Cost | None:
        from mlinfra_gcp.prices import price

        return price(self.row.type, attributes, settings)

    # what types with a way of their own change

    async def updated(self, client: GcpClient, recorded: ResourceState, desired: Desired) -> None:
        """What an update does beside the body."""

    def body(self, client: GcpClient, attributes: Mapping[str, Value], owner: marks.Owner) -> Body:
        """The body that is sent, with the marks of ownership."""
        body: Body = {n: thaw(reveal(attributes[n])) for n in self.row.properties if attributes.get(n) is not None}
        for name, value in self.row.defaults.items():
            body.setdefault(name, thaw(value))
        self._mark(client, body, owner.labels(), owner.line())
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

    def short(self, identity: str) -> str:
        """The name that a person would have written for this id."""
        return identity.rpartition("/")[2].partition("@")[0]

    def token_of(self, body: Mapping[str, Any]) -> str:
        """The operation that made it, as far as it says so."""
        value: Any = body
        for step in self.row.marks:
            value = value[int(step)] if isinstance(value, list) else (value or {}).get(step)
        if self.row.marks[-1] == "description":
            return marks.token_in(str(value or ""))
        return str((value or {}).get(marks.OPERATION, ""))

    async def get(self, client: GcpClient, identity: str) -> Body | None:
        try:
            return await client.call(self.row.doc, self._method("get"), self._id_params("get", identity))
        except NotFound:
            return None

    async def settled(self, client: GcpClient, identity: str, desired: Desired, body: Body | None) -> Observed:
        """The object once it is ready. A Failure of ``ready`` carries what stands."""
        deadline = time.monotonic() + (desired.timeout or PATIENCE)
        attempt = 0
        while True:
            body = body or await self.get(client, identity)
            if body is None:
                raise Transient(f"{identity} cannot be seen yet")
            seen = self.observed(client, identity, body, self.placed(client, desired.attributes))
            try:
                doing = self.row.ready(body) if self.row.ready else None
            except Failure as failure:
                failure.partial = seen
                raise
            if doing is None:
                return seen
            if time.monotonic() > deadline:
                raise Timeout(f"{identity} is still {doing}", partial=seen)
            say(f"{self.short(identity)}: {doing}")
            await client.pause(attempt)
            attempt, body = attempt + 1, None

    # how

    def placed(self, client: GcpClient, attributes: Mapping[str, Value]) -> Map:
        """The attributes with project and place filled in."""
        out = {**attributes}
        if not out.get("project"):
            out["project"] = client.project
        if self.row.place and not out.get(self.row.place):
            out[self.row.place] = client.region if self.row.scope == "location" else client.zone
        return Map(out)

    def full(self, client: GcpClient, id: str) -> str:
        """The id that a person gave to import, in full. Invalid when it can be none."""
        if self.row.scope == "bucket":
            return id.removeprefix("gs://").rstrip("/")
        if "/" not in id:
            placed = self.placed(client, {"name": id})
            return self.row.identity(placed) or f"{self.row.parent(placed)}/{self.row.folder}/{id}"
        if f"/{self.row.folder}/" not in id or not id.startswith("projects/"):
            where = {"location": "locations/LOCATION/", "zone": "zones/ZONE/", "global": "global/"}.get(self.row.scope, "")
            raise Invalid(f"{id!r} is no {self.row.type}; write it as projects/PROJECT/{where}{self.row.folder}/NAME")
        return id

    def id_of(self, body: Mapping[str, Any], attributes: Mapping[str, Value]) -> str:
        """The id that Google gave, with the project's id where Google writes its number."""
        return f"{self.row.parent(attributes)}/{self.row.folder}/{str(body['name']).rpartition('/')[2]}"

    def _method(self, name: str) -> str:
        return f"{self.row.collection}.{name}"

    def _said(self, attributes: Mapping[str, Value]) -> str:
        return f"{self.row.type} {attributes.get('name', '')}".strip()

    def _whole(self, body: Mapping[str, Any]) -> bool:
        """Whether an answer is the object itself, as get would give it."""
        return (
            self.row.doc not in ("compute.v1", "iam.v1", "storage.v1")
            and self.row.ready is None
            and self.token_of_safe(body) != ""
        )

    def token_of_safe(self, body: Mapping[str, Any]) -> str:
        try:
            return self.token_of(body)
        except (AttributeError, KeyError, IndexError, TypeError):
            return ""

    def _create_params(self, attributes: Map, token: str) -> dict[str, Any]:
        given: dict[str, Any] = {}
        params = self.row.document.methods[self._method(self.row.create)].params
        for name in ("parent", "name"):
            if params.get(name, {}).get("in") == "path":
                given[name] = self.row.parent(attributes)
        for name in ("project", "zone"):
            if name in params:
                given[name] = attributes[name]
        if self.row.chosen not in ("", "name", "fullname") and self.row.wrap is None:
            given[self.row.chosen] = attributes["name"]
        if self.row.request_id:
            given["requestId"] = str(uuid.UUID(token))
        return given

    def _wrapped(self, attributes: Map, body: Body) -> Body:
        if self.row.wrap is not None:
            inner, name = self.row.wrap
            return {inner: body, name: attributes["name"]}
        if self.row.chosen == "name":
            return {"name": attributes["name"], **body}
        if self.row.chosen == "fullname":
            return {"name": self.row.identity(attributes), **body}
        return body

    def _id_params(self, method: str, identity: str) -> dict[str, Any]:
        params = self.row.document.methods[self._method(method)].params
        path = [name for name, p in params.items() if p["in"] == "path"]
        if self.row.scope == "bucket" or len(path) == 1:
            return {path[0]: identity}
        steps = identity.split("/")
        given = {"project": steps[1], "zone": steps[3] if self.row.scope == "zone" else None}
        last = next(name for name in path if name not in given)
        return {**{k: v for k, v in given.items() if v is not None}, last: steps[-1]}

    async def _left_behind(self, client: GcpClient, identity: str, token: str, desired: Desired, failure: Failure) -> None:
        """What a refused create made all the same is recorded with the failure, so that it is taken away."""
        try:
            live = await self.get(client, identity)
        except Failure:
            return
        if live is not None and self.token_of(live) == token:
            failure.partial = self.observed(client, identity, live, self.placed(client, desired.attributes))

    async def _look_for(self, client: GcpClient, attributes: Map, token: str) -> Body | None:
        if not self.row.chosen:
            params = self._list_params(attributes)
            if self.row.search:
                params["filter"] = self.row.search.format(token=token)
            async for item in client.pages(self.row.doc, self._method("list"), params, self._items()):
                if self.token_of(item) == token:
                    return item
            return None
        identity = self.row.identity(attributes)
        assert identity is not None
        live = await self.get(client, identity)
        if live is not None:
            return live
        waited = False
        for parent in (self.row.parent(attributes),) if self.row.doc == "compute.v1" else (identity, self.row.parent(attributes)):
            async for operation in pending(client, self.row.doc, parent):
                if identity in json.dumps(operation) or operation.get("clientOperationId") == str(uuid.UUID(token)):
                    waited = True
                    try:
                        await finished(client, self.row.doc, operation, what=f"creating {self._said(attributes)}, begun before")
                    except Failure as failure:
                        if failure.retryable:
                            raise
        return await self.get(client, identity) if waited else None

    def _items(self) -> str:
        """The field of a list's answer that holds the objects."""
        if self.row.listed:
            return self.row.listed
        return "items" if self.row.doc in ("compute.v1", "storage.v1") else self.row.folder

    def _list_params(self, attributes: Mapping[str, Value]) -> dict[str, Any]:
        params = self.row.document.methods[self._method("list")].params
        given: dict[str, Any] = {
            n: self.row.parent(attributes) for n in ("parent", "name") if params.get(n, {}).get("in") == "path"
        }
        given.update({n: attributes[n] for n in ("project", "zone") if n in params})
        return given

    async def _read_group(self, client: GcpClient, group: Sequence[ResourceState]) -> dict[str, Observed]:
        if len(group) <= _FEW or self._method("list") not in self.row.document.methods:
            seen = await asyncio.gather(*[self.read(client, state) for state in group])
            return {state.id: found for state, found in zip(group, seen, strict=True) if found is not None}
        wanted = {state.id: state for state in group}
        answers: dict[str, Observed] = {}
        where = self._place_of(client, group[0].id)
        async for item in client.pages(self.row.doc, self._method("list"), self._list_params(where), self._items()):
            identity = self._listed_id(item, where)
            if identity in wanted:
                answers[identity] = self.observed(client, identity, item, wanted[identity].attributes)
        return answers

    def _listed_id(self, item: Mapping[str, Any], where: Mapping[str, Value]) -> str:
        return str(item["name"]) if self.row.scope == "bucket" else self.id_of(item, where)

    def _place_of(self, client: GcpClient, identity: str) -> dict[str, Value]:
        if self.row.scope == "bucket":
            return {"project": client.project}
        steps = identity.split("/")
        return {"project": steps[1], **({self.row.place: steps[3]} if self.row.place else {})}

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

    # labels and descriptions

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
            at[last] = marks.with_line(at.get(last) or "", line, self.row.limit)
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
            at[last] = marks.without_line(at[last])
        else:
            given = self._labels(wanted)
            at[last] = marks.other_labels(at[last], client.config.labels, given if isinstance(given, Mapping) else {})
        return clean

    def _everything(self, body: Mapping[str, Any], identity: str) -> Map:
        """What adopting records: every property that a person may write and that is not empty."""
        prune = _Pruner(self.row)
        kept = {n: prune(p, body[n]) for n, p in self.row.properties.items() if n in body}
        return Map({n: freeze(v) for n, v in kept.items() if not hollow(freeze(v)) or isinstance(v, bool)})

    # changes

    async def _patch(
        self, client: GcpClient, recorded: ResourceState, wanted: Map, names: Sequence[str], live: Body, desired: Desired
    ) -> None:
        params = self._id_params("patch", recorded.id)
        body: Body = {n: thaw(reveal(wanted[n])) for n in names if wanted.get(n) is not None}
        top = str(self.row.marks[0])
        if top in names:
            labels, line = self._marks_of(live, client, recorded)
            self._mark(client, body, labels, line)
        if self.row.changes == "merge":
            for name in names:
                body[name] = _merge_patch(live.get(name), body.get(name))
            for name, prop in self.row.document.properties(self.row.schema).items():
                if f"{self.row.document.service}.{self.row.collection}.patch" in _named(prop) and name not in body:
                    body[name] = live.get(name)
            if "fingerprint" in live and "fingerprint" in self.row.document.properties(self.row.schema):
                body["fingerprint"] = live["fingerprint"]
        else:
            params["updateMask"] = ",".join(names)
        known = self.row.document.properties(self.row.schema)
        if "etag" in live and "etag" in known and not known["etag"].get("output") and self.row.doc not in ("iam.v1",):
            body["etag"] = live["etag"]
        if "metageneration" in live:
            params["ifMetagenerationMatch"] = live["metageneration"]
        answer = await client.call(self.row.doc, self._method("patch"), params, self.patch_body(body, names, recorded))
        await finished(client, self.row.doc, answer, what=f"changing {recorded.id.rpartition('/')[2]}", limit=desired.timeout)

    def patch_body(self, body: Body, names: Sequence[str], recorded: ResourceState) -> Body:
        """The patch request's body."""
        return body

    async def _set(self, client: GcpClient, identity: str, name: str, wanted: Map, live: Body, desired: Desired) -> None:
        setter = self.row.setters[name]
        value = thaw(reveal(wanted.get(name)))
        if (name,) == self.row.marks:
            value = {**client.config.labels, **(value or {}), **marks.own_labels(live.get(name) or {})}
        answer = await client.call(
            self.row.doc, self._method(setter.method), self._id_params(setter.method, identity), setter.body(value, live)
        )
        await finished(client, self.row.doc, answer, what=f"changing {name} of {self.short(identity)}", limit=desired.timeout)

    def _marks_of(self, live: Body, client: GcpClient, recorded: ResourceState) -> tuple[dict[str, Any], str]:
        """The marks that it has; of what was imported, none."""
        value = self._labels(live)
        if self.row.marks[-1] == "description":
            return {}, marks.line_of(str(value or ""))
        return marks.own_labels(value or {}), ""


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


def _named(prop: Mapping[str, Any]) -> Sequence[str]:
    """The methods that require a property, where the document names them."""
    required = prop.get("required")
    return required if isinstance(required, list) else ()


def _same(recorded: Value, wanted: Value) -> bool:
    if recorded is None or wanted is None:
        return recorded is wanted
    if any(isinstance(v, (Secret, SecretDigest)) for v in (recorded, wanted)):
        return False
    return is_known(wanted) and alike(recorded, wanted)


def _merge_patch(live: Any, wanted: Any) -> Any:
    """RFC 7386: what is wanted no more is null."""
    if isinstance(live, dict) and isinstance(wanted, dict):
        gone = {k: None for k in live if k not in wanted}
        return {**gone, **{k: _merge_patch(live.get(k), v) for k, v in wanted.items()}}
    return wanted
