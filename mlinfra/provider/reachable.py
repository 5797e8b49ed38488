"""A server that must answer before others use it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Protocol

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Value
from mlinfra.provider.failures import Timeout
from mlinfra.provider.progress import say

_PATIENCE = 900.0


class Waits(Protocol):
    """A client that can pause between two looks, longer each time."""

    async def pause(self, attempt: int) -> None: ...


def _predict(attributes: Map) -> Mapping[str, Value]:
    return {"status": "reachable"}


class Reachable:
    """A TCP port that must answer before whoever needs the server goes on. It lives in the state alone."""

    schema = Schema(
        attributes={
            "host": Attribute(type="string", required=True),
            "port": Attribute(type="integer", required=True),
            "machine": Attribute(type="string", description="what answers there: another machine is waited for anew"),
            "status": Attribute(type="string", computed=True),
        },
        predict=_predict,
        virtual=True,
    )

    async def read(self, client: Waits, recorded: ResourceState) -> Observed | None:
        return Observed(recorded.id, recorded.attributes)

    async def create(self, client: Waits, desired: Desired, token: str) -> Observed:
        return await self._waited(client, desired)

    async def update(self, client: Waits, recorded: ResourceState, desired: Desired) -> Observed:
        seen = await self._waited(client, desired)
        return Observed(recorded.id, seen.attributes)

    async def delete(self, client: Waits, recorded: ResourceState) -> None:
        return None

    async def _waited(self, client: Waits, desired: Desired) -> Observed:
        wanted = desired.attributes
        place = f"{wanted['host']}:{wanted['port']}"
        deadline, attempt = time.monotonic() + (desired.timeout or _PATIENCE), 0
        while not await _answers(wanted):
            if time.monotonic() > deadline:
                raise Timeout(f"{place} does not answer", hint="does the firewall let this machine in? see the setting allow")
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
