"""A failed step blocks its own dependents and nothing else; only what can help is tried again."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.cloud import ThingType
from fakes.lab import Lab, thing

from mlinfra.model.errors import PlanError
from mlinfra.model.events import StepBlocked, StepRetry
from mlinfra.model.resource import Desired, Observed
from mlinfra.model.values import Map, Ref
from mlinfra.provider import calls
from mlinfra.provider.failures import Denied, Failure, Invalid, Throttled, Transient


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "BASE", 0.0)


def failing(lab: Lab, name: str, failure: Failure, times: int = 10**6, operation: str = "create") -> None:
    left = [times]

    def before(found: str, who: str) -> None:
        if found == operation and who == name and left[0]:
            left[0] -= 1
            raise failure

    lab.cloud.before = before


def test_only_dependents_of_the_failed_one_are_blocked(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    failing(lab, "a", Denied("no"))
    outcome = lab.run(thing("a"), thing("b", value=Ref("a", ("url",))), thing("c", value=Ref("b", ("url",))), thing("free"))
    assert lab.cloud.names() == ["free"]
    assert (outcome.summary.failed, outcome.summary.blocked, outcome.summary.added) == (1, 2, 1)
    assert {(e.address, e.cause) for e in lab.events if isinstance(e, StepBlocked)} == {("b", "a"), ("c", "a")}
    assert "create a (fake.thing): no" in outcome.failures[0].message


def test_the_next_run_does_the_rest(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    wanted = (thing("a"), thing("b", value=Ref("a", ("url",))))
    failing(lab, "a", Denied("no"))
    lab.run(*wanted)
    lab.cloud.before = None
    assert not lab.run(*wanted).failures
    assert lab.cloud.names() == ["a", "b"]


@pytest.mark.parametrize("failure", [Throttled("slow down"), Transient("connection reset")])
def test_a_passing_fault_is_tried_again(tmp_path: Path, failure: Failure) -> None:
    lab = Lab(tmp_path)
    failing(lab, "a", failure, times=3)
    assert not lab.run(thing("a")).failures
    assert lab.cloud.names() == ["a"]
    assert len([e for e in lab.events if isinstance(e, StepRetry)]) == 3


def test_a_refusal_is_not_tried_again(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    failing(lab, "a", Invalid("nonsense"))
    lab.run(thing("a"))
    assert lab.cloud.calls["create"] == 1


def test_a_create_that_succeeded_although_the_answer_was_lost_is_not_made_twice(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    kind = lab.registry.type("fake.thing")
    create = kind.create

    async def losing(client: object, desired: Desired, token: str) -> Observed:
        await create(client, desired, token)
        raise Transient("the connection broke")

    kind.create = losing  # type: ignore[method-assign]
    assert not lab.run(thing("a")).failures
    assert lab.cloud.made == 1 and lab.state.get("a") is not None


def test_a_half_made_object_is_tainted_and_replaced_next_time(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    kind = lab.registry.type("fake.thing")
    create = kind.create

    async def half(client: object, desired: Desired, token: str) -> Observed:
        made = await create(client, desired, token)
        raise Invalid("the second half failed", partial=Observed(made.id, Map({"name": "a"})))

    kind.create = half  # type: ignore[method-assign]
    lab.run(thing("a"))
    assert lab.state.get("a").tainted  # type: ignore[union-attr]
    kind.create = create  # type: ignore[method-assign]
    made = lab.plan(thing("a"))
    assert lab.actions(made) == {"a": "replace"} and "half-made" in made.plan.changes[0].reason
    lab.apply(made)
    assert lab.cloud.names() == ["a"] and not lab.state.get("a").tainted  # type: ignore[union-attr]


def test_a_provider_that_raises_something_else_is_named(tmp_path: Path) -> None:
    lab = Lab(tmp_path)

    def bug(operation: str, name: str) -> None:
        raise ZeroDivisionError("oops")

    lab.cloud.before = bug
    outcome = lab.run(thing("a"))
    assert "ZeroDivisionError: oops" in outcome.failures[0].message and "'fake'" in outcome.failures[0].hint


def test_a_provider_that_answers_something_else_than_planned_is_named_and_the_object_is_kept(tmp_path: Path) -> None:
    lab = Lab(tmp_path)

    class Lying(ThingType):
        def _made(self, desired: Desired, client: object) -> dict[str, object]:
            return {**super()._made(desired, client), "value": "something else"}  # type: ignore[arg-type]

    lab.registry.get("fake").types["fake.thing"] = Lying()  # type: ignore[index]
    outcome = lab.run(thing("a", value="this"))
    assert "value = 'something else' where 'this' was planned" in outcome.failures[0].message
    assert lab.state.get("a") is not None


def test_an_object_that_cannot_be_read_is_named_before_anything_is_planned(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a"))
    failing(lab, "a", Denied("no reading here"), operation="read")
    with pytest.raises(PlanError, match=r"a .fake.thing. cannot be read: no reading here"):
        lab.plan(thing("a"))


def test_what_is_unreachable_because_its_dependency_is_down_is_taken_as_recorded(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    wanted = (thing("database"), thing("table", value=Ref("database", ("url",))))
    lab.run(*wanted)
    lab.cloud.named("database").attributes["status"] = "stopped"  # type: ignore[union-attr]
    failing(lab, "table", Transient("connection refused"), operation="read")
    made = lab.plan(*wanted)
    assert lab.actions(made) == {"database": "update"}
    assert "table cannot be read while database" in made.plan.warnings[0].message


def test_deleting_what_is_gone_already_is_success(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a"))
    made = lab.plan()
    lab.cloud.things.clear()
    assert not lab.apply(made).failures and not lab.state.resources
