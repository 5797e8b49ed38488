"""``gcp.artifact_registry_repository``. https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories"""

from __future__ import annotations

from collections.abc import Mapping

from mlinfra.model.values import Map, Value
from mlinfra_gcp.engine.resource import TableType
from mlinfra_gcp.table import Body, Row


def _uri(body: Body) -> str:
    _, project, _, location, _, name = str(body["name"]).split("/")
    return f"{location}-docker.pkg.dev/{project.replace(':', '/')}/{name}"


def _predict(attributes: Map) -> Mapping[str, Value]:
    parts = [attributes.get(n) for n in ("project", "location", "name")]
    return (
        {"uri": _uri({"name": "projects/{}/locations/{}/repositories/{}".format(*parts)})}
        if all(isinstance(p, str) for p in parts)
        else {}
    )


class Repository(TableType):
    """A repository of images (or packages)."""

    def __init__(self) -> None:
        fixed = "set when the repository is made"
        super().__init__(
            Row(
                type="gcp.artifact_registry_repository", doc="artifactregistry.v1", collection="projects.locations.repositories",
                schema="Repository", scope="location", chosen="repositoryId",
                fixed={n: fixed for n in ("format", "mode", "kmsKeyName")},
                extra={"uri": _uri}, predict=_predict, name_pattern=r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?", holds_data=True,
            )
        )  # fmt: skip
