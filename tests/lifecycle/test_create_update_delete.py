"""A resource comes, changes in place, and goes; then there is nothing to do."""

from __future__ import annotations

from pathlib import Path

from fakes.lab import Lab, thing

from mlinfra.model.values import Ref


def test_what_is_wanted_is_made_in_dependency_order(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("b", value=Ref("a", ("url",))), thing("a", value=1))
    assert [line for line in lab.cloud.log if line.startswith("create")] == ["create a", "create b"]
    made = lab.cloud.named("b")
    assert made is not None and made.attributes["value"] == "fake://a"


def test_planning_again_finds_nothing_to_do(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    wanted = (thing("a", value={"x": [1, 2]}, tags=["p", "q"]), thing("b", value=Ref("a", ("url",))))
    lab.run(*wanted)
    made = lab.plan(*wanted)
    assert made.plan.is_empty and not made.plan.drift and not made.plan.has_notes


def test_an_unordered_list_in_another_order_is_no_change(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a", tags=["p", "q"]))
    assert lab.plan(thing("a", tags=["q", "p"])).plan.is_empty


def test_a_changed_value_is_updated_in_place(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a", value={"x": 1, "y": 2}))
    id = lab.state.get("a").id  # type: ignore[union-attr]
    made = lab.plan(thing("a", value={"x": 1, "y": 3}))
    change = made.plan.changes[0]
    assert lab.actions(made) == {"a": "update"}
    assert [(a.path, a.before, a.after) for a in change.attributes] == [(("value", "y"), 2, 3)]
    lab.apply(made)
    assert lab.state.get("a").id == id  # type: ignore[union-attr]
    assert lab.cloud.things[id].attributes["value"] == {"x": 1, "y": 3}


def test_an_attribute_that_is_wanted_no_more_is_taken_away(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a", value=1))
    lab.run(thing("a"))
    assert "value" not in lab.state.get("a").attributes  # type: ignore[union-attr]
    assert lab.plan(thing("a")).plan.is_empty


def test_what_is_not_in_the_spec_any_more_is_deleted_dependents_first(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a"), thing("b", value=Ref("a", ("url",))), thing("keep"))
    made = lab.plan(thing("keep"))
    assert lab.actions(made) == {"a": "delete", "b": "delete"}
    lab.apply(made)
    assert [line for line in lab.cloud.log if line.startswith("delete")] == ["delete b", "delete a"]
    assert lab.cloud.names() == ["keep"]


def test_destroy_empties_the_cloud_and_the_state(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    wanted = (thing("a"), thing("b", value=Ref("a", ("url",))))
    lab.run(*wanted, outputs={"url": Ref("a", ("url",))})
    lab.run(*wanted, mode="destroy")
    assert not lab.cloud.things and not lab.state.resources and not lab.state.outputs


def test_an_output_is_recorded_and_its_change_is_planned(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a"), outputs={"url": Ref("a", ("url",))})
    assert lab.state.outputs == {"url": "fake://a"}
    made = lab.plan(thing("a"), outputs={"url": Ref("a", ("name",))})
    assert [(o.name, o.before, o.after) for o in made.plan.output_changes] == [("url", "fake://a", "a")]


def test_the_state_does_not_keep_growing_with_no_changes(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a"))
    keys = lab.store.list("p/default/journal/")
    assert len(keys) == 1
