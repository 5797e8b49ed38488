"""What moves in the spec stays the same object: its name in the world, and all that it holds."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from fakes.lab import Lab, thing

from mlinfra import upkeep, workflow
from mlinfra.model.errors import PlanError, StateError
from mlinfra.model.state import State
from mlinfra.state.entries import Intent
from mlinfra.state.session import open_session
from mlinfra.workflow import Planned
from mlinfra.workspace import Options

BUCKET = "resources:\n  raw: {kind: bucket}\n"
MODULE = "modules:\n  store: {source: sub}\n"


class Project:
    """A spec that changes, on the local target."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.options = Options(directory=folder)
        (folder / "sub").mkdir()
        (folder / "sub" / "mlinfra.yaml").write_text("version: 1\n" + BUCKET)

    def plan(self, text: str) -> Planned:
        (self.folder / "mlinfra.yaml").write_text(f"version: 1\nproject: moving\n{text}")
        return workflow.plan(self.options)

    def apply(self, text: str) -> State:
        applied = workflow.apply(self.options, self.plan(text))
        assert not applied.failures and not applied.state.problems()
        return applied.state

    @property
    def buckets(self) -> list[str]:
        return sorted(p.name for p in (self.folder / ".mlinfra/local/moving-default/buckets").iterdir())


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_what_has_moved_keeps_its_name_and_is_not_replaced(project: Project) -> None:
    project.apply(BUCKET)
    moved = MODULE + "moved: [{from: raw, to: module.store.raw}]\n"
    planned = project.plan(moved)
    assert not planned.plan.steps and planned.plan.moves == (("raw", "module.store.raw"),)
    assert project.apply(moved).get("module.store.raw").id == "raw"  # type: ignore[union-attr]
    assert not project.plan(MODULE).plan.steps, "the name is remembered when the moved block is gone"
    assert project.buckets == ["raw"]


def test_a_new_resource_at_the_old_address_gets_a_name_of_its_own(project: Project) -> None:
    project.apply(BUCKET)
    project.apply(MODULE + "moved: [{from: raw, to: module.store.raw}]\n")
    state = project.apply(MODULE + BUCKET)
    names = {a: r.id for a, r in state.current().items()}
    assert names["module.store.raw"] == "raw" and names["raw"] != "raw" and len(project.buckets) == 2
    assert not project.plan(MODULE + BUCKET).plan.steps


def test_what_has_moved_is_still_known_as_ours_when_it_changes(project: Project) -> None:
    data = BUCKET + '  rows: {kind: dataset, bucket: "${raw}", source: rows.csv}\n'
    (project.folder / "rows.csv").write_text("a\n1\n")
    project.apply(data)
    (project.folder / "rows.csv").write_text("a\n2\n")
    state = project.apply(data.replace("  rows:", "  table:") + "moved: [{from: rows, to: table}]\n")
    assert state.get("rows") is None and state.get("table").attributes["name"] == "rows"  # type: ignore[union-attr]


def test_moving_back_home_gives_the_object_its_own_name_again(project: Project) -> None:
    project.apply(BUCKET)
    project.apply(MODULE + "moved: [{from: raw, to: module.store.raw}]\n")
    state = project.apply(BUCKET + "moved: [{from: module.store, to: raw}]\n".replace("module.store,", "module.store.raw,"))
    assert state.get("raw").named == "" and project.buckets == ["raw"]  # type: ignore[union-attr]


def test_moves_follow_one_another_and_only_once(project: Project) -> None:
    project.apply("resources:\n  a: {kind: data, input: 1}\n")
    spec = (
        'resources:\n  c: {kind: data, for_each: [x], input: 1}\n'
        'moved: [{from: b, to: c}, {from: a, to: b}, {from: c, to: \'c["x"]\'}]\n'
    )  # fmt: skip
    assert project.plan(spec).plan.moves == (("a", 'c["x"]'),)
    project.apply(spec)
    assert project.plan(spec).plan.is_empty and not project.plan(spec).plan.moves


def test_rollback_over_a_move_moves_back(project: Project) -> None:
    project.apply(BUCKET)
    (project.folder / ".mlinfra/local/moving-default/buckets/raw/kept").write_text("precious")
    project.apply(MODULE + "moved: [{from: raw, to: module.store.raw}]\n")
    planned = upkeep.rollback_plan(project.options, 1)
    assert not planned.plan.steps and planned.plan.moves == (("module.store.raw", "raw"),)


def test_two_objects_cannot_move_to_one_address(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a"), thing("b"))
    with pytest.raises(PlanError, match="a and b cannot both move to c"):
        lab.plan(thing("c", name="a"), moved=(("a", "c"), ("b", "c")))


def test_state_mv_refuses_what_is_no_address(project: Project) -> None:
    project.apply(BUCKET)
    with pytest.raises(StateError, match="no address"):
        upkeep.state_move(project.options, "raw", "not an address")


def test_a_create_that_never_reported_back_can_be_forgotten(project: Project) -> None:
    state = project.apply(BUCKET)
    session = open_session(workflow.location(project.options, workflow.validate(project.options).resolved), "apply")
    begun = Intent(op="1" * 32, operation="create", address="half", resource=state.resources[("raw", "")])

    async def cut_off() -> None:
        await session.append(begun)
        await session.close()

    asyncio.run(cut_off())
    assert upkeep.state_remove(project.options, ["half"]) == ["half"]
    ledger = workflow.location(project.options, workflow.validate(project.options).resolved).read()
    assert not ledger.intents and ("raw", "") in ledger.resources
