"""What may be written under ``providers: {docker: …}``. Credentials are not: they come from Docker's own files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from mlinfra.kinds import units
from mlinfra.model.values import Map

IMAGES: Mapping[str, str] = {
    "helper": "busybox:1.36.1",
    "python": "python:3.11-slim-bookworm",
    "dagster": "dagster/dagster-celery-k8s:1.13.27",
    "ray": "rayproject/ray:2.40.0-py311",
    "mlflow": "ghcr.io/mlflow/mlflow:v3.17.2",
    "haproxy": "haproxy:3.0-alpine",
    "milvus": "milvusdb/milvus",
}
"""The public image of each part, pinned by version; ``images:`` in the settings replaces them one by one. Milvus's tag follows
the database's ``version``."""

_SCHEMES = ("unix://", "tcp://", "ssh://", "npipe://", "http://", "https://")


def _host(text: str) -> str:
    if not text.startswith(_SCHEMES):
        raise ValueError("write the engine's address like unix:///var/run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST")
    return text


def _size(value: Any) -> Any:
    return units.parse_bytes(value) if isinstance(value, str) else value


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tls(_Part):
    """TLS to a ``tcp://`` engine. ``ca``, ``cert`` and ``key`` are PEM files, relative to the spec; the server's certificate is
    checked unless ``verify`` is off."""

    verify: bool = True
    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise ValueError("a client certificate needs both cert and key")
        return self


class Limits(_Part):
    """What a container may use when its resource does not say: ``memory`` in bytes (``2GB``), ``cpus`` in cores."""

    memory: Annotated[int, BeforeValidator(_size), Field(ge=6 * 2**20)] | None = None
    cpus: Annotated[float, Field(gt=0)] | None = None


class Images(_Part):
    """Images to use in place of the public ones: a mirror's, or your own."""

    helper: str | None = None
    python: str | None = None
    dagster: str | None = None
    ray: str | None = None
    mlflow: str | None = None
    haproxy: str | None = None
    milvus: str | None = None


class Publish(_Part):
    """Where ports are published: ``bind`` is the engine's interface, ``host`` the name under which it is reached from here."""

    bind: str | None = None
    host: str | None = None


class DockerSettings(_Part):
    """``host`` is the engine's address; without it Docker's own rules say it: DOCKER_HOST, the current context, the socket."""

    host: Annotated[str, AfterValidator(_host)] | None = None
    tls: Tls | None = None
    images: Images = Images()
    limits: Limits = Limits()
    publish: Publish = Publish()
    prefix: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$")] | Literal[""] = ""
    pull: bool = True

    @model_validator(mode="after")
    def _tls_needs_tcp(self) -> Self:
        if self.tls is not None and not (self.host or "").startswith(("tcp://", "https://")):
            raise ValueError("tls needs a host that begins with tcp://")
        return self


def image(settings: Mapping[str, Any], part: str) -> str:
    """The image of a part (a key of IMAGES): the settings' override, or the public one. Takes a lowering's settings."""
    override = (settings.get("images") or Map()).get(part)
    return str(override or IMAGES[part])
