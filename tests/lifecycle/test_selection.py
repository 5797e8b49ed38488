"""Targets, excludes, protection, moves, imports, look-ups."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.lab import Lab, thing

from mlinfra.model.component import Lifecycle
from mlinfra.model.errors import PlanError, SpecError
from mlinfra.model.values import Ref


def chain() -> tuple[object, ...]:
    return (thing("a"), thing("b", value=Ref("a", ("url",))), thing("c", value=Ref("b", ("url",))), thing("other"))


def test_a_target_brings_what_it_needs(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    assert lab.actions(lab.plan(*chain(), targets=("b",))) == {"a": "create", "b": "create"}  # type: ignore[arg-type]


def test_an_exclude_leaves_out_its_dependents_too(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    assert lab.actions(lab.plan(*chain(), excludes=("b",))) == {"a": "create", "other": "create"}  # type: ignore[arg-type]


def test_destroying_a_target_takes_its_dependents_along(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(*chain())  # type: ignore[arg-type]
    made = lab.plan(*chain(), targets=("b",), mode="destroy")  # type: ignore[arg-type]
    assert lab.actions(made) == {"b": "delete", "c": "delete"}


def test_a_target_that_is_not_there_is_an_error_with_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="did you mean 'other'"):
        Lab(tmp_path).plan(*chain(), targets=("othr",))  # type: ignore[arg-type]


def test_a_protected_resource_is_neither_deleted_nor_replaced(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    keep = Lifecycle(protect=True)
    lab.run(thing("a", lifecycle=keep))
    for wanted in ((), (thing("a", name="other", lifecycle=keep),)):
        with pytest.raises(PlanError, match="protected"):
            lab.plan(*wanted)
    with pytest.raises(PlanError, match="protected"):
        lab.plan(thing("a", lifecycle=keep), mode="destroy")


def test_protection_is_lifted_by_applying_the_lifted_block(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a", lifecycle=Lifecycle(protect=True)))
    lab.run(thing("a"))
    lab.run()
    assert not lab.cloud.things


def test_a_protected_environment_wants_a_word_before_data_is_lost(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a"))
    with pytest.raises(PlanError, match="7 rows"):
        lab.plan(environment_protected=True)
    assert lab.actions(lab.plan(environment_protected=True, allow_data_loss=True)) == {"a": "delete"}


def test_a_move_keeps_the_object(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a", name="x"), thing("user", value=Ref("a", ("url",))))
    wanted = (thing("b", name="x"), thing("user", value=Ref("b", ("url",))))
    made = lab.plan(*wanted, moved=(("a", "b"),))
    assert not made.plan.steps and made.plan.moves == (("a", "b"),)
    lab.apply(made)
    assert lab.state.get("b") is not None and lab.state.get("user").dependencies == ("b",)  # type: ignore[union-attr]
    assert lab.plan(*wanted, moved=(("a", "b"),)).plan.is_empty


def test_a_forgotten_resource_stays_in_the_world(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a"))
    made = lab.plan(forget=("a",))
    assert lab.actions(made) == {"a": "forget"}
    lab.apply(made)
    assert lab.cloud.names() == ["a"] and not lab.state.resources


def test_an_import_adopts_and_then_makes_it_fit(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a", value=1))
    lab.run(forget=("a",))
    made = lab.plan(thing("a", value=2), imports={"a": "a"})
    assert lab.actions(made) == {"a": "import"} and made.plan.counts() == {"import": 1, "change": 1}
    lab.apply(made)
    assert lab.cloud.made == 1 and lab.cloud.named("a").attributes["value"] == 2  # type: ignore[union-attr]
    assert lab.plan(thing("a", value=2), imports={"a": "a"}).plan.is_empty


def test_importing_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"no fake\.thing with the id 'nope'"):
        Lab(tmp_path).plan(thing("a"), imports={"a": "nope"})


def test_an_existing_object_is_looked_up_and_never_touched(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a", name="shared"))
    lab.run(forget=("a",))
    wanted = (thing("net", existing="shared"), thing("user", value=Ref("net", ("url",))))
    lab.run(*wanted)
    assert lab.cloud.named("user").attributes["value"] == "fake://shared"  # type: ignore[union-attr]
    assert lab.state.get("net") is None and lab.plan(*wanted).plan.is_empty
    lab.run(*wanted, mode="destroy")
    assert lab.cloud.names() == ["shared"]


def test_what_was_managed_and_is_only_looked_up_now_is_forgotten_and_never_deleted(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    user = thing("user", value=Ref("net", ("url",)))
    lab.run(thing("net", name="shared"), user)
    wanted = (thing("net", existing="shared"), user)
    assert lab.actions(lab.plan(*wanted)) == {"net": "forget"}
    assert lab.actions(lab.plan(*wanted, mode="destroy")) == {"net": "forget", "user": "delete"}
    lab.run(*wanted)
    assert lab.state.get("net") is None and lab.plan(*wanted).plan.is_empty
    lab.run()
    assert lab.cloud.names() == ["shared"], "its block is gone, and it stands"


def test_looking_up_another_under_the_name_of_what_we_made_is_refused(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a", name="theirs"))
    lab.run(forget=("a",))
    lab.run(thing("net", name="ours"))
    with pytest.raises(PlanError, match=r"but this stack made thing-\d+ under that name"):
        lab.plan(thing("net", existing="theirs"))
    assert lab.cloud.names() == ["ours", "theirs"]


def test_a_name_that_somebody_else_has_is_not_touched(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a", name="taken"))
    lab.run(forget=("a",))
    outcome = lab.run(thing("b", name="taken"))
    assert "there is a thing 'taken' already" in outcome.failures[0].message
    assert "mlinfra import b taken" in outcome.failures[0].hint
    assert lab.cloud.names() == ["taken"]
