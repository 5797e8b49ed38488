"""``milvus.alias``: the name that applications search through. Moving it is one atomic step of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from mlinfra.model.change import SAFE, Risk
from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map
from mlinfra.provider.failures import AlreadyExists, Invalid, NotFound
from mlinfra.provider.progress import say
from mlinfra_milvus.client import MilvusClients, Server
from mlinfra_milvus.places import place, where


class Alias:
    """An alias can hold no mark of its own. The operation that makes it is noted on the collection that it first points at, before
    the alias itself is made: so it is found again after a crash, and an alias that was there before is left alone."""

    schema = Schema(
        attributes={
            "uri": Attribute(type="string", required=True),
            "token": Attribute(type="string", sensitive=True, write_only=True),
            "database": Attribute(type="string", immutable=True, source="Milvus: an alias belongs to one database"),
            "alias": Attribute(type="string", required=True, immutable=True, source="the alias's own name"),
            "collection": Attribute(type="string", required=True),
        },
        serves=True,
        inside=("uri", "collection"),
        follows=("collection",),
    )

    async def read(self, client: MilvusClients, recorded: ResourceState) -> Observed | None:
        return await asyncio.to_thread(_read, client.server(recorded.attributes), recorded)

    async def create(self, client: MilvusClients, desired: Desired, token: str) -> Observed:
        return await asyncio.to_thread(_create, client.server(desired.attributes), desired, token)

    async def update(self, client: MilvusClients, recorded: ResourceState, desired: Desired) -> Observed:
        return await asyncio.to_thread(_update, client.server(desired.attributes), recorded.id, desired)

    async def delete(self, client: MilvusClients, recorded: ResourceState) -> None:
        await asyncio.to_thread(_delete, client.server(recorded.attributes), str(recorded.attributes["alias"]))

    async def find(self, client: MilvusClients, desired: Desired, token: str) -> Observed | None:
        return await asyncio.to_thread(_find, client.server(desired.attributes), desired, token)

    async def adopt(self, client: MilvusClients, id: str) -> Observed | None:
        found, name = where(id)
        return await asyncio.to_thread(_adopt, client.server(found), found, name, id)

    def assess(self, before: Map, after: Map) -> Risk:
        if before.get("collection") == after.get("collection"):
            return SAFE
        return Risk(sentence="moves in one step: searches through it go on without a gap")


def _observed(id: str, attributes: Map, target: str) -> Observed:
    known = {k: attributes[k] for k in ("uri", "database", "alias") if k in attributes}
    return Observed(id, Map({**known, "collection": target}))


def _id(server: Server, alias: str) -> str:
    return place(server.uri, server.database, alias)


def _mark(alias: str) -> str:
    return f"mlinfra:alias:{alias}"


def _read(server: Server, recorded: ResourceState) -> Observed | None:
    if server.is_down():
        # The server itself is drift then, and is repaired first; what it holds cannot be told apart from what is recorded.
        return Observed(recorded.id, recorded.attributes)
    target = server.alias_target(str(recorded.attributes["alias"]))
    return None if target is None else _observed(recorded.id, recorded.attributes, target)


def _create(server: Server, desired: Desired, token: str) -> Observed:
    alias, collection = str(desired.attributes["alias"]), str(desired.attributes["collection"])
    found = _find(server, desired, token)
    if found is not None:
        return found
    target = server.alias_target(alias)
    if target == collection and _maker(server, collection, alias)[1] == desired.address:
        # An operation for this very address made it and could not be asked about it afterwards: its server was down.
        server.set_properties(collection, {_mark(alias): f"{token} {desired.address}"})
        return _observed(_id(server, alias), desired.attributes, collection)
    if target is not None:
        raise AlreadyExists(f"the alias {alias} exists and points at {target}", import_id=_id(server, alias))
    if server.describe(alias) is not None:
        raise Invalid(f"{alias} is the name of a collection: an alias cannot have it too", path=("alias",))
    server.set_properties(collection, {_mark(alias): f"{token} {desired.address}"})
    server.create_alias(alias, collection)
    return _observed(_id(server, alias), desired.attributes, collection)


def _delete(server: Server, alias: str) -> None:
    if not server.is_down():  # a server that stays was repaired before this: the alias goes with its server
        server.drop_alias(alias)


def _update(server: Server, id: str, desired: Desired) -> Observed:
    alias, collection = str(desired.attributes["alias"]), str(desired.attributes["collection"])
    target = server.alias_target(alias)
    if target is None:
        raise NotFound(f"the alias {alias} is gone")
    if target != collection:
        server.move_alias(alias, collection)
        say(f"alias {alias} moved from {target} to {collection}")
    return _observed(id, desired.attributes, collection)


def _find(server: Server, desired: Desired, token: str) -> Observed | None:
    if server.is_down():
        return None
    alias = str(desired.attributes["alias"])
    target = server.alias_target(alias)
    if target is None or _maker(server, target, alias)[0] != token:
        return None
    return _observed(_id(server, alias), desired.attributes, target)


def _properties(server: Server, collection: str) -> Mapping[str, str]:
    told = server.describe(collection)
    return told["properties"] if told else {}


def _maker(server: Server, collection: str, alias: str) -> tuple[str, str]:
    """The token of the operation that made the alias, and the address that it was made for; empty when it is not ours."""
    token, _, address = _properties(server, collection).get(_mark(alias), "").partition(" ")
    return token, address


def _adopt(server: Server, found: Map, name: str, id: str) -> Observed | None:
    target = server.alias_target(name)
    return None if target is None else _observed(id, Map({**found, "alias": name}), target)
