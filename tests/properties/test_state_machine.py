"""Anything may happen to a project, in any order: edits, failures, answers that get lost, throttling, reads that lag, changes by
hand, two applies at once, and SIGKILL of a real process at the n-th durable boundary. One quiet apply later everything is right.

What a failing run shrinks to is kept as a case in tests/lifecycle.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fakes import cloud as fakes
from fakes.lab import Lab
from fakes.mortal import child, lab_at
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from properties.test_engine import specs

from mlinfra.model.errors import PlanError, PlanStale, StateLocked
from mlinfra.model.resource import Observed, Resource
from mlinfra.provider import calls
from mlinfra.provider.failures import Denied, Quota, Throttled, Timeout, Transient
from mlinfra.state.doctor import examine
from mlinfra.state.session import open_session

LAG = 0.001
TYPES = (fakes.ThingType, fakes.RunType, fakes.ImmutableType, fakes.ListedType)


@contextmanager
def impatient() -> Iterator[None]:
    """Retries without a pause."""
    before, calls.BASE = calls.BASE, 0.0
    try:
        yield
    finally:
        calls.BASE = before


@contextmanager
def lagging(seed: int) -> Iterator[None]:
    """The cloud shows nothing the first time that it is asked for it, and old attributes now and then."""
    chance = random.Random(seed)
    shown: set[str] = set()
    find, observed = fakes.ThingType.find, fakes.ThingType._observed
    old: dict[str, Observed] = {}
    schemas = {kind: kind.schema for kind in TYPES}

    async def lagging_find(self: Any, client: Any, desired: Any, token: str) -> Observed | None:
        found = await find(self, client, desired, token)
        if token not in shown:
            shown.add(token)
            return None
        return found

    async def lagging_read(self: Any, client: Any, recorded: Any) -> Observed | None:
        await client.call("read", recorded.address)
        found = observed(client.things.get(recorded.id))
        if found is None or f"read {recorded.id}" in shown:
            stale = old.get(recorded.id) if found is not None and chance.random() < 0.3 else None
            return stale or found
        shown.add(f"read {recorded.id}")
        old[recorded.id] = found
        return None

    read = fakes.ThingType.read
    fakes.ThingType.find, fakes.ThingType.read = lagging_find, lagging_read  # type: ignore[method-assign]
    for kind in TYPES:
        kind.schema = replace(kind.schema, lag=LAG)
    try:
        yield
    finally:
        fakes.ThingType.find, fakes.ThingType.read = find, read  # type: ignore[method-assign]
        for kind, schema in schemas.items():
            kind.schema = schema


def unreliable(lab: Lab, seed: int) -> None:
    """Some calls are refused, some throttled, and of some the answer is lost after the world was changed."""
    chance = random.Random(seed)

    def before(operation: str, name: str) -> None:
        if operation in ("create", "update", "delete"):
            dice = chance.random()
            if dice < 0.15:
                raise chance.choice([Denied, Quota])(f"{operation} refused")
            if dice < 0.3:
                raise chance.choice([Throttled, Transient])("later")

    def after(operation: str, name: str) -> None:
        if chance.random() < 0.25:
            raise chance.choice([Timeout, Transient])("no answer")

    lab.cloud.before, lab.cloud.after = before, after


class Project(RuleBasedStateMachine):
    """A folder with a state and a world; every rule works on it as a fresh process would."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="mlinfra-machine-"))
        self.wanted: list[Resource] = []
        self.serial = 0

    def teardown(self) -> None:
        try:
            lab = lab_at(self.folder)
            lab.run(mode="destroy")
            assert not lab.cloud.things, "destroy empties the cloud"
            assert not lab.state.resources and not lab.location.read().intents
        finally:
            shutil.rmtree(self.folder)

    @initialize(wanted=specs())
    def begin(self, wanted: list[Resource]) -> None:
        self.wanted = wanted

    @rule(wanted=specs())
    def edit(self, wanted: list[Resource]) -> None:
        self.wanted = wanted

    @rule()
    def quiet_apply(self) -> None:
        """No orphan, no duplicate, apply does no more than the plan says, and the plan after it is empty."""
        lab = lab_at(self.folder)
        made = lab.plan(*self.wanted)
        lab.cloud.log.clear()
        outcome = lab.apply(made)
        assert not outcome.failures, outcome.failures
        named = {str(a["name"]) for c in made.plan.changes if c.action.value != "no-op" for a in (c.before, c.after) if a}
        touched = {line.split()[1] for line in lab.cloud.log if line.split()[0] in ("create", "update", "delete")}
        assert touched <= named, "apply is contained in the plan"
        assert lab.cloud.names() == sorted(str(r.attributes["name"]) for r in self.wanted)
        assert sorted(r.id for r in lab.state.resources.values()) == sorted(lab.cloud.things)
        assert lab.state.problems() == [] and not lab.location.read().intents
        assert lab_at(self.folder).plan(*self.wanted).plan.is_empty, "the plan after apply is empty"

    @rule(seed=st.integers(0, 10**6))
    def apply_over_failures(self, seed: int) -> None:
        lab = lab_at(self.folder)
        unreliable(lab, seed)
        with impatient():
            self.attempt(lab)

    @rule(seed=st.integers(0, 10**6))
    def apply_over_lagging_reads(self, seed: int) -> None:
        lab = lab_at(self.folder)
        unreliable(lab, seed)
        with impatient(), lagging(seed):
            self.attempt(lab)

    @rule(boundary=st.integers(0, 50))
    def killed_apply(self, boundary: int) -> None:
        child(partial(self.doomed, boundary, 0))

    @rule(boundary=st.integers(0, 50), seed=st.integers(0, 10**6))
    def killed_apply_over_failures(self, boundary: int, seed: int) -> None:
        child(partial(self.doomed, boundary, seed))

    @rule(boundary=st.integers(0, 30))
    def killed_destroy(self, boundary: int) -> None:
        child(lambda: lab_at(self.folder, boundary).run(mode="destroy") and None)

    def doomed(self, boundary: int, seed: int) -> None:
        lab = lab_at(self.folder, boundary)
        if seed:
            unreliable(lab, seed)
        with impatient():
            self.attempt(lab)

    @rule(which=st.integers(0, 6), value=st.integers(10, 12))
    def changed_by_hand(self, which: int, value: int) -> None:
        self.by_hand(which, lambda lab, id: lab.cloud.things[id].attributes.update(value=value))

    @rule(which=st.integers(0, 6))
    def deleted_by_hand(self, which: int) -> None:
        self.by_hand(which, lambda lab, id: lab.cloud.things.pop(id) and None)

    def by_hand(self, which: int, act: Callable[[Lab, str], None]) -> None:
        lab = lab_at(self.folder)
        ids = sorted(lab.cloud.things)
        if ids:
            act(lab, ids[which % len(ids)])
            lab.cloud.changed()

    @rule(wanted=specs(), call=st.integers(0, 5))
    def two_applies_at_once(self, wanted: list[Resource], call: int) -> None:
        """The second one begins in the middle of the first, is told so, and changes nothing."""
        lab, seen = lab_at(self.folder), [0]

        def before(operation: str, name: str) -> None:
            if operation not in ("create", "update", "delete"):
                return
            seen[0] += 1
            if seen[0] == call + 1:
                with pytest.raises(StateLocked):
                    open_session(Lab(self.folder).location, "destroy")

        lab.cloud.before = before
        self.attempt(lab)

    @rule(first=specs(), second=specs())
    def two_plans_one_state(self, first: list[Resource], second: list[Resource]) -> None:
        """Both are made before either is applied: the second does what it said, or is refused as stale."""
        lab = lab_at(self.folder)
        one, two = lab.plan(*first), lab.plan(*second)
        lab.apply(one)
        try:
            lab.apply(two)
        except PlanStale:
            assert lab.state.problems() == []

    @rule()
    def doctor_finds_nothing_broken(self) -> None:
        codes = {f.code for f in examine(lab_at(self.folder).location)}
        assert codes <= {"state.open_intent", "lock.orphaned", "journal.stale", "state.broken"}

    def attempt(self, lab: Lab) -> None:
        """Plan and apply; failures of steps, and reads that are refused, are part of life."""
        with suppress(PlanError, PlanStale):
            lab.apply(lab.plan(*self.wanted))

    @invariant()
    def the_serial_only_grows(self) -> None:
        serial = Lab(self.folder).location.read().serial
        assert serial >= self.serial
        self.serial = serial


Project.TestCase.settings = settings(
    max_examples=40, stateful_step_count=10, deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)  # fmt: skip
TestProject = Project.TestCase
