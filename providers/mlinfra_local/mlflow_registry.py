"""The local registry as :mod:`mlinfra.provider.mlflow` takes it: MLflow's store in a folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlinfra.provider.mlflow.registry import ModelRecord
from mlinfra_local import mlflow_store
from mlinfra_local.client import LocalClient


class LocalRegistry:
    def __init__(self, client: LocalClient, name: str) -> None:
        self.name = name
        self._client = client
        self._folder: Path = client.folder("registries", name)

    def state(self) -> str:
        return "ready" if mlflow_store.exists(self._folder) else "gone"

    def revive(self) -> bool:
        return True

    def model(self, name: str) -> ModelRecord | None:
        return mlflow_store.model(self._folder, name)

    @contextmanager
    def writing(self) -> Iterator[StoreWriter]:
        with mlflow_store.opened(self._folder) as store:
            yield StoreWriter(store)

    def keep(self, model: str, place: str, expected: str | None) -> str:
        return mlflow_store.keep_artifact(self._folder, model, self._client.path_of(place), expected)

    def location(self, model: str, digest: str) -> str:
        return str(mlflow_store.artifact_folder(self._folder, model, digest))

    def status(self, model: str, digest: str) -> str:
        return mlflow_store.artifact_status(self._folder, model, digest)

    def retire(self, model: str, digest: str) -> None:
        mlflow_store.retire_artifact(self._folder, model, digest)

    def prune(self, model: str) -> None:
        mlflow_store.prune_artifacts(self._folder, model)


class StoreWriter:
    """MLflow's own store, spoken to in plain values."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def create_model(self, name: str, tags: Mapping[str, str], description: str) -> None:
        from mlflow.entities.model_registry import RegisteredModelTag

        entities = [RegisteredModelTag(key, value) for key, value in tags.items()]
        self._store.create_registered_model(name, tags=entities, description=description or None)

    def update_model(self, name: str, description: str) -> None:
        self._store.update_registered_model(name, description)

    def delete_model(self, name: str) -> None:
        self._store.delete_registered_model(name)

    def set_model_tag(self, name: str, key: str, value: str) -> None:
        from mlflow.entities.model_registry import RegisteredModelTag

        self._store.set_registered_model_tag(name, RegisteredModelTag(key, value))

    def delete_model_tag(self, name: str, key: str) -> None:
        self._store.delete_registered_model_tag(name, key)

    def create_version(self, model: str, source: str, tags: Mapping[str, str], description: str) -> int:
        from mlflow.entities.model_registry import ModelVersionTag

        entities = [ModelVersionTag(key, value) for key, value in tags.items()]
        return int(self._store.create_model_version(model, source, tags=entities, description=description or None).version)

    def update_version(self, model: str, number: int, description: str) -> None:
        self._store.update_model_version(model, number, description)

    def delete_version(self, model: str, number: int) -> None:
        self._store.delete_model_version(model, number)

    def set_version_tag(self, model: str, number: int, key: str, value: str) -> None:
        from mlflow.entities.model_registry import ModelVersionTag

        self._store.set_model_version_tag(model, number, ModelVersionTag(key, value))

    def delete_version_tag(self, model: str, number: int, key: str) -> None:
        self._store.delete_model_version_tag(model, number, key)

    def set_alias(self, model: str, alias: str, number: int) -> None:
        self._store.set_registered_model_alias(model, alias, number)

    def delete_alias(self, model: str, alias: str) -> None:
        self._store.delete_registered_model_alias(model, alias)
