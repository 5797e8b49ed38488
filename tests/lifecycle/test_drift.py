"""What somebody changed by hand is reported as drift, with its place, and repaired exactly."""

from __future__ import annotations

from pathlib import Path

from fakes.lab import Lab, thing

from mlinfra.model.component import Lifecycle


def test_a_value_changed_by_hand_is_drift_and_is_put_back(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a", value={"x": 1}), thing("b"))
    lab.cloud.named("a").attributes["value"] = {"x": 9}  # type: ignore[union-attr]
    made = lab.plan(thing("a", value={"x": 1}), thing("b"))
    assert [(d.address, [(a.path, a.before, a.after) for a in d.attributes]) for d in made.plan.drift] == [
        ("a", [(("value", "x"), 1, 9)])
    ]
    assert lab.actions(made) == {"a": "update"}
    lab.apply(made)
    assert lab.cloud.named("a").attributes["value"] == {"x": 1}  # type: ignore[union-attr]
    assert lab.plan(thing("a", value={"x": 1}), thing("b")).plan.is_empty


def test_a_dead_process_is_drift_because_it_was_predicted_to_run(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a"))
    lab.cloud.named("a").attributes["status"] = "stopped"  # type: ignore[union-attr]
    made = lab.plan(thing("a"))
    assert made.plan.drift and lab.actions(made) == {"a": "update"}
    lab.apply(made)
    assert lab.cloud.named("a").attributes["status"] == "running"  # type: ignore[union-attr]


def test_what_was_deleted_by_hand_is_made_again(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a"), thing("b"))
    lab.cloud.things.pop(lab.state.get("a").id)  # type: ignore[union-attr]
    made = lab.plan(thing("a"), thing("b"))
    assert [(d.address, d.gone) for d in made.plan.drift] == [("a", True)]
    assert lab.actions(made) == {"a": "create"}
    lab.apply(made)
    assert lab.cloud.names() == ["a", "b"] and lab.plan(thing("a"), thing("b")).plan.is_empty


def test_what_was_deleted_by_hand_and_is_not_wanted_is_forgotten(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a"), thing("b"))
    lab.cloud.things.pop(lab.state.get("a").id)  # type: ignore[union-attr]
    lab.run(thing("b"))
    assert lab.state.get("a") is None


def test_refresh_only_takes_note_and_changes_nothing(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a", value=1), thing("b"))
    lab.cloud.named("a").attributes["value"] = 2  # type: ignore[union-attr]
    lab.cloud.things.pop(lab.state.get("b").id)  # type: ignore[union-attr]
    lab.run(thing("a", value=1), thing("b"), mode="refresh_only")
    assert lab.state.get("a").attributes["value"] == 2 and lab.state.get("b") is None  # type: ignore[union-attr]
    assert lab.cloud.named("a").attributes["value"] == 2  # type: ignore[union-attr]


def test_an_ignored_attribute_is_left_as_somebody_set_it(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    ignoring = Lifecycle(ignore_changes=("value",))
    lab.run(thing("a", value=1, tags=["x"], lifecycle=ignoring))
    lab.cloud.named("a").attributes["value"] = 5  # type: ignore[union-attr]
    assert not lab.plan(thing("a", value=1, tags=["x"], lifecycle=ignoring)).plan.steps
    lab.run(thing("a", value=1, tags=["y"], lifecycle=ignoring))
    assert lab.cloud.named("a").attributes["value"] == 5  # type: ignore[union-attr]


def test_an_ignored_path_inside_a_value_is_left_alone_while_the_rest_changes(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    ignoring = Lifecycle(ignore_changes=("value.size",))
    lab.run(thing("a", value={"size": 1, "colour": "red"}, lifecycle=ignoring))
    assert not lab.plan(thing("a", value={"size": 2, "colour": "red"}, lifecycle=ignoring)).plan.steps
    lab.run(thing("a", value={"size": 2, "colour": "blue"}, lifecycle=ignoring))
    assert lab.cloud.named("a").attributes["value"] == {"size": 1, "colour": "blue"}  # type: ignore[union-attr]


def test_what_is_predicted_from_an_ignored_value_does_not_change_either(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    ignoring = Lifecycle(ignore_changes=("input",))
    lab.run(thing("a", type="local.data", input=1, lifecycle=ignoring))
    assert not lab.plan(thing("a", type="local.data", input=2, lifecycle=ignoring)).plan.steps


def test_an_ignored_attribute_stays_when_its_line_is_taken_out_of_the_spec(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    ignoring = Lifecycle(ignore_changes=("value",))
    lab.run(thing("a", value=1, tags=["x"], lifecycle=ignoring))
    for tags in (["y"], ["z"]):
        lab.run(thing("a", tags=tags, lifecycle=ignoring))
        assert lab.cloud.named("a").attributes["value"] == 1  # type: ignore[union-attr]


def test_a_successor_is_made_as_the_spec_says_ignored_attributes_too(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    ignoring = Lifecycle(ignore_changes=("value",))
    lab.run(thing("a", value=1, lifecycle=ignoring))
    made = lab.plan(thing("a", value=2, lifecycle=ignoring), replace=("a",))
    assert made.plan.changes[0].after["value"] == 2  # type: ignore[index]
    lab.apply(made)
    assert lab.cloud.named("a").attributes["value"] == 2  # type: ignore[union-attr]


def test_without_refresh_the_record_is_believed(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a", value=1))
    lab.cloud.named("a").attributes["value"] = 2  # type: ignore[union-attr]
    lab.cloud.calls.clear()
    assert lab.plan(thing("a", value=1), refresh=False).plan.is_empty
    assert not lab.cloud.calls


def test_a_type_with_a_list_call_is_read_by_one_call(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    wanted = [thing(f"t{i}", type="fake.listed") for i in range(40)]
    lab.run(*wanted)
    lab.cloud.calls.clear()
    assert lab.plan(*wanted).plan.is_empty
    assert lab.cloud.calls == {"list": 1}
