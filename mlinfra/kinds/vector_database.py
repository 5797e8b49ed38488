"""``vector_database``: a server that stores vectors and searches them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from mlinfra.kinds.base import Bytes, Deferrable, Float, Kind, Model, Str


class DatabaseResources(Model):
    """What the server may use: ``cpus`` in cores, ``memory`` and ``disk`` in bytes (written ``8GB``)."""

    cpus: Float | None = None
    memory: Bytes | None = None
    disk: Bytes | None = None


class VectorDatabase(Kind):
    """A Milvus server. ``version`` and ``resources`` size the server where there is a choice; ``database`` is the logical
    database that collections are put in (default: Milvus's own ``default``); ``token`` is ``user:password`` or an API key."""

    summary: ClassVar[str] = "a Milvus server: Milvus Lite on this machine, standalone in a container or on a virtual machine"
    outputs: ClassVar[Mapping[str, str]] = {
        "id": "string",
        "uri": "string",
        "engine": "string",
        "status": "string",
        "database": "string",
        "token": "string",
    }

    engine: Annotated[Literal["milvus"], Deferrable()] = "milvus"
    version: Str | None = None
    resources: DatabaseResources | None = None
    database: Str | None = None
    token: Str | None = None
