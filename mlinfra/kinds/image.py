"""``image``: a container image, built from a folder, taken from a registry, or loaded from a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, model_validator
from pydantic_core import PydanticCustomError

from mlinfra.kinds.base import Kind, LocalPath, Model, Str, is_deferred
from mlinfra.model.values import EMPTY


class Build(Model):
    """How it is built: the folder ``context`` (``.gitignore`` and ``.mlinfraignore`` are honoured), its ``dockerfile``, build
    ``args``, the ``target`` stage, and the ``platform`` (``linux/amd64``)."""

    context: str = "."
    dockerfile: Str = "Dockerfile"
    args: Mapping[str, Str] = EMPTY
    target: Str | None = None
    platform: Str | None = None


def _build(value: Any) -> Any:
    return {"context": value} if isinstance(value, str) else value


class Image(Kind):
    """``uri`` is what a job, a pipeline or an endpoint's variant takes as its ``image``. One of ``build`` (a folder, or a map),
    ``source`` (a reference; with ``@sha256:…`` it is that very image) and ``archive`` (what ``docker save`` wrote) says where it
    comes from. Other content is another image: it stands beside the old one until everything has moved."""

    summary: ClassVar[str] = "a container image: built, pulled or loaded"
    outputs: ClassVar[Mapping[str, str]] = {"id": "string", "name": "string", "uri": "string", "digest": "string"}

    build: Annotated[Build, BeforeValidator(_build, json_schema_input_type=Build | str)] | None = None
    source: Str | None = None
    archive: str | None = None
    name: Str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(part is not None for part in (self.build, self.source, self.archive)) != 1:
            raise PydanticCustomError("image_source", "an image takes one of 'build', 'source' and 'archive'")
        return self

    def local_paths(self) -> Iterable[LocalPath]:
        if self.build is not None and not is_deferred(self.build.context):
            yield LocalPath(self.build.context, "code", ("build", "context"))
        if self.archive is not None:
            yield LocalPath(self.archive, "data", ("archive",))
