"""A create of which nobody can tell what became of it stops its own dependents, and nothing else."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.cloud import ThingType
from fakes.lab import Lab, thing

from mlinfra.model.errors import StateError
from mlinfra.model.resource import ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Ref
from mlinfra.provider.failures import Denied, Timeout
from mlinfra.state.entries import Intent
from mlinfra.state.session import open_session

WANTED = (
    thing("vpc"),
    thing("db", value=Ref("vpc", ("url",))),
    thing("app", value=Ref("db", ("url",))),
    thing("aside"),
)


def refuse_find(lab: Lab, *names: str) -> None:
    def before(operation: str, name: str) -> None:
        if operation == "find" and name in names:
            raise Denied("you may not list things", hint="ask for fake:List")

    lab.cloud.before = before


def cut_off(lab: Lab, name: str) -> None:
    """Everything before it is made; the create of ``name`` never reports back, though it happened."""

    def before(operation: str, asked: str) -> None:
        if operation == "find":
            raise Denied("not now")

    original = ThingType.create

    async def create(self: ThingType, client: object, desired: object, token: str) -> object:
        made = await original(self, client, desired, token)  # type: ignore[arg-type]
        if desired.attributes["name"] == name:  # type: ignore[attr-defined]
            raise Timeout("no answer")
        return made

    ThingType.create = create  # type: ignore[method-assign,assignment]
    try:
        outcome = lab.apply(lab.plan(*[r for r in WANTED if r.address != "aside"]))
    finally:
        ThingType.create = original  # type: ignore[method-assign]
    assert len(outcome.failures) == 1 and len(lab.location.read().intents) == 1


def test_the_others_go_on_and_the_message_says_what_was_looked_for_and_where(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    cut_off(lab, "db")
    refuse_find(lab, "db")
    made = lab.plan(*WANTED)
    (op,) = lab.location.read().intents
    assert lab.actions(made) == {"aside": "create"}
    (warning,) = made.plan.warnings
    for part in ("fake.thing 'db'", f"token {op}", "provider fake", "you may not list things", "app must wait"):
        assert part in warning.message
    assert "ask for fake:List" in warning.hint and "mlinfra state rm db" in warning.hint
    outcome = lab.apply(made)
    assert [d.code for d in outcome.failures] == ["state.unresolved_intent"]
    assert outcome.summary.added == 1 and outcome.summary.blocked == 1
    assert sorted(lab.state.current()) == ["aside", "vpc"]
    lab.cloud.before = None
    assert not lab.run(*WANTED).failures
    assert lab.cloud.names() == ["app", "aside", "db", "vpc"] and lab.cloud.calls["create"] == 4


def test_what_it_may_stand_on_is_not_deleted(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    cut_off(lab, "db")
    refuse_find(lab, "db")
    assert lab.actions(lab.plan(mode="destroy")) == {}
    assert lab.actions(lab.plan()) == {}
    lab.cloud.before = None
    lab.run(mode="destroy")
    assert not lab.cloud.things


def test_a_plan_made_while_it_could_be_looked_up_is_refused_when_it_cannot(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    cut_off(lab, "db")
    made = lab.plan(*WANTED)
    refuse_find(lab, "db")
    with pytest.raises(StateError, match="what became of it cannot be told"):
        lab.apply(made)


def test_a_find_that_lags_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eventual consistency: what was made is not shown at once, and must not be made twice."""
    lab = Lab(tmp_path)
    cut_off(lab, "db")
    monkeypatch.setattr(ThingType, "schema", replace(ThingType.schema, lag=0.05))
    original, asked = ThingType.find, list[str]()

    async def find(self: ThingType, client: object, desired: object, token: str) -> object:
        asked.append(token)
        return await original(self, client, desired, token) if asked.count(token) % 2 == 0 else None  # type: ignore[arg-type]

    monkeypatch.setattr(ThingType, "find", find)
    lab.run(*WANTED)
    assert lab.cloud.calls["create"] == 4 and lab.cloud.names() == ["app", "aside", "db", "vpc"]


def test_an_update_that_never_reported_back_is_made_again_where_it_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attributes = {**ThingType.schema.attributes, "note": Attribute(write_only=True)}
    monkeypatch.setattr(ThingType, "schema", Schema(attributes=attributes))
    lab = Lab(tmp_path)
    lab.run(thing("a", note="old"))
    recorded: ResourceState = lab.state.resources[("a", "")]

    async def crash() -> None:
        session = await asyncio.to_thread(open_session, lab.location, "apply")
        await session.append(Intent(op="0" * 32, operation="update", address="a", resource=recorded))
        await session.close()

    asyncio.run(crash())
    lab.cloud.things[recorded.id].attributes["note"] = "new"  # it happened
    assert lab.actions(lab.plan(thing("a", note="old"))) == {"a": "update"}
    lab.run(thing("a", note="old"))
    assert lab.cloud.things[recorded.id].attributes["note"] == "old"
    assert lab.state.resources[("a", "")].attributes["note"] == "old"
