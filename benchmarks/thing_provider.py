"""A provider whose things are made by one blocking HTTP call each, as cloud SDKs do it: in a thread, over a connection that is kept.

    python -m benchmarks.thing_provider PORT COUNT [alone]

Plans and applies COUNT things that need nothing of each other, with default settings, and prints as JSON how long the apply took
and what became of it. ``alone``: the same calls by the same client in as many threads, without mlinfra.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from mlinfra import workflow
from mlinfra.model.garbage import hold_back
from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map
from mlinfra.provider.contract import Lowering, ProviderContext, ResourceType
from mlinfra.provider.failures import Throttled, Transient
from mlinfra.provider.registry import Registry
from mlinfra.workspace import Options


class Settings(BaseModel):
    port: int


class Client:
    """One connection a thread."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._own = threading.local()

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return await asyncio.to_thread(self._post, path, body)

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if not hasattr(self._own, "connection"):
            self._own.connection = http.client.HTTPConnection("127.0.0.1", self._port)
        self._own.connection.request("POST", path, json.dumps(body))
        answer = self._own.connection.getresponse()
        found: dict[str, Any] = json.loads(answer.read())
        if answer.status == 429:
            raise Throttled("too many calls")
        if answer.status != 201:
            raise Transient(f"the server answered {answer.status}")
        return found


class Thing:
    """``bench.thing``: a value that a server knows."""

    schema = Schema(
        attributes={
            "value": Attribute(type="string", required=True),
            "number": Attribute(type="integer", computed=True),
        }
    )

    async def create(self, client: Client, desired: Desired, token: str) -> Observed:
        made = await client.post("/things", {"value": desired.attributes["value"], "token": token})
        return Observed(str(made["id"]), Map(value=desired.attributes["value"], number=made["id"]))

    async def read(self, client: Client, recorded: ResourceState) -> Observed | None:
        return Observed(recorded.id, recorded.attributes)

    async def update(self, client: Client, recorded: ResourceState, desired: Desired) -> Observed:
        raise NotImplementedError("this benchmark only creates")

    async def delete(self, client: Client, recorded: ResourceState) -> None:
        raise NotImplementedError("this benchmark only creates")


class Bench:
    name = "bench"
    types: Mapping[str, ResourceType] = MappingProxyType({"bench.thing": Thing()})
    lowerings: Mapping[str, Lowering] = MappingProxyType({})
    everywhere: frozenset[str] = frozenset()
    max_concurrency = 256

    @property
    def config(self) -> type[Settings]:
        return Settings

    async def connect(self, config: Settings, context: ProviderContext) -> Client:
        return Client(config.port)


def spec(port: int, count: int) -> str:
    lines = ["version: 1", "project: bench", f"providers: {{bench: {{port: {port}}}}}", "resources:"]
    lines += [f"  t{n}: {{kind: bench.thing, value: value {n}}}" for n in range(count)]
    return "\n".join(lines) + "\n"


def main(port: int, count: int) -> None:
    hold_back()  # as the command does
    with tempfile.TemporaryDirectory(prefix="mlinfra-bench-") as name:
        folder = Path(name)
        (folder / "mlinfra.yaml").write_text(spec(port, count))
        options = Options(directory=folder)
        registry = Registry({"bench": Bench()})
        done = workflow.apply(options, workflow.plan(options, registry=registry), registry=registry)
        print(json.dumps({"seconds": done.summary.elapsed, "added": done.summary.added, "failed": len(done.failures)}))


def alone(port: int, count: int) -> None:
    client = Client(port)
    began = time.monotonic()
    with ThreadPoolExecutor(Bench.max_concurrency) as threads:
        made = list(
            threads.map(lambda n: client._post("/things", {"value": f"value {n}", "token": uuid.uuid4().hex}), range(count))
        )
    print(json.dumps({"seconds": time.monotonic() - began, "added": len(made), "failed": 0}))


if __name__ == "__main__":
    (alone if sys.argv[3:] == ["alone"] else main)(int(sys.argv[1]), int(sys.argv[2]))
