"""Apply does what the plan says, or less: an input that turns out unchanged stops the chain."""

from __future__ import annotations

from pathlib import Path

from fakes.lab import Lab, thing

from mlinfra.model.events import StepFinished
from mlinfra.model.values import UNKNOWN, Ref


def stack(word: str, *, reader: str = "fake.thing") -> tuple[object, ...]:
    return (
        thing("run", type="fake.run", input=word),
        thing("second", type="fake.run", input=Ref("run", ("output",))),
        thing("reader", type=reader, value=Ref("second", ("output",))),
    )


def test_a_run_with_another_input_makes_what_follows_unknown(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(*stack("one"))  # type: ignore[arg-type]
    made = lab.plan(*stack("three"))  # type: ignore[arg-type]
    by = {c.address: c for c in made.plan.changes}
    assert by["run"].runs and not by["run"].may_be_noop and "input" in by["run"].reason
    assert by["second"].runs and by["second"].may_be_noop and by["reader"].may_be_noop
    assert by["reader"].attributes[0].after is UNKNOWN


def test_the_same_output_stops_everything_after_it(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(*stack("one"))  # type: ignore[arg-type]
    lab.cloud.calls.clear()
    lab.events.clear()
    outcome = lab.run(*stack("two"))  # type: ignore[arg-type]
    assert lab.cloud.calls["update"] == 1
    assert (outcome.summary.changed, outcome.summary.unchanged) == (1, 2)
    assert {e.address for e in lab.events if isinstance(e, StepFinished) and e.unchanged} == {"second", "reader"}
    assert lab.plan(*stack("two")).plan.is_empty  # type: ignore[arg-type]


def test_another_output_goes_all_the_way(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(*stack("one"))  # type: ignore[arg-type]
    lab.cloud.calls.clear()
    lab.run(*stack("a much longer word"))  # type: ignore[arg-type]
    assert lab.cloud.named("run").attributes["output"] == "out-18"  # type: ignore[union-attr]
    assert lab.cloud.calls["update"] == 3


def test_a_replacement_that_turns_out_needless_is_not_done(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(*stack("one", reader="fake.config"))  # type: ignore[arg-type]
    made = lab.plan(*stack("two", reader="fake.config"))  # type: ignore[arg-type]
    assert lab.actions(made)["reader"] == "replace"
    before = lab.state.get("reader").id  # type: ignore[union-attr]
    lab.apply(made)
    assert lab.state.get("reader").id == before  # type: ignore[union-attr]
    assert len(lab.cloud.things) == 3


def test_a_change_that_is_no_run_input_does_not_run(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("run", type="fake.run", input="x", schedule="daily"))
    change = lab.plan(thing("run", type="fake.run", input="x", schedule="weekly")).plan.changes[0]
    assert not change.runs and change.after["output"] == "out-1"  # type: ignore[index]
