"""The native types of what a registry holds. A target derives its own: it says how a registry is reached, and how a copy is named.

A server that is down is drift of its own and is repaired first: what it holds is told as recorded until then, a version as
``unreachable``, since nobody can get at it.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Value
from mlinfra.provider.failures import AlreadyExists, Invalid, NotFound
from mlinfra.provider.mlflow.registry import TAG, ModelRecord, Registry, VersionRecord, own_tags, user_tags

_HELD = Attribute(type="string", required=True, immutable=True, source="the registry that holds it")
_OF = Attribute(type="string", required=True, immutable=True, source="the registered model it belongs to")
_CONTENT = Attribute(type="string", immutable=True, source="a version never changes its content")
_ALIASES_OPERATION = f"{TAG}aliases_op"
"""The tag on the registered model that says which operation made its aliases: an alias carries none itself."""


class _Held(ABC):
    """``registry`` opens one by its id; nothing need be there. Client: has ``project`` and ``environment``."""

    schema: Schema

    @abstractmethod
    def registry(self, client: Any, name: str) -> Registry: ...

    def _split(self, client: Any, id: str) -> tuple[Registry, str]:
        registry, _, rest = id.partition("/")
        return self.registry(client, registry), rest

    @abstractmethod
    def _read(self, client: Any, id: str, recorded: Map) -> Observed | None: ...

    async def read(self, client: Any, recorded: ResourceState) -> Observed | None:
        def look() -> Observed | None:
            registry, _ = self._split(client, recorded.id)
            if registry.state() == "down":
                shown = {"status": "unreachable"} if "status" in self.schema.attributes else {}
                return Observed(recorded.id, Map({**recorded.attributes, **shown}))
            return self._read(client, recorded.id, recorded.attributes)

        return await asyncio.to_thread(look)

    async def adopt(self, client: Any, id: str) -> Observed | None:
        return await asyncio.to_thread(self._read, client, id, Map())

    def _seen(self, client: Any, id: str, attributes: Map) -> Observed:
        found = self._read(client, id, attributes)
        if found is None:
            raise NotFound(f"{id} was deleted while it was being changed")
        return found


def model_schema(uri: Callable[[str, str], str]) -> Schema:
    """The schema of a registered model that the target names by ``uri``."""

    def predict(attributes: Map) -> Mapping[str, Value]:
        registry, name = attributes.get("registry"), attributes.get("name")
        return {"uri": uri(registry, name)} if isinstance(registry, str) and isinstance(name, str) else {}

    return Schema(
        attributes={
            "registry": _HELD,
            "name": Attribute(type="string", required=True, immutable=True, source="the model's name in MLflow"),
            "description": Attribute(type="string"),
            "tags": Attribute(type="map"),
            "uri": Attribute(type="string", computed=True),
        },
        predict=predict,
        holds_data=True,
        inside=("registry",),
    )


def version_schema(uri: Callable[[str, str, str], str]) -> Schema:
    """The schema of a model's version whose copy the target names by ``uri``."""

    def predict(attributes: Map) -> Mapping[str, Value]:
        registry, model, content = (attributes.get(name) for name in ("registry", "model", "content"))
        known: dict[str, Value] = {"status": "ready"}
        if isinstance(content, str):
            known["digest"] = content
            if isinstance(registry, str) and isinstance(model, str):
                known["uri"] = uri(registry, model, content)
        return known

    return Schema(
        attributes={
            "registry": _HELD,
            "model": _OF,
            "version": Attribute(type="string", required=True),
            "artifact": _CONTENT,
            "path": Attribute(type="string"),
            "content": _CONTENT,
            "description": Attribute(type="string"),
            "tags": Attribute(type="map"),
            "number": Attribute(type="integer", computed=True),
            "digest": Attribute(type="string", computed=True),
            "uri": Attribute(type="string", computed=True),
            "status": Attribute(type="string", computed=True),
        },
        predict=predict,
        create_first=True,
        inside=("registry", "model"),
    )


