"""Which portable kinds there are, each imported on first use."""

from __future__ import annotations

import functools
import importlib

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
    """The model of a portable kind; KeyError when there is none of that name."""
    module, _, attribute = _KINDS[name].partition(":")
    found: type[Kind] = getattr(importlib.import_module(f"mlinfra.kinds.{module}"), attribute)
    return found
