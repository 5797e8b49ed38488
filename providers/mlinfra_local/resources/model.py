"""``local.model``: a registered model of an MLflow registry."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Value
from mlinfra.provider.failures import AlreadyExists, NotFound
from mlinfra_local import mlflow_store
from mlinfra_local.client import LocalClient
from mlinfra_local.mlflow_store import TAG, ModelRecord


def _predict(attributes: Map) -> Mapping[str, Value]:
    registry, name = attributes.get("registry"), attributes.get("name")
    return {"uri": _uri(registry, name)} if isinstance(registry, str) and isinstance(name, str) else {}


def _uri(registry: str, name: str) -> str:
    return f"local://registries/{registry}/models/{name}"


class RegisteredModel:
    """The id is ``REGISTRY/NAME``. Deleting it deletes what versions are left, those that others registered included."""

    schema = Schema(
        attributes={
            "registry": Attribute(type="string", required=True, immutable=True, source="the registry that holds it"),
            "name": Attribute(type="string", required=True, immutable=True, source="the model's name in MLflow"),
            "description": Attribute(type="string"),
            "tags": Attribute(type="map"),
            "uri": Attribute(type="string", computed=True),
        },
        predict=_predict,
        holds_data=True,
        inside=("registry",),
    )

    async def read(self, client: LocalClient, recorded: ResourceState) -> Observed | None:
        return await asyncio.to_thread(_read, client, recorded.id)

    async def create(self, client: LocalClient, desired: Desired, token: str) -> Observed:
        return await asyncio.to_thread(_create, client, desired, token)

    async def update(self, client: LocalClient, recorded: ResourceState, desired: Desired) -> Observed:
        return await asyncio.to_thread(_update, client, recorded.id, desired)

    async def delete(self, client: LocalClient, recorded: ResourceState) -> None:
        await asyncio.to_thread(_delete, client, recorded.id)

    async def find(self, client: LocalClient, desired: Desired, token: str) -> Observed | None:
        id = f"{desired.attributes['registry']}/{desired.attributes['name']}"

        def look() -> Observed | None:
            record = _record(client, id)
            return _observed(id, record) if record and record.tags.get(f"{TAG}op") == token else None

        return await asyncio.to_thread(look)

    async def adopt(self, client: LocalClient, id: str) -> Observed | None:
        return await asyncio.to_thread(_read, client, id)

    async def stake(self, client: LocalClient, recorded: ResourceState) -> str:
        record = await asyncio.to_thread(_record, client, recorded.id)
        count = len(record.versions) if record else 0
        return f"{count:,} version{'' if count == 1 else 's'}" if count else ""


def _place(client: LocalClient, id: str) -> tuple[Path, str]:
    registry, _, name = id.partition("/")
    return client.folder("registries", registry), name


def _record(client: LocalClient, id: str) -> ModelRecord | None:
    return mlflow_store.model(*_place(client, id))


def _observed(id: str, record: ModelRecord) -> Observed:
    registry = id.partition("/")[0]
    return Observed(
        id,
        Map(
            {
                "registry": registry,
                "name": record.name,
                "description": record.description,
                "tags": Map(mlflow_store.user_tags(record.tags)),
                "uri": _uri(registry, record.name),
            }
        ),
    )


def _read(client: LocalClient, id: str) -> Observed | None:
    record = _record(client, id)
    return _observed(id, record) if record else None


def _create(client: LocalClient, desired: Desired, token: str) -> Observed:
    attributes = desired.attributes
    id = f"{attributes['registry']}/{attributes['name']}"
    folder, name = _place(client, id)
    if not mlflow_store.exists(folder):
        raise NotFound(f"the registry {folder.name} does not exist")
    tags = {
        **attributes.get("tags", {}),
        **mlflow_store.own_tags(client.project, client.environment, desired.address, token),
    }
    with mlflow_store.opened(folder) as store:
        from mlflow.entities.model_registry import RegisteredModelTag

        known = mlflow_store.model(folder, name)
        if known is None:
            entities = [RegisteredModelTag(key, str(value)) for key, value in tags.items()]
            store.create_registered_model(name, tags=entities, description=attributes.get("description") or None)
        elif known.tags.get(f"{TAG}op") != token:
            raise AlreadyExists(f"the registry {folder.name} has a model {name} that is not ours", import_id=id)
    return _seen(client, id)


def _update(client: LocalClient, id: str, desired: Desired) -> Observed:
    folder, name = _place(client, id)
    wanted = {key: str(value) for key, value in desired.attributes.get("tags", {}).items()}
    with mlflow_store.opened(folder) as store:
        from mlflow.entities.model_registry import RegisteredModelTag

        known = mlflow_store.model(folder, name)
        present = mlflow_store.user_tags(known.tags) if known else {}
        store.update_registered_model(name, desired.attributes.get("description") or "")
        for key in present.keys() - wanted.keys():
            store.delete_registered_model_tag(name, key)
        for key, value in wanted.items():
            store.set_registered_model_tag(name, RegisteredModelTag(key, value))
    return _seen(client, id)


def _delete(client: LocalClient, id: str) -> None:
    folder, name = _place(client, id)
    if mlflow_store.model(folder, name) is not None:
        with mlflow_store.opened(folder) as store:
            store.delete_registered_model(name)
    mlflow_store.prune_artifacts(folder, name)


def _seen(client: LocalClient, id: str) -> Observed:
    found = _read(client, id)
    if found is None:
        raise NotFound(f"{id} was deleted while it was being changed")
    return found