def _existing(registry: Registry) -> None:
    if registry.state() == "gone":
        raise NotFound(f"the registry {registry.name} does not exist")


class RegisteredModel(_Held):
    """The id is ``REGISTRY/NAME``. Deleting it deletes what versions are left, those that others registered included."""

    uri: Callable[[str, str], str]
    """How the target names a registered model: registry, name. Pure; a static method."""

    async def create(self, client: Any, desired: Desired, token: str) -> Observed:
        return await asyncio.to_thread(self._create, client, desired, token)

    async def update(self, client: Any, recorded: ResourceState, desired: Desired) -> Observed:
        return await asyncio.to_thread(self._update, client, recorded.id, desired)

    async def delete(self, client: Any, recorded: ResourceState) -> None:
        await asyncio.to_thread(self._delete, client, recorded.id)

    async def find(self, client: Any, desired: Desired, token: str) -> Observed | None:
        id = f"{desired.attributes['registry']}/{desired.attributes['name']}"

        def look() -> Observed | None:
            record = self._record(client, id)
            return self._observed(id, record) if record and record.tags.get(f"{TAG}op") == token else None

        return await asyncio.to_thread(look)

    async def stake(self, client: Any, recorded: ResourceState) -> str:
        record = await asyncio.to_thread(self._record, client, recorded.id)
        count = len(record.versions) if record else 0
        return f"{count:,} version{'' if count == 1 else 's'}" if count else ""

    def _record(self, client: Any, id: str) -> ModelRecord | None:
        registry, name = self._split(client, id)
        return registry.model(name)

    def _observed(self, id: str, record: ModelRecord) -> Observed:
        registry = id.partition("/")[0]
        return Observed(
            id,
            Map(
                {
                    "registry": registry,
                    "name": record.name,
                    "description": record.description,
                    "tags": Map(user_tags(record.tags)),
                    "uri": self.uri(registry, record.name),
                }
            ),
        )

    def _read(self, client: Any, id: str, recorded: Map) -> Observed | None:
        record = self._record(client, id)
        return self._observed(id, record) if record else None

    def _create(self, client: Any, desired: Desired, token: str) -> Observed:
        attributes = desired.attributes
        id = f"{attributes['registry']}/{attributes['name']}"
        registry, name = self._split(client, id)
        _existing(registry)
        own = own_tags(client.project, client.environment, desired.address, token)
        tags = {key: str(value) for key, value in {**attributes.get("tags", {}), **own}.items()}
        with registry.writing() as writer:
            known = registry.model(name)
            if known is None:
                writer.create_model(name, tags, attributes.get("description") or "")
            elif known.tags.get(f"{TAG}op") != token:
                raise AlreadyExists(f"the registry {registry.name} has a model {name} that is not ours", import_id=id)
        return self._seen(client, id, attributes)

    def _update(self, client: Any, id: str, desired: Desired) -> Observed:
        registry, name = self._split(client, id)
        wanted = {key: str(value) for key, value in desired.attributes.get("tags", {}).items()}
        with registry.writing() as writer:
            known = registry.model(name)
            present = user_tags(known.tags) if known else {}
            writer.update_model(name, desired.attributes.get("description") or "")
            for key in present.keys() - wanted.keys():
                writer.delete_model_tag(name, key)
            for key, value in wanted.items():
                writer.set_model_tag(name, key, value)
        return self._seen(client, id, desired.attributes)

    def _delete(self, client: Any, id: str) -> None:
        registry, name = self._split(client, id)
        if registry.state() == "gone" or not registry.revive():
            return
        if registry.model(name) is not None:
            with registry.writing() as writer:
                writer.delete_model(name)
        registry.prune(name)


