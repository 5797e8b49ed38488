"""``model``: a registered model with its versions and aliases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from mlinfra.kinds.base import Kind, LocalPath, Model, RefTo, Str
from mlinfra.model.values import EMPTY


class ModelVersion(Model):
    """One version: an MLflow model folder (``artifact``: a local path, or the URI that a job gives), or an ``image`` with its
    own server."""

    artifact: Str | None = None
    image: Str | None = None
    description: Str | None = None
    tags: Mapping[str, Str] = EMPTY


def _check_alias(name: str) -> str:
    """MLflow's rule, kept on every target so that a spec can move."""
    if not name or not name.replace("-", "_").isidentifier() or not name.isascii():
        raise PydanticCustomError("alias", "an alias is made of letters, digits, '_' and '-', and begins with a letter")
    if name.lower() == "latest" or (name[0] in "vV" and name[1:].isdigit()):
        raise PydanticCustomError("alias", "'{name}' is reserved by MLflow; choose another alias", {"name": name})
    return name


AliasName = Annotated[str, AfterValidator(_check_alias)]


class RegisteredModel(Kind):
    """A registered model. ``aliases`` maps an alias to the name of a version; both names are yours to choose.

    ``${router.versions.v1}`` is what an endpoint takes: the version's ``uri``, ``digest`` and ``number``."""

    summary: ClassVar[str] = "a registered model with versions and aliases"
    outputs: ClassVar[Mapping[str, str]] = {"id": "string", "name": "string", "versions": "map", "aliases": "map"}

    registry: Annotated[object, RefTo(("model_registry",))]
    name: Str | None = None
    versions: Mapping[str, ModelVersion] = EMPTY
    aliases: Mapping[AliasName, Str] = EMPTY

    def local_paths(self) -> Iterable[LocalPath]:
        for name, version in self.versions.items():
            if isinstance(version.artifact, str) and "://" not in version.artifact:
                yield LocalPath(version.artifact, "data", ("versions", name, "artifact"))
