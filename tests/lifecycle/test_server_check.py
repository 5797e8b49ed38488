"""``plan --server-check``: the servers are asked what they would say to each change, and nothing is changed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from fakes.lab import Lab, thing

from mlinfra.model.diagnostic import Diagnostic, Severity, Span
from mlinfra.model.errors import PlanError
from mlinfra.model.events import Notice
from mlinfra.model.resource import Resource
from mlinfra.model.values import Path as At
from mlinfra.model.values import Ref
from mlinfra.plan.planner import Made
from mlinfra.plan.server_checks import check_on_server
from mlinfra.provider import calls
from mlinfra.provider.failures import Denied, Failure, Invalid, Transient


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def checked(lab: Lab, made: Made) -> tuple[Diagnostic, ...]:
    def locate(resource: Resource, path: At) -> Span | None:
        return Span("mlinfra.yaml", 7 if path else 3, 1)

    return asyncio.run(check_on_server(made, lab._connections(), locate, lab.events.append))


def refuse(lab: Lab, *failures: tuple[str, Failure]) -> None:
    """The cloud's check of each of these names fails."""
    by_name = dict(failures)

    def before(operation: str, name: str) -> None:
        if operation.startswith("check") and name in by_name:
            raise by_name[name]

    lab.cloud.before = before


def one(address: str, **attributes: Any) -> Resource:
    return thing(address, type="fake.checked", **attributes)


def test_creates_and_updates_are_asked_for_and_nothing_is_made(lab: Lab) -> None:
    lab.run(one("old", value=1), one("same"))
    made = lab.plan(one("old", value=2), one("same"), one("new"))
    lab.cloud.log.clear()
    assert checked(lab, made) == ()
    assert sorted(lab.cloud.log) == ["check new", "check update old"]
    assert lab.cloud.names() == ["old", "same"]
    assert [e.message for e in lab.events if isinstance(e, Notice)] == ["server check: 2 of 2 changes looked at and accepted"]


def test_every_refusal_is_told_at_its_line(lab: Lab) -> None:
    refuse(lab, ("a", Invalid("too big", path=("value",), hint="make it smaller")), ("b", Denied("not allowed")))
    with pytest.raises(PlanError) as error:
        checked(lab, lab.plan(one("a"), one("b"), one("c")))
    found = {d.address: d for d in error.value.diagnostics}
    assert found["a"].message == "a would be refused: value: too big" and found["a"].hint == "make it smaller"
    assert found["a"].span is not None and found["a"].span.line == 7
    assert found["b"].code == "provider.denied" and found["b"].span is not None and found["b"].span.line == 3
    assert set(found) == {"a", "b"}


def test_what_may_only_miss_what_the_plan_makes_first_is_a_warning(lab: Lab) -> None:
    refuse(lab, ("b", Invalid("there is no a")))
    (warning,) = checked(lab, lab.plan(one("a"), one("b", value=Ref("a", ("url",)))))
    assert warning.severity is Severity.WARNING
    assert warning.message == ("b would be refused: there is no a. It may be that it needs a, which this plan makes first")


def test_rights_and_quota_are_not_excused_by_what_is_made_first(lab: Lab) -> None:
    refuse(lab, ("b", Denied("not allowed")))
    with pytest.raises(PlanError, match="not allowed"):
        checked(lab, lab.plan(one("a"), one("b", value=Ref("a", ("url",)))))


def test_a_server_that_does_not_answer_is_a_warning(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "BASE", 0.001)
    refuse(lab, ("a", Transient("no connection")))
    (warning,) = checked(lab, lab.plan(one("a")))
    assert (warning.severity, warning.message) == (Severity.WARNING, "a could not be checked on the server: no connection")


def test_what_cannot_be_asked_is_said(lab: Lab) -> None:
    (warning,) = checked(lab, lab.plan(one("a"), *[thing(f"t{i}") for i in range(8)]))
    assert warning.code == "plan.not_checked_on_server"
    assert "t0, t1, t2, t3, t4, t5 and 2 more (fake.thing)" in warning.message


def test_a_replacement_is_asked_for_as_the_create_that_it_is(lab: Lab) -> None:
    lab.run(one("a", name="first"))
    made = lab.plan(one("a", name="second"))
    lab.cloud.log.clear()
    checked(lab, made)
    assert lab.cloud.log == ["check second"]
