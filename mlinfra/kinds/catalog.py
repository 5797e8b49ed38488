"""Which portable kinds there are, each imported on first use."""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlinfra.kinds.base import Kind

_KINDS = {
    "data": "data:Data",
    "bucket": "bucket:Bucket",
    "dataset": "dataset:Dataset",
    "data_pipeline": "data_pipeline:DataPipeline",
    "training_cluster": "training_cluster:TrainingCluster",
    "training_job": "training_job:TrainingJob",
    "model_registry": "model_registry:ModelRegistry",
    "model": "model:RegisteredModel",
    "image": "image:Image",
    "endpoint": "endpoint:Endpoint",
    "vector_database": "vector_database:VectorDatabase",
    "collection": "collection:Collection",
}

NAMES: tuple[str, ...] = tuple(_KINDS)


@functools.cache
def kind(name: str) -> type[Kind]:
    """The model of a portable kind; KeyError when there is none of that name. ``data`` is no model of pydantic's, only like one."""
    module, _, attribute = _KINDS[name].partition(":")
    found: type[Kind] = getattr(importlib.import_module(f"mlinfra.kinds.{module}"), attribute)
    return found


def form(name: str) -> type[Kind]:
    """The pydantic model with the fields of a portable kind; KeyError when there is none of that name."""
    if name == "data":
        from mlinfra.kinds.data_form import DataForm

        return DataForm
    return kind(name)


@functools.cache
def reads_files(name: str) -> bool:
    """Whether components of this kind may read files of the user's machine (:meth:`Kind.local_paths`)."""
    local_paths = getattr(kind(name), "local_paths", None)
    if local_paths is None:
        return False
    from mlinfra.kinds.base import Kind

    return local_paths is not Kind.local_paths
