"""``local.model_aliases``: the aliases of a registered model that the spec declares."""

from __future__ import annotations

from mlinfra.provider.mlflow import types
from mlinfra_local.client import LocalClient
from mlinfra_local.mlflow_registry import LocalRegistry


class ModelAliases(types.ModelAliases):
    def registry(self, client: LocalClient, name: str) -> LocalRegistry:
        return LocalRegistry(client, name)
