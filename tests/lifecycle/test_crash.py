"""SIGKILL at every durable boundary of an apply: the next run adopts what was made, makes the rest, and leaves nothing over.

Every trial runs in a forked child that kills itself at the n-th boundary: before and after every write to the store, and
after every change of the world. The world lives in a file, so that it survives the child.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest
from fakes.cloud import Thing
from fakes.lab import Lab, thing

from mlinfra.model.values import Ref
from mlinfra.state.stores.local import LocalStore


class MortalStore(LocalStore):
    """Dies at a boundary."""

    def __init__(self, root: Path, boundary: Callable[[], None]) -> None:
        super().__init__(root)
        self._boundary = boundary

    def put_if(self, key: str, data: bytes, version: str | None) -> str:
        self._boundary()
        written = super().put_if(key, data, version)
        self._boundary()
        return written

    def delete(self, key: str) -> None:
        self._boundary()
        super().delete(key)


def lab_at(folder: Path, die_at: int = -1) -> tuple[Lab, list[int]]:
    """A lab over a world in a file, which dies at boundary number ``die_at``; the count of boundaries passed."""
    passed = [0]

    def boundary() -> None:
        if passed[0] == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        passed[0] += 1

    lab = Lab(folder, store=MortalStore(folder / "state", boundary))
    world = folder / "world.json"
    if world.exists():
        saved = json.loads(world.read_text())
        lab.cloud.things = {t["id"]: Thing(**t) for t in saved["things"]}
        lab.cloud.made = saved["made"]

    def save() -> None:
        world.write_text(json.dumps({"made": lab.cloud.made, "things": [asdict(t) for t in lab.cloud.things.values()]}))
        boundary()

    lab.cloud.changed = save
    return lab, passed


def child(work: Callable[[], None]) -> bool:
    """Run ``work`` in a fork; True when it died of SIGKILL."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
    return os.WIFSIGNALED(status)


def run_until(folder: Path, boundary: int, wanted: tuple[object, ...]) -> None:
    lab_at(folder, boundary)[0].run(*wanted)  # type: ignore[arg-type]


def first() -> tuple[object, ...]:
    return (thing("a", value=1), thing("b", value=Ref("a", ("url",))), thing("c", type="fake.config", name="c1"), thing("d"))


def second() -> tuple[object, ...]:
    """Updates a, replaces c create-first, deletes d, creates e."""
    return (thing("a", value=2), thing("b", value=Ref("a", ("url",))), thing("c", type="fake.config", name="c2"), thing("e"))


def sound(lab: Lab, wanted: tuple[object, ...], names: list[str]) -> None:
    """Nothing is orphaned, nothing exists twice, state and world agree, nothing is left to do."""
    assert lab.cloud.names() == names
    assert sorted(r.id for r in lab.state.resources.values()) == sorted(lab.cloud.things)
    assert lab.state.problems() == [] and not lab.location.read().intents
    assert lab.plan(*wanted).plan.is_empty  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "wanted", "names"),
    [((), first(), ["a", "b", "c1", "d"]), (first(), second(), ["a", "b", "c2", "e"]), (second(), (), [])],
    ids=["create", "change", "delete"],
)
def test_after_a_kill_at_any_boundary_the_next_apply_puts_everything_right(
    tmp_path: Path, before: tuple[object, ...], wanted: tuple[object, ...], names: list[str]
) -> None:
    boundary = 0
    while True:
        folder = tmp_path / str(boundary)
        folder.mkdir()
        if before:
            lab_at(folder)[0].run(*before)  # type: ignore[arg-type]
        died = child(partial(run_until, folder, boundary, wanted))
        lab, _ = lab_at(folder)
        lab.run(*wanted)  # type: ignore[arg-type]
        sound(lab, wanted, names)
        if not died:
            break
        boundary += 1
    assert boundary > 10, "the apply has more boundaries than that: the trial does not reach them"


def test_a_crash_of_the_machine_that_tears_the_last_segment_loses_only_what_was_never_acknowledged(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a"))
    torn = tmp_path / "state/p/default/journal/000000000099"
    torn.write_bytes(b'{"format":1,"jour')
    assert lab.state.get("a") is not None
    lab.run(thing("a"), thing("b"))
    assert lab.state.get("b") is not None and not torn.exists()
