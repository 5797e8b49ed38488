"""``local.model_version``: one version of a registered model, with a copy of its artifact in the registry."""

from __future__ import annotations

from mlinfra.provider.mlflow import types
from mlinfra_local.client import LocalClient
from mlinfra_local.mlflow_registry import LocalRegistry


def _uri(registry: str, model: str, digest: str) -> str:
    return f"local://registries/{registry}/models/{model}/{digest.removeprefix('sha256:')[:12]}"


class ModelVersion(types.ModelVersion):
    schema = types.version_schema(_uri)
    uri = staticmethod(_uri)

    def registry(self, client: LocalClient, name: str) -> LocalRegistry:
        return LocalRegistry(client, name)
