"""``gcp.job_hardware`` (machines that Vertex AI brings up for each job: nothing stands in between) and ``gcp.reachable`` (a server
that must answer before others use it)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from mlinfra.model.cost import Cost
from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Value
from mlinfra.provider.contract import Find
from mlinfra.provider.failures import Timeout
from mlinfra.provider.progress import say
from mlinfra_gcp.client import GcpClient

_PATIENCE = 900.0


class JobHardware:
    """What jobs of a managed cluster run on. It lives in the state alone: machines come and go with each job."""

    schema = Schema(
        attributes={
            "name": Attribute(type="string", required=True, immutable=True, source="the cluster's name"),
            "machine": Attribute(type="map", required=True, description="MachineSpec"),
            "address": Attribute(type="string", required=True),
            "nodes": Attribute(type="integer"),
        },
        virtual=True,
    )

    async def read(self, client: GcpClient, recorded: ResourceState) -> Observed | None:
        return Observed(recorded.id, recorded.attributes)

    async def create(self, client: GcpClient, desired: Desired, token: str) -> Observed:
        return Observed(f"{desired.address} {desired.attributes['name']}", desired.attributes)

    async def update(self, client: GcpClient, recorded: ResourceState, desired: Desired) -> Observed:
        return Observed(recorded.id, desired.attributes)

    async def delete(self, client: GcpClient, recorded: ResourceState) -> None:
        return None

    def price(self, attributes: Map, settings: Map, find: Find) -> Cost | None:
        from mlinfra_gcp.prices import price

        return price("gcp.job_hardware", attributes, settings)


def _predict(attributes: Map) -> Mapping[str, Value]:
    return {"status": "reachable"}


class Reachable:
    """A TCP port that must answer before whoever needs the server goes on. It lives in the state alone."""

    schema = Schema(
        attributes={
            "host": Attribute(type="string", required=True),
            "port": Attribute(type="integer", required=True),
            "status": Attribute(type="string", computed=True),
        },
        predict=_predict,
        virtual=True,
    )

    async def read(self, client: GcpClient, recorded: ResourceState) -> Observed | None:
        return Observed(recorded.id, recorded.attributes)

    async def create(self, client: GcpClient, desired: Desired, token: str) -> Observed:
        return await self._waited(client, desired)

    async def update(self, client: GcpClient, recorded: ResourceState, desired: Desired) -> Observed:
        seen = await self._waited(client, desired)
        return Observed(recorded.id, seen.attributes)

    async def delete(self, client: GcpClient, recorded: ResourceState) -> None:
        return None

    async def _waited(self, client: GcpClient, desired: Desired) -> Observed:
        wanted = desired.attributes
        place = f"{wanted['host']}:{wanted['port']}"
        deadline, attempt = time.monotonic() + (desired.timeout or _PATIENCE), 0
        while not await _answers(wanted):
            if time.monotonic() > deadline:
                raise Timeout(f"{place} does not answer", hint="does the firewall let this machine in? see providers.gcp.allow")
            say(f"waiting for {place}")
            await client.pause(attempt)
            attempt += 1
        return Observed(f"{desired.address} {place}", Map({**wanted, "status": "reachable"}))


async def _answers(wanted: Map) -> bool:
    try:
        async with asyncio.timeout(5):
            _, writer = await asyncio.open_connection(str(wanted["host"]), int(wanted["port"]))
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
