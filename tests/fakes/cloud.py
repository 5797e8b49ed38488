"""A cloud in memory and a provider for it, for tests of the engine. It can throttle, fail, forget, and be changed by hand."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from mlinfra.model.cost import Cost
from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import UNKNOWN, Map, Secret, Value, transform
from mlinfra.provider.contract import Find, Lowering, ProviderContext, ResourceType
from mlinfra.provider.failures import AlreadyExists, NotFound


@dataclass
class Thing:
    """An object of the cloud."""

    id: str
    type: str
    attributes: dict[str, Any]
    token: str


@dataclass
class Cloud:
    """The world. ``before`` is called with (operation, name) ahead of every call and may raise or wait."""

    things: dict[str, Thing] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    log: list[str] = field(default_factory=list)
    before: Callable[[str, str], Any] | None = None
    busy: int = 0
    most_busy: int = 0
    delay: float = 0.0
    made: int = 0
    after: Callable[[str, str], Any] | None = None
    """Called with (operation, name) after the world was changed, before the answer: may raise (the answer is lost)."""
    changed: Callable[[], None] = lambda: None
    """Called after every change of the world."""

    async def call(self, operation: str, name: str) -> None:
        self.calls[operation] += 1
        self.log.append(f"{operation} {name}")
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        try:
            if self.before is not None:
                answer = self.before(operation, name)
                if asyncio.iscoroutine(answer):
                    await answer
            await asyncio.sleep(self.delay)
        finally:
            self.busy -= 1

    def done(self, operation: str, name: str) -> None:
        """The world was changed."""
        self.changed()
        if self.after is not None:
            self.after(operation, name)

    def named(self, name: str) -> Thing | None:
        return next((t for t in self.things.values() if t.attributes.get("name") == name), None)

    def names(self) -> list[str]:
        return sorted(str(t.attributes.get("name")) for t in self.things.values())


def plain(value: Value) -> Any:
    return transform(value, lambda leaf: leaf.reveal() if isinstance(leaf, Secret) else leaf)


class ThingType:
    """``fake.thing``: ``name`` is immutable and unique, ``value`` changes in place, ``url`` is computed."""

    schema = Schema(
        attributes={
            "name": Attribute(type="string", required=True, immutable=True, source="name in fake.thing"),
            "value": Attribute(),
            "tags": Attribute(type="list", unordered=True),
            "password": Attribute(type="string", sensitive=True),
            "url": Attribute(type="string", computed=True),
            "status": Attribute(type="string", computed=True),
        },
        predict=lambda attributes: {"status": "running"},
        holds_data=True,
    )
    type_name = "fake.thing"

    async def read(self, client: Cloud, recorded: ResourceState) -> Observed | None:
        await client.call("read", recorded.address)
        return self._observed(client.things.get(recorded.id))

    async def create(self, client: Cloud, desired: Desired, token: str) -> Observed:
        name = desired.attributes["name"]
        await client.call("create", name)
        if client.named(name) is not None:
            raise AlreadyExists(f"there is a thing {name!r} already", import_id=name)
        client.made += 1
        id = f"thing-{client.made}"
        client.things[id] = Thing(id, self.type_name, self._made(desired, client), token)
        client.done("create", name)
        answer = self._observed(client.things[id])
        assert answer is not None
        return answer

    def _made(self, desired: Desired, client: Cloud) -> dict[str, Any]:
        attributes = plain(desired.attributes)
        return {**attributes, "url": f"fake://{attributes['name']}", "status": "running"}

    async def update(self, client: Cloud, recorded: ResourceState, desired: Desired) -> Observed:
        await client.call("update", desired.attributes["name"])
        thing = client.things.get(recorded.id)
        if thing is None:
            raise NotFound("it is gone")
        thing.attributes = self._made(desired, client)
        client.done("update", desired.attributes["name"])
        answer = self._observed(thing)
        assert answer is not None
        return answer

    async def delete(self, client: Cloud, recorded: ResourceState) -> None:
        await client.call("delete", str(recorded.attributes.get("name")))
        client.things.pop(recorded.id, None)
        client.done("delete", str(recorded.attributes.get("name")))

    async def find(self, client: Cloud, desired: Desired, token: str) -> Observed | None:
        await client.call("find", str(desired.attributes.get("name")))
        return self._observed(next((t for t in client.things.values() if t.token == token), None))

    async def adopt(self, client: Cloud, id: str) -> Observed | None:
        await client.call("adopt", id)
        return self._observed(client.things.get(id) or client.named(id))

    async def stake(self, client: Cloud, recorded: ResourceState) -> str:
        return "7 rows"

    @staticmethod
    def _observed(thing: Thing | None) -> Observed | None:
        return Observed(thing.id, Map(thing.attributes)) if thing is not None else None


class RunType(ThingType):
    """``fake.run``: runs user code; ``output`` depends on the length of ``input`` only, so that a change may cut off."""

    schema = Schema(
        attributes={
            "name": Attribute(type="string", required=True, immutable=True),
            "input": Attribute(),
            "schedule": Attribute(type="string"),
            "output": Attribute(type="string", computed=True),
        },
        runs=True,
        run_inputs=("input",),
    )
    type_name = "fake.run"

    def _made(self, desired: Desired, client: Cloud) -> dict[str, Any]:
        attributes = plain(desired.attributes)
        return {**attributes, "output": f"out-{len(str(attributes.get('input')))}"}


class ImmutableType(ThingType):
    """``fake.config``: immutable through and through, created first; its name must differ from the old one's."""

    schema = Schema(
        attributes={
            "name": Attribute(type="string", required=True, immutable=True, source="createOnly in fake.config"),
            "value": Attribute(immutable=True, source="createOnly in fake.config"),
            "url": Attribute(type="string", computed=True),
            "status": Attribute(type="string", computed=True),
        },
        create_first=True,
        named_by="name",
    )
    type_name = "fake.config"


