"""``vector_database``: a server that stores vectors and searches them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from mlinfra.kinds.base import Bytes, Deferrable, Float, Int, Kind, Model, Str


class DatabaseResources(Model):
    """What the server may use: ``cpus`` in cores, ``memory`` and ``disk`` in bytes (written ``8GB``)."""

    cpus: Float | None = None
    memory: Bytes | None = None
    disk: Bytes | None = None


class ZillizCluster(Model):
    """A cluster of Zilliz Cloud, which is sized in compute units, not in cores. ``serverless`` grows by itself and is paid by use;
    ``standard`` and ``enterprise`` are dedicated: ``cu_size`` units of ``cu_type``, in ``replicas`` copies. ``project`` is the id of a
    Zilliz Cloud project (``proj-…``; default: the only one that the key sees), ``region`` one of its regions (``aws-us-west-2``;
    default: that of the target)."""

    plan: Annotated[Literal["serverless", "standard", "enterprise"], Deferrable()] = "serverless"
    cu_size: Int | None = None
    cu_type: Annotated[Literal["performance-optimized", "capacity-optimized"], Deferrable()] | None = None
    replicas: Int | None = None
    project: Str | None = None
    region: Str | None = None

    @model_validator(mode="after")
    def _sized_if_dedicated(self) -> Self:
        sized = next((n for n in ("cu_size", "cu_type", "replicas") if getattr(self, n) is not None), None)
        if self.plan == "serverless" and sized is not None:
            raise PydanticCustomError(
                "zilliz_plan", "a serverless cluster has no {field}: give plan: standard or enterprise", {"field": sized}
            )
        return self


class VectorDatabase(Kind):
    """A Milvus server: the target's own (``engine: milvus``), or one of Zilliz Cloud in the target's region (``engine: zilliz``, sized
    by ``zilliz``). ``version`` and ``resources`` size the target's own server where there is a choice; ``database`` is the logical
    database that collections are put in (default: Milvus's own ``default``); ``token`` is ``user:password`` or an API key."""

    summary: ClassVar[str] = (
        "a Milvus server: Lite on this machine, standalone in a container or on a virtual machine, or Zilliz Cloud"
    )
    outputs: ClassVar[Mapping[str, str]] = {
        "id": "string",
        "uri": "string",
        "engine": "string",
        "status": "string",
        "database": "string",
        "token": "string",
    }

    engine: Annotated[Literal["milvus", "zilliz"], Deferrable()] = "milvus"
    zilliz: ZillizCluster | None = None
    version: Str | None = None
    resources: DatabaseResources | None = None
    database: Str | None = None
    token: Str | None = None

    @model_validator(mode="after")
    def _zilliz_for_zilliz(self) -> Self:
        if self.zilliz is not None and self.engine == "milvus":
            raise PydanticCustomError("zilliz_engine", "'zilliz' sizes a cluster of Zilliz Cloud: it needs engine: zilliz")
        return self
