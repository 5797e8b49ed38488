"""``model_registry``: where model versions and their aliases are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from mlinfra.kinds.base import Bool, Deferrable, Int, Kind, Str


class ModelRegistry(Kind):
    """A registry of models. ``name`` overrides the derived physical name; ``ui`` serves the registry's web page, on ``port``
    where that can be chosen."""

    summary: ClassVar[str] = "a model registry: MLflow, SageMaker, Vertex AI or Azure ML"
    outputs: ClassVar[Mapping[str, str]] = {
        "id": "string",
        "name": "string",
        "uri": "string",
        "tracking_uri": "string",
        "ui": "string",
    }

    name: Str | None = None
    ui: Bool = False
    port: Annotated[Int, Field(ge=1, le=65535), Deferrable()] | None = None