class ListedType(ThingType):
    """``fake.listed``: read by one list call."""

    type_name = "fake.listed"

    async def read_many(self, client: Cloud, recorded: Sequence[ResourceState]) -> Mapping[str, Observed]:
        await client.call("list", "")
        found = {r.id: self._observed(client.things.get(r.id)) for r in recorded}
        return {id: seen for id, seen in found.items() if seen is not None}


class InnerType(ThingType):
    """``fake.inner``: lies in the thing whose ``url`` is its ``home``; cannot be read or dropped while that thing is down."""

    schema = Schema(
        attributes={
            "name": Attribute(type="string", required=True, immutable=True),
            "home": Attribute(type="string", required=True),
            "status": Attribute(type="string", computed=True),
        },
        predict=lambda attributes: {"status": "running"},
        inside=("home",),
        create_first=True,
    )
    type_name = "fake.inner"

    def _made(self, desired: Desired, client: Cloud) -> dict[str, Any]:
        return {**plain(desired.attributes), "status": "running"}


class PointerType(InnerType):
    """``fake.pointer``: lies in the same thing as the ``target`` that it points at, and can be pointed at another."""

    schema = Schema(
        attributes={**InnerType.schema.attributes, "target": Attribute(type="string", required=True)},
        predict=InnerType.schema.predict,
        inside=("home", "target"),
        follows=("target",),
    )
    type_name = "fake.pointer"


class MachineType(ThingType):
    """``fake.machine``: ``count`` machines of the size that its ``plan`` (the name of a ``fake.thing``) has as its value; one of
    size ``secret`` costs nobody knows what."""

    schema = Schema(
        attributes={
            "name": Attribute(type="string", required=True, immutable=True),
            "plan": Attribute(type="string"),
            "count": Attribute(type="integer"),
            "url": Attribute(type="string", computed=True),
            "status": Attribute(type="string", computed=True),
        },
        costs=True,
    )
    type_name = "fake.machine"

    def price(self, attributes: Map, settings: Map, find: Find) -> Cost | None:
        plan = find("fake.thing", "name", attributes.get("plan"))
        size = plan.get("value") if plan else None
        if size == "secret" or not isinstance(size, (int, float)) or attributes.get("count") is UNKNOWN:
            return Cost(monthly=None, sentence=f"size {size}")
        rate = size * settings.get("rate", 1.0)
        count = attributes.get("count", 1)
        return Cost(monthly=rate * count, sentence=f"{count} of {rate:g}", source="price list", as_of="2025-03")


class CheckedType(ThingType):
    """``fake.checked``: the cloud can be asked whether it would take it (``Cloud.before`` refuses with the operation ``check``)."""

    type_name = "fake.checked"

    async def check(self, client: Cloud, recorded: ResourceState | None, desired: Desired) -> str:
        await client.call("check" if recorded is None else "check update", desired.attributes["name"])
        return "dry run"


class NoConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FakeProvider:
    """Serves one Cloud."""

    name = "fake"
    lowerings: Mapping[str, Lowering] = {}
    everywhere: frozenset[str] = frozenset()
    max_concurrency = 64
    config = NoConfig

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.types: Mapping[str, ResourceType] = {
            "fake.thing": ThingType(),
            "fake.run": RunType(),
            "fake.config": ImmutableType(),
            "fake.listed": ListedType(),
            "fake.inner": InnerType(),
            "fake.pointer": PointerType(),
            "fake.machine": MachineType(),
            "fake.checked": CheckedType(),
        }

    async def connect(self, config: NoConfig, context: ProviderContext) -> Cloud:
        return self.cloud
