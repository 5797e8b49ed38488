"""``local.model``: a registered model of an MLflow registry."""

from __future__ import annotations

from mlinfra.provider.mlflow import types
from mlinfra_local.client import LocalClient
from mlinfra_local.mlflow_registry import LocalRegistry


def _uri(registry: str, name: str) -> str:
    return f"local://registries/{registry}/models/{name}"


class RegisteredModel(types.RegisteredModel):
    schema = types.model_schema(_uri)
    uri = staticmethod(_uri)

    def registry(self, client: LocalClient, name: str) -> LocalRegistry:
        return LocalRegistry(client, name)
