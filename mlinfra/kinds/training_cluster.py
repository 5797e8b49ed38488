"""``training_cluster``: the hardware that training runs on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from mlinfra.kinds import units
from mlinfra.kinds.base import Bool, Bytes, Deferrable, Kind, Model, Str, is_deferred


def parse_memory_range(text: str) -> tuple[int, int | None]:
    """``24GB..`` is at least 24 GB, ``16GB..32GB`` between the two, ``24GB`` exactly that; bytes. ValueError otherwise."""
    low, dots, high = text.partition("..")
    least = units.parse_bytes(low) if low.strip() or not dots else 0
    most = (units.parse_bytes(high) if high.strip() else None) if dots else least
    if most is not None and most < least:
        raise ValueError(f"{text!r} is an empty range: write the smaller size first")
    return least, most


def check_accelerators(text: str) -> str:
    """The text as it stands; a validation error when it names no accelerator."""
    try:
        units.parse_accelerators(text)
    except ValueError as error:
        raise PydanticCustomError("unit", "{problem}", {"problem": str(error)}) from None
    return text


def _memory_range(text: str) -> str:
    try:
        parse_memory_range(text)
    except ValueError as error:
        raise PydanticCustomError("unit", "{problem}", {"problem": str(error)}) from None
    return text


Positive = Annotated[int, Field(ge=1), Deferrable()]


class Gpu(Model):
    """Any GPU of this memory: ``{memory: "24GB..", count: 1}``."""

    memory: Annotated[str, AfterValidator(_memory_range), Deferrable()] | None = None
    count: Positive = 1


class Resources(Model):
    """What one node must have. ``accelerators`` (``H100:8``) names a model, ``gpu`` a size; write one of the two. ``instance_type`` is a
    cloud's own name for the machine, instead of a choice by need; it ties the spec to that cloud."""

    accelerators: Annotated[str, AfterValidator(check_accelerators), Deferrable()] | None = None
    gpu: Gpu | None = None
    cpus: Annotated[float, Field(gt=0), Deferrable()] | None = None
    memory: Bytes | None = None
    disk: Bytes | None = None
    spot: Bool = False
    instance_type: Annotated[str, Field(min_length=1), Deferrable()] | None = None

    @model_validator(mode="after")
    def _one_kind_of_gpu(self) -> Resources:
        if self.accelerators is not None and self.gpu is not None:
            raise PydanticCustomError("gpu_twice", "accelerators and gpu say the same thing twice: write one of them")
        return self


class Nodes(Model):
    """How many nodes there are at least, and at most."""

    min: Annotated[int, Field(ge=0), Deferrable()] = 0
    max: Positive = 1

    @model_validator(mode="after")
    def _ordered(self) -> Nodes:
        if not is_deferred(self.min) and not is_deferred(self.max) and self.min > self.max:
            raise PydanticCustomError("nodes", "nodes.min must not be greater than nodes.max")
        return self


def _fixed(value: Any) -> Any:
    return {"min": value, "max": value} if isinstance(value, int) else value


class TrainingCluster(Kind):
    """Hardware for training jobs. ``engine: ray`` runs a Ray cluster on it, ``managed`` the target's own job service."""

    summary: ClassVar[str] = "hardware for training: CPUs, memory, GPUs; with Ray when asked"
    outputs: ClassVar[Mapping[str, str]] = {
        "id": "string",
        "name": "string",
        "engine": "string",
        "address": "string",
        "dashboard": "string",
        "cpus": "number",
        "memory": "integer",
        "accelerators": "any",
        "nodes": "integer",
    }

    resources: Resources = Resources()
    nodes: Annotated[Nodes, BeforeValidator(_fixed, json_schema_input_type=Nodes | Positive), Deferrable()] = Nodes(min=1)
    engine: Annotated[Literal["managed", "ray"], Deferrable()] = "managed"
    name: Str | None = None
