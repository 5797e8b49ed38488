"""``milvus.collection``: fields, indexes, partitions and properties of one collection, always loaded.

A server does not tell everything back: Lite forgets index parameters, shards, descriptions; no server knows what was asked for.
So the collection carries it all in its own properties (``mlinfra:asked``), with the marks of ownership (``mlinfra:op``, …). Reading
trusts the world first, and takes from there only what the world does not contradict.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from mlinfra.kinds.collection import Collection as CollectionKind
from mlinfra.model.change import SAFE, Risk, RiskLevel
from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import DEFERRED, EMPTY, UNKNOWN, Map, Path, Value, freeze, lookup
from mlinfra.provider.failures import Failure, Invalid, NotFound
from mlinfra.provider.progress import say
from mlinfra_milvus.client import MilvusClients, Server
from mlinfra_milvus.filling import copy_rows
from mlinfra_milvus.ownership import ADDRESS, ASKED, ENVIRONMENT, FILLING, OP, PROJECT, is_ours, make_room
from mlinfra_milvus.places import place, where
from mlinfra_milvus.schema import described_fields, described_functions, same_shape

_SHAPE = ("fields", "functions", "dynamic_fields", "shards", "num_partitions", "consistency")
_ASKED = (*_SHAPE, "indexes", "partitions", "properties", "generation", "description")
_SETTINGS = {"ttl": "collection.ttl.seconds", "mmap": "mmap.enabled"}
_NEUTRAL = {"ttl": "0", "mmap": "false"}
"""What is set when a setting is no longer asked for: servers before 2.5 cannot delete a property."""
_FIXED = "Milvus: cannot change after a collection is created"


def _predict(attributes: Map) -> Mapping[str, Value]:
    return {"status": "loaded"}


class Collection:
    """``generation`` is the digest of the content of a collection behind an alias: it is part of the name, and whatever changes it
    is built beside. Without one, indexes change in place. ``status`` is ``loaded`` when it can be searched."""

    schema = Schema(
        attributes={
            "uri": Attribute(type="string", required=True),
            "token": Attribute(type="string", sensitive=True, write_only=True),
            "database": Attribute(type="string", immutable=True, source="Milvus: a collection belongs to one database"),
            "name": Attribute(type="string", required=True),
            "generation": Attribute(type="string", immutable=True, source="behind an alias, new content is a new collection"),
            "fields": Attribute(
                type="map", required=True, immutable=True, source="Milvus: field type, dim and keys cannot change"
            ),
            "functions": Attribute(type="map", immutable=True, source=_FIXED),
            "dynamic_fields": Attribute(type="boolean", immutable=True, source=_FIXED),
            "shards": Attribute(type="integer", immutable=True, source=_FIXED),
            "num_partitions": Attribute(type="integer", immutable=True, source=_FIXED),
            "consistency": Attribute(type="string", immutable=True, source=_FIXED),
            "indexes": Attribute(type="map"),
            "partitions": Attribute(type="list", unordered=True),
            "properties": Attribute(type="map"),
            "description": Attribute(type="string"),
            "status": Attribute(type="string", computed=True),
            "made": Attribute(
                type="string", computed=True, description="the operation that made it: another one made it anew, empty"
            ),
        },
        predict=_predict,
        holds_data=True,
        serves=True,
        create_first=True,
        named_by="name",
        inside=("uri",),
    )

    async def read(self, client: MilvusClients, recorded: ResourceState) -> Observed | None:
        return await asyncio.to_thread(_read, client.server(recorded.attributes), recorded)

    async def create(self, client: MilvusClients, desired: Desired, token: str) -> Observed:
        return await asyncio.to_thread(_create, client, desired, token, None)

    async def succeed(self, client: MilvusClients, recorded: ResourceState, desired: Desired, token: str) -> Observed:
        return await asyncio.to_thread(_create, client, desired, token, recorded)

    async def update(self, client: MilvusClients, recorded: ResourceState, desired: Desired) -> Observed:
        return await asyncio.to_thread(_update, client.server(desired.attributes), recorded, desired)

    async def delete(self, client: MilvusClients, recorded: ResourceState) -> None:
        await asyncio.to_thread(_delete, client.server(recorded.attributes), recorded)

    async def find(self, client: MilvusClients, desired: Desired, token: str) -> Observed | None:
        return await asyncio.to_thread(_find, client.server(desired.attributes), desired, token)

    async def adopt(self, client: MilvusClients, id: str) -> Observed | None:
        found, name = where(id)
        return await asyncio.to_thread(_adopt, client, found, name, id)

    async def stake(self, client: MilvusClients, recorded: ResourceState) -> str:
        return await asyncio.to_thread(_stake, client.server(recorded.attributes), recorded)

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        tree = {key: attributes[key] for key in (*_SHAPE, "name", "indexes", "partitions", "properties") if key in attributes}
        try:
            CollectionKind.model_validate({"database": UNKNOWN, **tree})
        except ValidationError as error:
            found = [(tuple(problem["loc"]), problem["msg"]) for problem in error.errors(include_url=False)]
            return [(path, sentence) for path, sentence in found if not _is_deferred_at(attributes, path)]
        return []

    def assess(self, before: Map, after: Map) -> Risk:
        """An index changes only while nothing can be searched; a dropped partition takes its rows along."""
        was, now = _tree(before, "indexes"), _tree(after, "indexes")
        changed = sorted(n for n in was if was[n] != now.get(n))
        partitions = after.get("partitions", ())
        dropped = sorted(set(before.get("partitions", ())) - set(partitions)) if isinstance(partitions, tuple) else []
        if dropped:
            return Risk(RiskLevel.DESTROYS_DATA, f"drops partition {', '.join(dropped)} with its rows")
        if changed:
            return Risk(
                RiskLevel.INTERRUPTS_SERVING,
                f"searches fail while the index on {', '.join(changed)} is built anew; behind an alias they would not",
            )
        if before.get("name") != after.get("name"):
            return Risk(RiskLevel.INTERRUPTS_SERVING, "renames it: searches by its old name fail")
        if _tree(before, "properties").get("mmap") != _tree(after, "properties").get("mmap"):
            return Risk(RiskLevel.INTERRUPTS_SERVING, "searches may fail while it is loaded again")
        return SAFE


def _tree(attributes: Map, name: str) -> Map:
    found = attributes.get(name)
    return found if isinstance(found, Map) else EMPTY


def _is_deferred_at(attributes: Map, path: Path) -> bool:
    """Whether the value at the path, or one that it lies in, is not known yet."""
    try:
        return isinstance(lookup(attributes, path), DEFERRED)
    except KeyError:
        return False


def _id(server: Server, name: str, op: str) -> str:
    return place(server.uri, server.database, name, op)


# ── reading ──


def _read(server: Server, recorded: ResourceState) -> Observed | None:
    if server.is_down():
        # The server itself is drift, and is repaired first. What it holds cannot be told apart from what is recorded, but for
        # one thing: nobody can search it.
        return Observed(recorded.id, Map({**recorded.attributes, "status": "unreachable"}))
    return _observe(server, str(recorded.attributes["name"]), recorded.id)


def _observe(server: Server, name: str, id: str) -> Observed | None:
    told = server.describe(name)
    if told is None or not is_ours(id, told["properties"]):
        return None
    properties: Mapping[str, str] = told["properties"]
    asked = _asked(properties)
    attributes: dict[str, Any] = {"uri": server.uri, "database": server.database, "name": name}
    fields = described_fields(told)
    if "fields" in asked and same_shape(asked["fields"], fields):
        attributes.update({k: asked[k] for k in (*_SHAPE, "generation") if k in asked})
    else:
        attributes.update({"fields": fields, "functions": described_functions(told)})
        attributes["dynamic_fields"] = bool(told.get("enable_dynamic_field"))
    attributes["indexes"] = _observed_indexes(server, name, asked.get("indexes", EMPTY))
    keyed = any(f.get("partition_key") for f in attributes["fields"].values())
    attributes["partitions"] = () if keyed else _observed_partitions(server, name, asked.get("partitions", ()))
    attributes["properties"] = _observed_properties(properties, asked.get("properties", EMPTY))
    if description := asked.get("description", told.get("description")):
        attributes["description"] = description
    attributes["status"] = "loaded" if server.is_loaded(name) else "released"
    attributes["made"] = str(properties.get(OP, ""))[:8]
    return Observed(id, freeze(attributes))


def _asked(properties: Mapping[str, str]) -> Map:
    try:
        found = freeze(json.loads(properties.get(ASKED, "{}")))
    except ValueError:
        return EMPTY
    return found if isinstance(found, Map) else EMPTY


def _observed_indexes(server: Server, name: str, asked: Map) -> Map:
    found: dict[str, Map] = {}
    for field, told in server.indexes(name).items():
        wanted = asked.get(field, EMPTY)
        same = wanted.get("type") in (told["type"], "AUTOINDEX") and wanted.get("metric", "") == told["metric"]
        found[field] = wanted if same else freeze({k: told[k] for k in ("type", "metric", "params") if told[k]})
    return Map(found)


def _observed_partitions(server: Server, name: str, asked: tuple[str, ...]) -> tuple[str, ...]:
    there = [p for p in server.partitions(name) if p != "_default"]
    return (*(p for p in asked if p in there), *(p for p in there if p not in asked))


def _observed_properties(properties: Mapping[str, str], asked: Map) -> Map:
    found: dict[str, Any] = {}
    for name, key in _SETTINGS.items():
        text = str(properties.get(key, "")).lower()
        if text and (name in asked or text != _NEUTRAL[name]):
            found[name] = float(text) if name == "ttl" else text == "true"
    return Map(found)


def _server_properties(wanted: Map, there: Mapping[str, str] = EMPTY) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, key in _SETTINGS.items():
        if wanted.get(name) is not None:
            found[key] = str(round(wanted[name])) if name == "ttl" else str(wanted[name]).lower()
        elif key in there:
            found[key] = _NEUTRAL[name]
    return found


# ── making ──


def _create(client: MilvusClients, desired: Desired, token: str, old: ResourceState | None) -> Observed:
    """Make the collection; as the successor of ``old`` with its rows. What fails leaves no half-made collection."""
    attributes = desired.attributes
    server, name = client.server(attributes), str(attributes["name"])
    if old is not None and old.attributes.get("name") == name:
        raise Invalid(
            f"the collection {name} cannot be built beside itself", hint="set lifecycle: {create_first: false} for this apply"
        )
    marks = {OP: token, PROJECT: client.project, ENVIRONMENT: client.environment, ADDRESS: desired.address}
    make_room(server, name, marks)
    filling = {FILLING: str(old.attributes["name"])} if old is not None else {}
    if server.describe(name) is None:
        properties = {**marks, ASKED: _asking(attributes), **filling, **_server_properties(attributes.get("properties", EMPTY))}
        server.create(name, Map({k: attributes[k] for k in _SHAPE if k in attributes}), properties, _description(attributes))
    try:
        if old is not None:
            _partitions(server, name, attributes)
            copy_rows(server, old.attributes, attributes)
        observed = _converge(server, name, attributes, _id(server, name, token))
        if filling:
            server.set_properties(name, {FILLING: ""})
        return observed
    except Failure as failure:
        # It holds nothing that does not stand elsewhere: the next apply begins anew. Only what cannot even be dropped is recorded.
        try:
            server.drop(name)
        except Failure:
            failure.partial = _observe_quietly(server, name, _id(server, name, token))
        raise


def _observe_quietly(server: Server, name: str, id: str) -> Observed | None:
    try:
        return _observe(server, name, id)
    except Failure:
        return None


def _description(attributes: Map) -> str:
    return str(attributes.get("description") or "")


def _asking(attributes: Map) -> str:
    return json.dumps({k: attributes[k] for k in _ASKED if attributes.get(k) is not None})


def _update(server: Server, recorded: ResourceState, desired: Desired) -> Observed:
    old, name = str(recorded.attributes["name"]), str(desired.attributes["name"])
    if old != name and server.describe(name) is None:
        server.rename(old, name)
    return _converge(server, name, desired.attributes, recorded.id)


def _converge(server: Server, name: str, attributes: Map, id: str) -> Observed:
    """Bring partitions, indexes, properties and load state to what is wanted; whatever is so already is left alone."""
    told = server.describe(name)
    if told is None:
        raise NotFound(f"the collection {name} is gone")
    _partitions(server, name, attributes)
    properties: Mapping[str, str] = told["properties"]
    _indexes(server, name, attributes.get("indexes", EMPTY), _asked(properties).get("indexes", EMPTY))
    settings = _server_properties(attributes.get("properties", EMPTY), properties)
    if settings.get(_SETTINGS["mmap"]) != properties.get(_SETTINGS["mmap"]) and not server.is_lite:
        server.release(name)
    wanted = {ASKED: _asking(attributes), **settings}
    server.set_properties(name, {k: v for k, v in wanted.items() if properties.get(k) != v})
    if not server.is_loaded(name):
        say(f"{name} is loaded")
        server.load(name)
    found = _observe(server, name, id)
    if found is None:
        raise NotFound(f"the collection {name} is gone")
    return found


def _partitions(server: Server, name: str, attributes: Map) -> None:
    if any(f.get("partition_key") for f in attributes["fields"].values()):
        return
    there = {p for p in server.partitions(name) if p != "_default"}
    wanted = attributes.get("partitions", ())
    for partition in wanted:
        if partition not in there:
            server.create_partition(name, partition)
    for partition in sorted(there - set(wanted)):
        say(f"partition {partition} is dropped")
        server.drop_partition(name, partition)


def _indexes(server: Server, name: str, wanted: Map, asked: Map) -> None:
    """An index is changed by dropping it, which a server allows only while the collection is released; new ones come first, so
    that one that the server refuses interrupts nothing."""
    there = server.indexes(name)
    observed = _observed_indexes(server, name, asked)
    for field, index in wanted.items():
        if field not in there:
            say(f"{index['type']} on {field}")
            server.create_index(name, field, index)
    wrong = [field for field in there if observed[field] != wanted.get(field)]
    if not wrong:
        return
    server.release(name)
    try:
        for field in wrong:
            server.drop_index(name, field, there[field]["index"])
            if field in wanted:
                say(f"{wanted[field]['type']} on {field}")
                server.create_index(name, field, wanted[field])
    except Failure:
        _load_quietly(server, name)
        raise


def _load_quietly(server: Server, name: str) -> None:
    """After a failed change: search again with what is left, if anything is."""
    with suppress(Failure):
        server.load(name)


# ── the rest of its life ──


def _delete(server: Server, recorded: ResourceState) -> None:
    if server.is_down():
        return  # a server that stays was repaired before this: it goes with its server
    name = str(recorded.attributes["name"])
    told = server.describe(name)
    if told is not None and is_ours(recorded.id, told["properties"]):
        server.drop(name)


def _find(server: Server, desired: Desired, token: str) -> Observed | None:
    if server.is_down():
        # It went down with us, and cannot be asked before this apply has brought it up: making the collection looks then.
        return None
    name = str(desired.attributes["name"])
    told = server.describe(name)
    if told is None or told["properties"].get(OP) != token:
        return None
    if told["properties"].get(FILLING):
        # Nobody knows how many of its rows had been copied: it is made again from the old one, which still stands.
        server.drop(name)
        return None
    return _observe(server, name, _id(server, name, token))


def _adopt(client: MilvusClients, found: Map, name: str, id: str) -> Observed | None:
    server = client.server(found)
    observed = _observe(server, name, id)
    if observed is not None:
        server.set_properties(name, {PROJECT: client.project, ENVIRONMENT: client.environment})
    return observed


def _stake(server: Server, recorded: ResourceState) -> str:
    name = str(recorded.attributes["name"])
    if not server.answers() or server.describe(name) is None:
        return ""
    count = server.count(name, loaded=server.is_loaded(name))
    return f"{count:,} vector{'s' if count != 1 else ''}" if count else ""
