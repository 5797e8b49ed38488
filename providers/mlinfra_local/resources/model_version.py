"""``local.model_version``: one version of a registered model, with a copy of its artifact in the registry."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Value
from mlinfra.provider.failures import Invalid, NotFound
from mlinfra_local import mlflow_store
from mlinfra_local.client import LocalClient
from mlinfra_local.mlflow_store import TAG, VersionRecord


def _predict(attributes: Map) -> Mapping[str, Value]:
    registry, model, content = (attributes.get(name) for name in ("registry", "model", "content"))
    known: dict[str, Value] = {"status": "ready"}
    if isinstance(content, str):
        known["digest"] = content
        if isinstance(registry, str) and isinstance(model, str):
            known["uri"] = _uri(registry, model, content)
    return known


def _uri(registry: str, model: str, digest: str) -> str:
    return f"local://registries/{registry}/models/{model}/{digest.removeprefix('sha256:')[:12]}"


class ModelVersion:
    """The id is ``REGISTRY/MODEL/NUMBER``, ``number`` being MLflow's. What it is made of comes as ``artifact`` (the
    content-addressed URI of a run's output) or as ``path`` with the digest of its ``content``; other content is another version.

    ``uri`` is the registry's own copy, which outlives the version for a while, so that a rollback finds it. ``status`` is
    ``ready``, ``artifact missing`` when that copy is gone, or ``artifact changed`` when somebody edited it."""

    schema = Schema(
        attributes={
            "registry": Attribute(type="string", required=True, immutable=True, source="the registry that holds it"),
            "model": Attribute(type="string", required=True, immutable=True, source="the registered model it belongs to"),
            "version": Attribute(type="string", required=True),
            "artifact": Attribute(type="string", immutable=True, source="a version never changes its content"),
            "path": Attribute(type="string"),
            "content": Attribute(type="string", immutable=True, source="a version never changes its content"),
            "description": Attribute(type="string"),
            "tags": Attribute(type="map"),
            "number": Attribute(type="integer", computed=True),
            "digest": Attribute(type="string", computed=True),
            "uri": Attribute(type="string", computed=True),
            "status": Attribute(type="string", computed=True),
        },
        predict=_predict,
        create_first=True,
        inside=("registry", "model"),
    )

    async def read(self, client: LocalClient, recorded: ResourceState) -> Observed | None:
        return await asyncio.to_thread(_read, client, recorded.id, recorded.attributes)

    async def create(self, client: LocalClient, desired: Desired, token: str) -> Observed:
        return await asyncio.to_thread(_create, client, desired, token)

    async def update(self, client: LocalClient, recorded: ResourceState, desired: Desired) -> Observed:
        return await asyncio.to_thread(_update, client, recorded.id, desired)

    async def delete(self, client: LocalClient, recorded: ResourceState) -> None:
        await asyncio.to_thread(_delete, client, recorded.id)

    async def find(self, client: LocalClient, desired: Desired, token: str) -> Observed | None:
        return await asyncio.to_thread(_find, client, desired, token)

    async def adopt(self, client: LocalClient, id: str) -> Observed | None:
        return await asyncio.to_thread(_read, client, id, Map())


def _place(client: LocalClient, id: str) -> tuple[Path, str, int]:
    registry, _, rest = id.partition("/")
    model, _, number = rest.rpartition("/")
    if not number.isdigit():
        raise Invalid(f"{id!r} is no id of a model version", hint="write REGISTRY/MODEL/NUMBER")
    return client.folder("registries", registry), model, int(number)


def _record(client: LocalClient, id: str) -> VersionRecord | None:
    folder, name, number = _place(client, id)
    model = mlflow_store.model(folder, name)
    return model.versions.get(number) if model else None


def _read(client: LocalClient, id: str, recorded: Map) -> Observed | None:
    folder, model, _ = _place(client, id)
    record = _record(client, id)
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
                "registry": folder.name,
                "model": model,
                "version": record.tags.get(f"{TAG}version", str(record.number)),
                "description": record.description,
                "tags": Map(mlflow_store.user_tags(record.tags)),
                "number": record.number,
                "digest": digest,
                "uri": _uri(folder.name, model, digest),
                "status": mlflow_store.artifact_status(folder, model, digest),
            }
        ),
    )


def _source(client: LocalClient, attributes: Map) -> Path:
    place = attributes.get("path") or attributes.get("artifact")
    if not place:
        raise Invalid("a model version needs an artifact", path=("artifact",))
    return client.path_of(str(place))


def _create(client: LocalClient, desired: Desired, token: str) -> Observed:
    attributes = desired.attributes
    folder, model = client.folder("registries", str(attributes["registry"])), str(attributes["model"])
    if mlflow_store.model(folder, model) is None:
        raise NotFound(f"the registry {folder.name} has no model {model}")
    with mlflow_store.opened(folder) as store:
        from mlflow.entities.model_registry import ModelVersionTag

        digest = mlflow_store.keep_artifact(folder, model, _source(client, attributes), attributes.get("content"))
        own = mlflow_store.own_tags(
            client.project, client.environment, desired.address, token, digest=digest, version=str(attributes["version"])
        )
        tags = [ModelVersionTag(key, str(value)) for key, value in {**attributes.get("tags", {}), **own}.items()]
        made = store.create_model_version(
            model,
            str(mlflow_store.artifact_folder(folder, model, digest)),
            tags=tags,
            description=attributes.get("description") or None,
        )
    return _seen(client, f"{folder.name}/{model}/{int(made.version)}", attributes)


def _update(client: LocalClient, id: str, desired: Desired) -> Observed:
    folder, model, number = _place(client, id)
    attributes = desired.attributes
    record = _record(client, id)
    if record is None:
        raise NotFound(f"{id} is gone from the registry")
    with mlflow_store.opened(folder) as store:
        from mlflow.entities.model_registry import ModelVersionTag

        expected = record.tags.get(f"{TAG}digest") or attributes.get("content")
        digest = mlflow_store.keep_artifact(folder, model, _source(client, attributes), expected)
        own = {f"{TAG}digest": digest, f"{TAG}version": str(attributes["version"])}
        wanted = {key: str(value) for key, value in {**attributes.get("tags", {}), **own}.items()}
        store.update_model_version(model, number, attributes.get("description") or "")
        for key in mlflow_store.user_tags(record.tags).keys() - wanted.keys():
            store.delete_model_version_tag(model, number, key)
        for key, value in wanted.items():
            if record.tags.get(key) != value:
                store.set_model_version_tag(model, number, ModelVersionTag(key, value))
    return _seen(client, id, attributes)


def _delete(client: LocalClient, id: str) -> None:
    folder, model, number = _place(client, id)
    with mlflow_store.locked(folder):
        record = _record(client, id)
        if record is not None:
            with mlflow_store.opened(folder) as store:
                store.delete_model_version(model, number)
            mlflow_store.retire_artifact(folder, model, record.tags.get(f"{TAG}digest", ""))
        mlflow_store.prune_artifacts(folder, model)


def _find(client: LocalClient, desired: Desired, token: str) -> Observed | None:
    folder, name = client.folder("registries", str(desired.attributes["registry"])), str(desired.attributes["model"])
    model = mlflow_store.model(folder, name)
    for number, record in model.versions.items() if model else ():
        if record.tags.get(f"{TAG}op") == token:
            return _read(client, f"{folder.name}/{name}/{number}", desired.attributes)
    return None


def _seen(client: LocalClient, id: str, attributes: Map) -> Observed:
    found = _read(client, id, attributes)
    if found is None:
        raise NotFound(f"{id} was deleted while it was being changed")
    return found
