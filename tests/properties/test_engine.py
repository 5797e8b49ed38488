"""Random histories of specs over a cloud that fails: state and world agree after every apply, and a quiet apply finishes the work."""

from __future__ import annotations

import hashlib
import random
import tempfile
from pathlib import Path

from fakes.lab import Lab, thing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlinfra.model.component import Lifecycle
from mlinfra.model.resource import Resource
from mlinfra.model.values import Ref
from mlinfra.provider.failures import Denied, Failure, Invalid, Quota, Throttled, Transient

ADDRESSES = [f"r{i}" for i in range(7)]


@st.composite
def specs(draw: st.DrawFn) -> list[Resource]:
    """Up to seven resources; each may refer to earlier ones, so there is no cycle."""
    wanted: list[Resource] = []
    for index, address in enumerate(ADDRESSES):
        if not draw(st.booleans()):
            continue
        kind = draw(st.sampled_from(["fake.thing", "fake.config", "fake.run", "fake.listed"]))
        generation = draw(st.integers(0, 2))
        earlier = [r.address for r in wanted]
        reference = draw(st.sampled_from([None, *earlier])) if earlier else None
        value = Ref(reference, ("name",)) if reference else draw(st.integers(0, 2))
        key = "input" if kind == "fake.run" else "value"
        name = f"{address}-{kind[5:]}-{generation}-{index}"
        if kind == "fake.config":  # immutable: named by its content, so that the new one can stand beside the old one
            content = next((r.attributes["name"] for r in wanted if r.address == reference), value)
            name = f"{name}-{content}"
        first = draw(st.sampled_from([None, True]))
        name = f"{address}-{kind[5:]}-{generation}-{index}"
        if kind == "fake.config":  # an immutable object carries its content in its name, so that two can stand side by side
            content = next((r.attributes["name"] for r in wanted if r.address == reference), value)
            first = None
            name += "-" + hashlib.sha256(str(content).encode()).hexdigest()[:6]
        wanted.append(
            thing(
                address,
                type=kind,
                name=name,
                lifecycle=Lifecycle(create_first=first),
                **{key: value},
            )
        )
    return wanted


FAILURES: list[type[Failure]] = [Denied, Quota, Invalid]


def unreliable(lab: Lab, seed: int) -> None:
    chance = random.Random(seed)

    def before(operation: str, name: str) -> None:
        if operation in ("create", "update", "delete") and chance.random() < 0.3:
            raise chance.choice(FAILURES)(f"{operation} refused")

    lab.cloud.before = before


def agree(lab: Lab) -> None:
    state = lab.state
    assert state.problems() == []
    assert sorted(r.id for r in state.resources.values()) == sorted(lab.cloud.things)
    assert not lab.location.read().intents


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=st.lists(st.tuples(specs(), st.integers(0, 10**6)), min_size=1, max_size=4))
def test_whatever_fails_state_and_world_agree_and_a_quiet_apply_finishes_the_work(
    history: list[tuple[list[Resource], int]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder))
        serial = 0
        for wanted, seed in history:
            unreliable(lab, seed)
            planned = lab.plan(*wanted)
            lab.apply(planned)
            agree(lab)
            assert lab.state.serial >= serial
            serial = lab.state.serial
            lab.cloud.before = None
            outcome = lab.run(*wanted)
            assert not outcome.failures
            agree(lab)
            assert lab.cloud.names() == sorted(str(r.attributes["name"]) for r in wanted)
            assert lab.plan(*wanted).plan.is_empty
        lab.run(mode="destroy")
        assert not lab.cloud.things and not lab.state.resources


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(before=specs(), after=specs())
def test_every_step_comes_after_all_that_it_needs_and_touches_only_what_the_plan_names(
    before: list[Resource], after: list[Resource]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder))
        lab.run(*before)
        plan = lab.plan(*after).plan
        for index, step in enumerate(plan.steps):
            assert all(need < index for need in step.needs)
        lab.cloud.log.clear()
        lab.apply(lab.plan(*after))
        named = {str(a["name"]) for c in plan.changes if c.action.value != "no-op" for a in (c.before, c.after) if a}
        touched = {line.split()[1] for line in lab.cloud.log if line.split()[0] in ("create", "update", "delete")}
        assert touched <= named


def test_throttling_slows_down_and_fails_nothing(tmp_path: Path) -> None:
    from mlinfra.provider import calls

    lab = Lab(tmp_path)
    chance = random.Random(7)

    def before(operation: str, name: str) -> None:
        if operation == "create" and chance.random() < 0.4:
            raise chance.choice([Throttled, Transient])("later")

    lab.cloud.before = before
    original, calls.BASE = calls.BASE, 0.0
    try:
        assert not lab.run(*[thing(f"t{i}") for i in range(60)]).failures
    finally:
        calls.BASE = original
    assert len(lab.cloud.things) == 60
