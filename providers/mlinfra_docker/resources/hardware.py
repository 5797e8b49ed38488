"""``docker.hardware``: what the engine has, checked against what jobs' containers will ask of it. Nothing is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlinfra.kinds.units import format_bytes
from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import EMPTY, Map, Value
from mlinfra.provider.failures import Quota
from mlinfra_docker.client import DockerClient


def _predict(attributes: Map) -> Mapping[str, Value]:
    limits = attributes.get("limits", EMPTY)
    if not isinstance(limits, Mapping):
        return {}
    return {"cpus": limits.get("cpus", 0), "memory": limits.get("memory", 0), "gpus": limits.get("gpus", 0)}


class Hardware:
    """``cpus``, ``memory`` (bytes) and ``gpus`` are the limits of a job's container, 0 for no limit (and no GPU)."""

    schema = Schema(
        attributes={
            "name": Attribute(type="string", required=True, immutable=True, source="the name that jobs know it by"),
            "limits": Attribute(type="map"),
            "cpus": Attribute(type="number", computed=True),
            "memory": Attribute(type="integer", computed=True),
            "gpus": Attribute(type="integer", computed=True),
        },
        predict=_predict,
        virtual=True,
    )

    async def read(self, client: DockerClient, recorded: ResourceState) -> Observed | None:
        return Observed(recorded.id, recorded.attributes)

    async def create(self, client: DockerClient, desired: Desired, token: str) -> Observed:
        return await self._checked(client, desired)

    async def update(self, client: DockerClient, recorded: ResourceState, desired: Desired) -> Observed:
        return await self._checked(client, desired)

    async def delete(self, client: DockerClient, recorded: ResourceState) -> None:
        return None

    async def _checked(self, client: DockerClient, desired: Desired) -> Observed:
        wanted = desired.attributes
        check(client, wanted.get("limits", EMPTY), "limits")
        return Observed(str(wanted["name"]), Map({**wanted, **_predict(wanted)}))

    async def read_many(self, client: DockerClient, recorded: Sequence[ResourceState]) -> Mapping[str, Observed]:
        return {state.id: Observed(state.id, state.attributes) for state in recorded}


def check(client: DockerClient, limits: Mapping[str, Any], attribute: str, *, times: int = 1) -> None:
    """Quota when the engine's machine has less than ``times`` what ``limits`` says. Of GPUs an engine does not tell: who has none
    refuses a container that asks for one."""
    memory, cpus = limits.get("memory") or 0, limits.get("cpus") or 0
    have_memory, have_cpus = client.info.get("MemTotal") or 0, client.info.get("NCPU") or 0
    if have_memory and memory * times > have_memory:
        asked = format_bytes(int(memory * times))
        message = f"{asked} of memory were asked for, and the engine's machine has {format_bytes(have_memory)}"
        raise Quota(message, path=(attribute, "memory"), hint="ask for less, or use another engine")
    if have_cpus and cpus > have_cpus:  # CPUs are shared in time: only one container's must be there
        message = f"{cpus:g} CPUs were asked for, and the engine's machine has {have_cpus}"
        raise Quota(message, path=(attribute, "cpus"), hint="ask for fewer, or use another engine")
