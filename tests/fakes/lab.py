"""The engine from wanted resources to recorded state, over a fake cloud: what every lifecycle test drives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from fakes.cloud import Cloud, FakeProvider
from mlinfra.apply.executor import Outcome, execute
from mlinfra.apply.stop import Stop
from mlinfra.model.component import Lifecycle
from mlinfra.model.events import Event
from mlinfra.model.resource import Resource
from mlinfra.model.state import State
from mlinfra.model.values import Map, freeze
from mlinfra.plan.planner import Made, Request, make_plan
from mlinfra.plan.stale import check_fresh, concerned
from mlinfra.provider.connections import Connections
from mlinfra.provider.contract import ProviderContext
from mlinfra.provider.registry import Registry
from mlinfra.state.recovery import recover, refuse_blocked
from mlinfra.state.session import Location, open_session
from mlinfra.state.store import Store
from mlinfra.state.stores.local import LocalStore


def thing(
    address: str,
    *,
    type: str = "fake.thing",
    lifecycle: Lifecycle | None = None,
    depends_on: tuple[str, ...] = (),
    settles_after: tuple[str, ...] = (),
    existing: str | None = None,
    **attributes: Any,
) -> Resource:
    """A wanted resource; ``name`` defaults to its address."""
    return Resource(
        address=address,
        type=type,
        provider="fake" if type.startswith("fake.") else "local",
        attributes=freeze({"name": address, **attributes} if type.startswith("fake.") else attributes),
        lifecycle=lifecycle or Lifecycle(),
        depends_on=depends_on,
        settles_after=settles_after,
        existing=existing,
        component=address,
    )


class Lab:
    """One project in one folder. ``run`` plans and applies; ``plan`` and ``apply`` do half of it."""

    def __init__(self, folder: Path, *, store: Store | None = None) -> None:
        self.cloud = Cloud()
        self.folder = folder
        self.store = store or LocalStore(folder / "state")
        self.events: list[Event] = []
        installed = Registry()
        self.registry = Registry({"fake": FakeProvider(self.cloud), "local": installed.get("local")})
        self.stop = Stop()
        self.on_event: Callable[[Event], None] = lambda _: None

    @property
    def location(self) -> Location:
        return Location(self.store, "p/default/")

    @property
    def state(self) -> State:
        return self.location.read().freeze()

    def _sink(self, event: Event) -> None:
        self.events.append(event)
        self.on_event(event)

    def _connections(self) -> Connections:
        return Connections(
            self.registry,
            {},
            lambda _: ProviderContext(project="p", environment="", base=self.folder, data=self.folder / "data"),
        )

    def plan(self, *resources: Resource, **request: Any) -> Made:
        return asyncio.run(self._plan({r.address: r for r in resources}, **request))

    async def _plan(self, resources: dict[str, Resource], **request: Any) -> Made:
        connections = self._connections()
        ledger = self.location.read()
        sealer = self.location.sealer(create=True)
        recovery = await recover(ledger, connections, sealer, self._sink)
        for entry in recovery.entries:
            ledger.apply(entry)
        outputs = Map(request.pop("outputs", {}))
        wanted = Request(
            resources=resources, outputs=outputs, uncertain=recovery.uncertain, blocked=recovery.blocked,
            blocked_needs=recovery.needs, project="p", **request,
        )  # fmt: skip
        return await make_plan(wanted, ledger.freeze(), connections, sealer, self._sink)

    def apply(self, made: Made) -> Outcome:
        return asyncio.run(self._apply(made))

    async def _apply(self, made: Made) -> Outcome:
        connections = self._connections()
        session = await asyncio.to_thread(open_session, self.location, "apply")
        try:
            recovery = await recover(session.ledger, connections, session.sealer, self._sink)
            if recovery.entries:
                await session.append(*recovery.entries)
            refuse_blocked(recovery, concerned(made.plan))
            check_fresh(made.plan, session.ledger)
            return await execute(made.plan, session, connections, self._sink, self.stop)
        finally:
            await session.close()

    def run(self, *resources: Resource, **request: Any) -> Outcome:
        """Plan and apply, and check what must always hold afterwards."""
        outcome = self.apply(self.plan(*resources, **request))
        assert self.state.problems() == []
        return outcome

    def actions(self, made: Made) -> dict[str, str]:
        """What a plan does, by address; nothing for what stays."""
        return {
            c.address + (f"#{c.deposed}" if c.deposed else ""): c.action.value
            for c in made.plan.changes
            if c.action.value != "no-op"
        }


def with_attributes(resource: Resource, **attributes: Any) -> Resource:
    return replace(resource, attributes=freeze({**resource.attributes, **attributes}))
