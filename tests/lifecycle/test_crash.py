"""SIGKILL at every durable boundary of an apply: the next run adopts what was made, makes the rest, and leaves nothing over.

Every trial runs in a forked child that kills itself at the n-th boundary: before and after every write to the store, and
after every change of the world. The world lives in a file, so that it survives the child.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from fakes.lab import Lab, thing
from fakes.mortal import child, lab_at

from mlinfra.model.events import Notice
from mlinfra.model.values import Ref


def run_until(folder: Path, boundary: int, wanted: tuple[object, ...]) -> None:
    lab_at(folder, boundary).run(*wanted)  # type: ignore[arg-type]


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
            lab_at(folder).run(*before)  # type: ignore[arg-type]
        died = child(partial(run_until, folder, boundary, wanted))
        lab = lab_at(folder)
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


def test_what_became_of_many_is_told_in_a_line(tmp_path: Path) -> None:
    wanted = tuple(thing(f"t{n}", value=n) for n in range(30))
    assert child(partial(run_until, tmp_path, 10, wanted)), "the trial reaches no boundary there"
    lab = lab_at(tmp_path)
    made = len(lab.cloud.names())
    assert len(lab.location.read().intents) == 30 and made <= 10
    lab.run(*wanted)  # type: ignore[arg-type]
    notices = {event.message for event in lab.events if isinstance(event, Notice) and "cut off" in event.message}
    assert len(notices) == made + 1 and sum(" resources (t" in message for message in notices) == 1, notices
    assert lab.cloud.names() == sorted(f"t{n}" for n in range(30))
