"""``local.model_aliases``: the aliases of a registered model that the spec declares; others are left alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map
from mlinfra.provider.failures import NotFound
from mlinfra_local import mlflow_store
from mlinfra_local.client import LocalClient

_OPERATION = f"{mlflow_store.TAG}aliases_op"
"""The tag on the registered model that says which operation made these aliases: an alias carries none itself."""


class ModelAliases:
    """The id is ``REGISTRY/MODEL``; ``aliases`` maps an alias to MLflow's version number. Creating it takes over aliases that
    exist already: pointing a name at a version is all that an alias is."""

    schema = Schema(
        attributes={
            "registry": Attribute(type="string", required=True, immutable=True, source="the registry that holds it"),
            "model": Attribute(type="string", required=True, immutable=True, source="the registered model it belongs to"),
            "aliases": Attribute(type="map", required=True),
        },
        inside=("registry", "model"),
    )

    async def read(self, client: LocalClient, recorded: ResourceState) -> Observed | None:
        return await asyncio.to_thread(_read, client, recorded.id, recorded.attributes["aliases"])

    async def create(self, client: LocalClient, desired: Desired, token: str) -> Observed:
        id = f"{desired.attributes['registry']}/{desired.attributes['model']}"
        return await asyncio.to_thread(_settle, client, id, Map(), desired.attributes["aliases"], token)

    async def update(self, client: LocalClient, recorded: ResourceState, desired: Desired) -> Observed:
        return await asyncio.to_thread(
            _settle, client, recorded.id, recorded.attributes["aliases"], desired.attributes["aliases"]
        )

    async def delete(self, client: LocalClient, recorded: ResourceState) -> None:
        await asyncio.to_thread(_delete, client, recorded.id, recorded.attributes["aliases"])

    async def find(self, client: LocalClient, desired: Desired, token: str) -> Observed | None:
        id = f"{desired.attributes['registry']}/{desired.attributes['model']}"

        def look() -> Observed | None:
            model = mlflow_store.model(*_place(client, id))
            made = model is not None and model.tags.get(_OPERATION) == token
            return _read(client, id, desired.attributes["aliases"]) if made else None

        return await asyncio.to_thread(look)

    async def adopt(self, client: LocalClient, id: str) -> Observed | None:
        return await asyncio.to_thread(_read, client, id, None)


def _place(client: LocalClient, id: str) -> tuple[Path, str]:
    registry, _, model = id.partition("/")
    return client.folder("registries", registry), model


def _read(client: LocalClient, id: str, ours: Map | None) -> Observed | None:
    folder, name = _place(client, id)
    model = mlflow_store.model(folder, name)
    if model is None:
        return None
    aliases = {alias: number for alias, number in model.aliases.items() if ours is None or alias in ours}
    if ours and not aliases:
        return None
    return Observed(id, Map({"registry": folder.name, "model": name, "aliases": Map(aliases)}))


def _settle(client: LocalClient, id: str, recorded: Map, wanted: Map, token: str = "") -> Observed:
    folder, name = _place(client, id)
    model = mlflow_store.model(folder, name)
    if model is None:
        raise NotFound(f"the registry {folder.name} has no model {name}")
    with mlflow_store.opened(folder) as store:
        if token:
            from mlflow.entities.model_registry import RegisteredModelTag

            store.set_registered_model_tag(name, RegisteredModelTag(_OPERATION, token))
        for alias in recorded.keys() - wanted.keys():
            store.delete_registered_model_alias(name, alias)
        for alias, number in wanted.items():
            if model.aliases.get(alias) != number:
                store.set_registered_model_alias(name, alias, number)
    found = _read(client, id, wanted)
    if found is None:
        raise NotFound(f"{id} was deleted while it was being changed")
    return found


def _delete(client: LocalClient, id: str, ours: Map) -> None:
    folder, name = _place(client, id)
    model = mlflow_store.model(folder, name)
    if model is None:
        return
    with mlflow_store.opened(folder) as store:
        for alias in ours.keys() & model.aliases.keys():
            store.delete_registered_model_alias(name, alias)
        if _OPERATION in model.tags:
            store.delete_registered_model_tag(name, _OPERATION)