class ModelVersion(_Held):
    """The id is ``REGISTRY/MODEL/NUMBER``, ``number`` being MLflow's. What it is made of comes as ``artifact`` (the
    content-addressed URI of a run's output) or as ``path`` with the digest of its ``content``; other content is another version.

    ``uri`` is the registry's own copy, which outlives the version for a while, so that a rollback finds it. ``status`` is
    ``ready``, ``artifact missing`` when that copy is gone, or ``artifact changed`` when somebody edited it."""

    uri: Callable[[str, str, str], str]
    """How the target names the registry's copy: registry, model, digest. Pure; a static method."""

    async def create(self, client: Any, desired: Desired, token: str) -> Observed:
        return await asyncio.to_thread(self._create, client, desired, token)

    async def update(self, client: Any, recorded: ResourceState, desired: Desired) -> Observed:
        return await asyncio.to_thread(self._update, client, recorded.id, desired)

    async def delete(self, client: Any, recorded: ResourceState) -> None:
        await asyncio.to_thread(self._delete, client, recorded.id)

    async def find(self, client: Any, desired: Desired, token: str) -> Observed | None:
        return await asyncio.to_thread(self._find, client, desired, token)

    def _place(self, client: Any, id: str) -> tuple[Registry, str, int]:
        registry, rest = self._split(client, id)
        model, _, number = rest.rpartition("/")
        if not number.isdigit():
            raise Invalid(f"{id!r} is no id of a model version", hint="write REGISTRY/MODEL/NUMBER")
        return registry, model, int(number)

    def _record(self, client: Any, id: str) -> VersionRecord | None:
        registry, model, number = self._place(client, id)
        found = registry.model(model)
        return found.versions.get(number) if found else None

    def _read(self, client: Any, id: str, recorded: Map) -> Observed | None:
        registry, model, _ = self._place(client, id)
        record = self._record(client, id)
        if record is None:
            return None
        digest = record.tags.get(f"{TAG}digest", "")
        # Where it came from is not to be seen in the registry; its content is.
        given = {name: recorded[name] for name in ("artifact", "path") if name in recorded}
        if "content" in recorded or "artifact" not in recorded:
            given["content"] = digest
        return Observed(
            id,
            Map(
                {
                    **given,
                    "registry": registry.name,
                    "model": model,
                    "version": record.tags.get(f"{TAG}version", str(record.number)),
                    "description": record.description,
                    "tags": Map(user_tags(record.tags)),
                    "number": record.number,
                    "digest": digest,
                    "uri": self.uri(registry.name, model, digest),
                    "status": registry.status(model, digest),
                }
            ),
        )

    def _create(self, client: Any, desired: Desired, token: str) -> Observed:
        attributes = desired.attributes
        registry, model = self._split(client, f"{attributes['registry']}/{attributes['model']}")
        if registry.model(model) is None:
            raise NotFound(f"the registry {registry.name} has no model {model}")
        with registry.writing() as writer:
            digest = registry.keep(model, _source(attributes), attributes.get("content"))
            own = own_tags(
                client.project, client.environment, desired.address, token, digest=digest, version=str(attributes["version"])
            )
            tags = {key: str(value) for key, value in {**attributes.get("tags", {}), **own}.items()}
            number = writer.create_version(model, registry.location(model, digest), tags, attributes.get("description") or "")
        return self._seen(client, f"{registry.name}/{model}/{number}", attributes)

    def _update(self, client: Any, id: str, desired: Desired) -> Observed:
        registry, model, number = self._place(client, id)
        attributes = desired.attributes
        record = self._record(client, id)
        if record is None:
            raise NotFound(f"{id} is gone from the registry")
        with registry.writing() as writer:
            expected = record.tags.get(f"{TAG}digest") or attributes.get("content")
            digest = registry.keep(model, _source(attributes), expected)
            own = {f"{TAG}digest": digest, f"{TAG}version": str(attributes["version"])}
            wanted = {key: str(value) for key, value in {**attributes.get("tags", {}), **own}.items()}
            writer.update_version(model, number, attributes.get("description") or "")
            for key in user_tags(record.tags).keys() - wanted.keys():
                writer.delete_version_tag(model, number, key)
            for key, value in wanted.items():
                if record.tags.get(key) != value:
                    writer.set_version_tag(model, number, key, value)
        return self._seen(client, id, attributes)

    def _delete(self, client: Any, id: str) -> None:
        registry, model, number = self._place(client, id)
        if registry.state() == "gone" or not registry.revive():
            return
        with registry.writing() as writer:
            record = self._record(client, id)
            if record is not None:
                writer.delete_version(model, number)
                registry.retire(model, record.tags.get(f"{TAG}digest", ""))
            registry.prune(model)

    def _find(self, client: Any, desired: Desired, token: str) -> Observed | None:
        registry, name = self._split(client, f"{desired.attributes['registry']}/{desired.attributes['model']}")
        model = registry.model(name)
        for number, record in model.versions.items() if model else ():
            if record.tags.get(f"{TAG}op") == token:
                return self._read(client, f"{registry.name}/{name}/{number}", desired.attributes)
        return None


