"""``docker.model``, ``docker.model_version``, ``docker.model_aliases``: what an MLflow server in a container holds."""

from __future__ import annotations

from mlinfra.provider.mlflow import types
from mlinfra_docker.client import DockerClient
from mlinfra_docker.mlflow_registry import DockerRegistry, model_uri


def _uri(registry: str, name: str) -> str:
    return f"models:/{name}"


class RegisteredModel(types.RegisteredModel):
    """``uri`` is MLflow's own, to be opened at the registry's tracking URI."""

    schema = types.model_schema(_uri)
    uri = staticmethod(_uri)

    def registry(self, client: DockerClient, name: str) -> DockerRegistry:
        return DockerRegistry(client, name)


class ModelVersion(types.ModelVersion):
    """``uri`` is a place in the registry's volume."""

    schema = types.version_schema(model_uri)
    uri = staticmethod(model_uri)

    def registry(self, client: DockerClient, name: str) -> DockerRegistry:
        return DockerRegistry(client, name)


class ModelAliases(types.ModelAliases):
    def registry(self, client: DockerClient, name: str) -> DockerRegistry:
        return DockerRegistry(client, name)
