"""``azure.arm``: any type of Azure Resource Manager, with its api-version, in ARM's own form.

``type: Microsoft.Insights/autoscaleSettings@2022-10-01``, ``parent`` (the id of what it lies in, or of what it extends), ``name``, and what
the type takes under ``body``. Bodies are held against the published type where our data has that very version.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import EMPTY, Map, Path, Value, freeze, reveal, thaw
from mlinfra.provider import ownership
from mlinfra.provider.bodies import field_problems
from mlinfra.provider.failures import AlreadyExists, Failure, Invalid, NotFound
from mlinfra_azure import marks, names, operations
from mlinfra_azure.client import AzureClient
from mlinfra_azure.contracts import Contract, contract
from mlinfra_azure.engine.bodied import prune
from mlinfra_azure.parents import Marked
from mlinfra_azure.shape import alike, like, same_place

_TYPE = re.compile(r"(?P<type>[A-Za-z]\w*(\.\w+)+(/\w+)+)@(?P<version>\d{4}-\d\d-\d\d(-[a-z]+)?)\Z")
_WHERE = "its place in the resource id"
_READ_ONLY = {"id", "name", "type", "etag", "systemData", "location", "tags"}


def _identity(attributes: Mapping[str, Value]) -> str | None:
    full, parent, name = (attributes.get(n) for n in ("type", "parent", "name"))
    if not (isinstance(full, str) and isinstance(parent, str) and isinstance(name, str)):
        return None
    kind = full.partition("@")[0]
    above, _, own = kind.rpartition("/")
    segment = own if names.type_of(parent).lower() == above.lower() else f"providers/{kind}"
    return f"{parent.rstrip('/')}/{segment}/{name}"


def _predict(attributes: Map) -> Mapping[str, Value]:
    identity = _identity(attributes)
    return {} if identity is None else {"id": identity}


def _tagged(attributes: Map, tags: Map) -> Map:
    own = attributes.get("tags")
    return Map({**attributes, "tags": Map({**tags, **(own if isinstance(own, Mapping) else {})})})


class Arm:
    """One object of a type that has no native type of its own here."""

    schema = Schema(
        attributes={
            "type": Attribute(type="string", required=True, immutable=True, same=lambda a, b: _kind(a) == _kind(b), source="the type it is of"),
            "parent": Attribute(type="string", computed=True, immutable=True, same=alike, source=_WHERE),
            "name": Attribute(type="string", required=True, immutable=True, same=alike, source=_WHERE),
            "location": Attribute(type="string", immutable=True, same=same_place, source="an object never moves"),
            "tags": Attribute(type="map"),
            "body": Attribute(type="map", same=alike, description="ARM's own form: properties, sku, identity, …"),
            "id": Attribute(type="string", computed=True),
            "output": Attribute(type="map", computed=True, volatile=True, description="the answer's properties"),
        },
        predict=_predict,
        inside=("parent",),
        named_by="name",
        tagged=_tagged,
    )  # fmt: skip

    async def read(self, client: AzureClient, recorded: ResourceState) -> Observed | None:
        body = await client.get(recorded.id, _version(recorded.attributes))
        return None if body is None else self._seen(client, recorded.id, body, recorded.attributes)

    async def create(self, client: AzureClient, desired: Desired, token: str) -> Observed:
        wanted = _placed(client, desired.attributes)
        identity, version = _identity(wanted), _version(wanted)
        assert identity is not None
        live = await client.get(identity, version)
        if live is not None:
            if await self._made_by(client, identity, live, wanted) != token:
                raise AlreadyExists(
                    f"there is a {identity} already, and it is not ours", import_id=f"{identity}?api-version={version}"
                )
            if operations.state_of(live) not in ("failed", "canceled"):
                return await self._ready(client, identity, wanted, desired)
        owner = client.owner(desired.address, token)
        if not _takes_tags(wanted):
            await _mark(client, identity, wanted).mark(token)
        try:
            await client.put(
                identity,
                version,
                _body(client, wanted, owner.marks(marks.tag_value)),
                what=f"creating {_said(wanted)}",
                limit=desired.timeout,
            )
        except Failure as failure:
            if not failure.retryable:
                await self._left_behind(client, identity, wanted, token, failure)
            raise
        return await self._ready(client, identity, wanted, desired)

    async def update(self, client: AzureClient, recorded: ResourceState, desired: Desired) -> Observed:
        wanted = _placed(client, desired.attributes)
        live = await client.get(recorded.id, _version(wanted))
        if live is None:
            raise NotFound(f"{recorded.id} is gone")
        body = _body(client, wanted, marks.own(live.get("tags") or {}))
        await client.put(recorded.id, _version(wanted), body, what=f"changing {_said(wanted)}", limit=desired.timeout)
        return await self._ready(client, recorded.id, wanted, desired)

    async def delete(self, client: AzureClient, recorded: ResourceState) -> None:
        await client.delete(recorded.id, _version(recorded.attributes))
        if not _takes_tags(recorded.attributes):
            await _mark(client, recorded.id, recorded.attributes).unmark()

    async def find(self, client: AzureClient, desired: Desired, token: str) -> Observed | None:
        wanted = _placed(client, desired.attributes)
        identity = _identity(wanted)
        assert identity is not None
        live = await client.get(identity, _version(wanted))
        if live is None or await self._made_by(client, identity, live, wanted) != token:
            return None
        return await self._ready(client, identity, wanted, desired)

    async def adopt(self, client: AzureClient, id: str) -> Observed | None:
        identity, _, version = id.partition("?api-version=")
        kind = names.type_of(identity)
        known = contract(kind)
        if not names.is_id(identity) or not (version or known):
            raise Invalid(f"{id!r} is no resource id that can be read; write ID?api-version=VERSION")
        version = version or (known.version if known else "")
        body = await client.get(identity, version)
        if body is None:
            return None
        parent = identity.rpartition(f"/providers/{kind}/")[0] or identity.rpartition("/")[0].rpartition("/")[0]
        found = {"type": f"{kind}@{version}", "parent": parent, "name": identity.rpartition("/")[2]}
        kept = prune(known, body) if known and known.version == version else body
        inner = {k: v for k, v in kept.items() if k not in _READ_ONLY}
        inner = json.loads(json.dumps(inner))
        inner.get("properties", {}).pop("provisioningState", None)
        place = {n: body[n] for n in ("location", "tags") if body.get(n)}
        return self._seen(client, identity, body, freeze({**found, **place, "body": inner}))

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        full, body = attributes.get("type"), attributes.get("body", EMPTY)
        if not isinstance(full, str):
            return []
        if not _TYPE.match(full):
            return [
                (
                    ("type",),
                    f"{full!r} is no type with its api-version; write it as Microsoft.Insights/autoscaleSettings@2022-10-01",
                )
            ]
        found: list[tuple[Path, str]] = []
        for name in body if isinstance(body, Mapping) else ():
            if name in _READ_ONLY:
                where = (
                    "beside body" if name in attributes or name in ("location", "tags", "name") else "not at all: Azure sets it"
                )
                found.append((("body", name), f"{name!r} stands {where}"))
        known = _known(full)
        if known is not None and isinstance(body, Mapping) and not found:
            given = {**{n: attributes[n] for n in ("location", "tags") if attributes.get(n) is not None}, **body}
            for path, said in field_problems(known, "", known.body, given):
                found.append((path if path[0] in ("location", "tags") else ("body", *path), said))
        parent = attributes.get("parent")
        if isinstance(parent, str) and not names.is_id(parent):
            found.append((("parent",), f"{parent!r} is no resource id"))
        return found

    def _seen(self, client: AzureClient, identity: str, live: Mapping[str, Any], wanted: Mapping[str, Value]) -> Observed:
        out: dict[str, Value] = {n: wanted[n] for n in ("type", "parent", "name") if n in wanted}
        out["id"] = identity
        out["output"] = freeze(dict(live.get("properties") or {}))
        if wanted.get("location") is not None:
            out["location"] = wanted["location"] if same_place(live.get("location"), wanted["location"]) else live.get("location")
        if wanted.get("tags") is not None:
            out["tags"] = freeze(marks.others(live.get("tags") or {}, client.config.tags, wanted["tags"]))
        if wanted.get("body") is not None:
            out["body"] = like(freeze(dict(live)), wanted["body"])
        return Observed(identity, Map(out))

    async def _ready(self, client: AzureClient, identity: str, wanted: Map, desired: Desired) -> Observed:
        live = await operations.settled(client, identity, _version(wanted), what=_said(wanted), limit=desired.timeout)
        return self._seen(client, identity, live, wanted)

    async def _made_by(self, client: AzureClient, identity: str, live: Mapping[str, Any], wanted: Map) -> str:
        if _takes_tags(wanted):
            return str((live.get("tags") or {}).get(ownership.OPERATION, ""))
        return await _mark(client, identity, wanted).token()

    async def _left_behind(self, client: AzureClient, identity: str, wanted: Map, token: str, failure: Failure) -> None:
        try:
            live = await client.get(identity, _version(wanted))
            if live is not None and await self._made_by(client, identity, live, wanted) == token:
                failure.partial = self._seen(client, identity, live, wanted)
        except Failure:
            return


def _placed(client: AzureClient, attributes: Map) -> Map:
    return attributes if attributes.get("parent") else Map({**attributes, "parent": client.group_id})


def _kind(full: Value) -> str:
    return str(full).partition("@")[0].lower()


def _version(attributes: Mapping[str, Value]) -> str:
    return str(attributes["type"]).partition("@")[2]


def _known(full: str) -> Contract | None:
    """The published type, where our data has it at this very version."""
    kind, _, version = full.partition("@")
    found = contract(kind)
    return found if found is not None and found.version == version else None


def _takes_tags(attributes: Mapping[str, Value]) -> bool:
    """Whether the marks go into its own tags: what has a place or tags does; else into those of what it lies in."""
    known = contract(_kind(attributes["type"]))
    return (
        "tags" in known.body
        if known is not None
        else attributes.get("location") is not None or attributes.get("tags") is not None
    )


def _mark(client: AzureClient, identity: str, attributes: Mapping[str, Value]) -> Marked:
    return Marked(client, identity, str(attributes["parent"]))


def _body(client: AzureClient, wanted: Map, owned: Mapping[str, str]) -> dict[str, Any]:
    body: dict[str, Any] = dict(thaw(reveal(wanted.get("body") or EMPTY)))
    if wanted.get("location") is not None:
        body["location"] = wanted["location"]
    if _takes_tags(wanted):
        body["tags"] = {**client.config.tags, **thaw(wanted.get("tags") or {}), **owned}
    return body


def _said(attributes: Mapping[str, Value]) -> str:
    return f"{_kind(attributes['type']).rpartition('/')[2]} {attributes['name']}"
