"""What the lowerings of servers share: one container on the stack's network, with its data in a volume and one port published."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlinfra.kinds.base import is_deferred
from mlinfra.model.resource import Resource
from mlinfra.model.values import Map, Value
from mlinfra.provider.contract import LoweringContext
from mlinfra_docker.naming import named, network_of
from mlinfra_docker.settings import image

_NANO = 1_000_000_000


def service(
    context: LoweringContext,
    type: str,
    *,
    part: str,
    command: tuple[Value, ...],
    environment: Mapping[str, Value],
    target: str,
    port: int,
    health: Value,
    published: Value = None,
    image: str = "",
    files: Mapping[str, str] | None = None,
    more: Mapping[str, Value] | None = None,
) -> Resource:
    """The server of a component, with its data at ``target``; ``port`` is published as ``published``, or as one that stays the same."""
    return context.resource(
        type,
        {
            "Name": named(context),
            "Volume": f"{named(context)}-data",
            "Target": target,
            "Port": f"{port}/tcp",
            "Image": image or _image(context.settings, part),
            "Cmd": command,
            "Env": Map(environment),
            "Files": Map(files) if files else None,
            "PortBindings": Map({f"{port}/tcp": (Map(HostPort="" if published is None else str(published)),)}),
            "NetworkMode": network_of(context),
            "RestartPolicy": Map(Name="unless-stopped"),
            "Healthcheck": health,
            **(more or {}),
        },
    )


_image = image


def health_check(script: str, *, patience: float, every: float = 10.0) -> Map:
    """A ``Healthcheck`` that runs a shell script, every so many seconds once it runs; a start may take ``patience`` seconds."""
    return Map(
        Test=("CMD-SHELL", script),
        Interval=round(every * _NANO),
        Timeout=20 * _NANO,
        StartPeriod=round(patience * _NANO),
        Retries=5,
    )


def limits(resources: Any, context: LoweringContext) -> dict[str, Value]:
    """``Memory`` and ``NanoCpus`` of a kind's ``resources`` (``cpus``, ``memory``); the settings' default limits apply otherwise."""
    cpus, memory = getattr(resources, "cpus", None), getattr(resources, "memory", None)
    if is_deferred(cpus):
        raise context.error("docker.unknown_cpus", "cpus must be known at plan time", path=("resources", "cpus"))
    return {"Memory": memory, "NanoCpus": None if cpus is None else round(cpus * _NANO)}