def _source(attributes: Map) -> str:
    place = attributes.get("path") or attributes.get("artifact")
    if not place:
        raise Invalid("a model version needs an artifact", path=("artifact",))
    return str(place)


class ModelAliases(_Held):
    """The id is ``REGISTRY/MODEL``; ``aliases`` maps an alias to MLflow's version number. Creating it takes over aliases that
    exist already: pointing a name at a version is all that an alias is. Others than the declared are left alone."""

    schema = Schema(
        attributes={"registry": _HELD, "model": _OF, "aliases": Attribute(type="map", required=True)},
        inside=("registry", "model"),
    )

    async def create(self, client: Any, desired: Desired, token: str) -> Observed:
        id = f"{desired.attributes['registry']}/{desired.attributes['model']}"
        return await asyncio.to_thread(self._settle, client, id, Map(), desired.attributes["aliases"], token)

    async def update(self, client: Any, recorded: ResourceState, desired: Desired) -> Observed:
        return await asyncio.to_thread(
            self._settle, client, recorded.id, recorded.attributes["aliases"], desired.attributes["aliases"]
        )

    async def delete(self, client: Any, recorded: ResourceState) -> None:
        await asyncio.to_thread(self._delete, client, recorded.id, recorded.attributes["aliases"])

    async def find(self, client: Any, desired: Desired, token: str) -> Observed | None:
        id = f"{desired.attributes['registry']}/{desired.attributes['model']}"

        def look() -> Observed | None:
            registry, name = self._split(client, id)
            model = registry.model(name)
            made = model is not None and model.tags.get(_ALIASES_OPERATION) == token
            return self._read(client, id, desired.attributes) if made else None

        return await asyncio.to_thread(look)

    def _read(self, client: Any, id: str, recorded: Map) -> Observed | None:
        registry, name = self._split(client, id)
        model = registry.model(name)
        if model is None:
            return None
        ours = recorded.get("aliases")
        aliases = {alias: number for alias, number in model.aliases.items() if ours is None or alias in ours}
        if ours and not aliases:
            return None
        return Observed(id, Map({"registry": registry.name, "model": name, "aliases": Map(aliases)}))

    def _settle(self, client: Any, id: str, recorded: Map, wanted: Map, token: str = "") -> Observed:
        registry, name = self._split(client, id)
        model = registry.model(name)
        if model is None:
            raise NotFound(f"the registry {registry.name} has no model {name}")
        with registry.writing() as writer:
            if token:
                writer.set_model_tag(name, _ALIASES_OPERATION, token)
            for alias in recorded.keys() - wanted.keys():
                writer.delete_alias(name, alias)
            for alias, number in wanted.items():
                if model.aliases.get(alias) != number:
                    writer.set_alias(name, alias, number)
        return self._seen(client, id, Map(aliases=wanted))

    def _delete(self, client: Any, id: str, ours: Map) -> None:
        registry, name = self._split(client, id)
        model = registry.model(name) if registry.state() != "gone" and registry.revive() else None
        if model is None:
            return
        with registry.writing() as writer:
            for alias in ours.keys() & model.aliases.keys():
                writer.delete_alias(name, alias)
            if _ALIASES_OPERATION in model.tags:
                writer.delete_model_tag(name, _ALIASES_OPERATION)
