"""What a data_pipeline lowers to, and what its kind refuses, with the place of each mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pipeline_project import Project
from pydantic import ValidationError

from mlinfra.kinds.data_pipeline import DataPipeline, Step
from mlinfra.model.values import UNKNOWN, Map, Ref, freeze
from mlinfra.provider.contract import LoweringError
from mlinfra_local.pipelines.definition import define, read, write
from mlinfra_local.resources.pipeline import Pipeline


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def mistakes(spec: dict[str, Any]) -> dict[tuple[Any, ...], str]:
    with pytest.raises(ValidationError) as error:
        DataPipeline.model_validate(freeze(spec))
    return {problem["loc"]: problem["msg"] for problem in error.value.errors()}


def steps(**given: Any) -> dict[str, Step]:
    return DataPipeline.model_validate(freeze({"steps": given})).steps


def test_lowering_twice_gives_the_same_and_every_output_is_a_reference(project: Project) -> None:
    lowered = project.lowered()
    assert lowered == project.lowered()
    assert lowered.outputs["outputs"] == Map(
        clean=Ref("features", ("outputs", "clean")), count=Ref("features", ("outputs", "count"))
    )
    assert set(lowered.outputs) == set(DataPipeline.outputs)
    (resource,) = lowered.resources
    assert resource.attributes["steps"]["check"]["takes"] == Map(clean="clean.clean")
    assert set(resource.attributes) <= set(Pipeline.schema.attributes)


def test_an_image_is_refused_with_the_alternative(project: Project) -> None:
    project.spec["image"] = "python:3.12"
    with pytest.raises(LoweringError) as error:
        project.lowered()
    (problem,) = error.value.diagnostics
    assert problem.path == ("image",)
    assert "target docker" in problem.hint


def test_the_fingerprint_is_predicted_when_all_is_known_and_ignores_what_changes_no_result(project: Project) -> None:
    predict = Pipeline.schema.predict
    assert predict is not None
    wanted = project.desired().attributes
    first = predict(wanted)
    assert first["status"] == "ready"
    assert predict(Map({**wanted, "schedule": "@daily"})) == {**first, "status": "running"}
    assert "fingerprint" not in predict(Map({**wanted, "steps": UNKNOWN}))
    assert "status" not in predict(Map({**wanted, "schedule": UNKNOWN}))
    (project.base / "raw.csv").write_text("id,label\n")
    assert predict(project.desired().attributes)["fingerprint"] != first["fingerprint"]


def test_a_definition_is_read_as_it_was_written(project: Project) -> None:
    project.spec["steps"]["count"] |= {"retries": 2, "timeout": "1m", "params": {"depth": 3, "fast": True}}
    project.spec["requirements"] = ["numpy"]
    definition, carried = define(project.client, project.desired().attributes)
    file = project.base / "definition.json"
    write(file, definition)
    assert read(file) == definition
    assert carried == {}
    assert definition.steps[2].arguments == ("--depth", "3", "--fast", "true")


def test_a_step_sees_all_that_the_steps_before_it_wrote_unless_it_names_what_it_wants() -> None:
    found = steps(
        a={"run": "a", "outputs": ["one", "two"]},
        b={"run": "b", "needs": ["a"], "outputs": ["three"]},
        all={"run": "c", "needs": ["b"]},
        one={"run": "d", "needs": ["b"], "inputs": {"one": None, "other": "b.three"}},
        direct={"run": "e", "inputs": {"x": "a.two"}},
        given={"run": "f", "needs": ["a"], "inputs": {"one": "local://buckets/b"}},
    )
    taken = {name: step.taken(found) for name, step in found.items()}
    assert taken["all"] == {"one": ("a", "one"), "two": ("a", "two"), "three": ("b", "three")}
    assert taken["one"] == {"one": ("a", "one"), "other": ("b", "three")}
    assert found["direct"].upstream(found) == ("a",)
    assert taken["given"] == {"two": ("a", "two")}


def test_every_mistake_of_the_steps_is_found_at_its_place() -> None:
    found = mistakes(
        {
            "steps": {
                "clean": {"run": " ", "needs": ["chek"], "outputs": ["clean", "clean", "No"]},
                "Embed": {"run": "e", "env": {"A-B": "x"}},
                "look": {"run": "l", "inputs": {"away": None}, "expect": {"rows": ">", "median(x)": "> 1", "acc": "> high"}},
                "idle": {"needs": ["clean"]},
                "round": {"run": "r", "needs": ["trip"]},
                "trip": {"run": "t", "needs": ["round"]},
                "soon": {"run": "s", "timeout": 0},
            },
        }
    )
    assert {place[1:]: text for place, text in found.items()} == {
        ("clean", "run"): "an empty command",
        ("clean", "needs", 0): "there is no step 'chek'; there are clean, Embed, look, idle, round, trip, soon",
        ("clean", "outputs", 1): "the output 'clean' is written by 'clean' too; names are unique",
        ("clean", "outputs", 2): "'No' is no name of an output: lower-case letters, digits and _",
        ("Embed",): "'Embed' is no name of a step: lower-case letters, digits and _",
        ("Embed", "env", "A-B"): "'A-B' is no name of an environment variable",
        ("look", "inputs", "away"): "no step that 'look' needs has an output 'away': give its URI, or add the step",
        ("look", "expect", "rows"): '\'>\' is no comparison; write it like "> 1000", ">= 0.9" or "== 10"',
        (
            "look",
            "expect",
            "median(x)",
        ): "there is no function 'median'; there are rows, columns, null_rate(column), min(column), "
        "max(column), mean(column), unique(column)",
        ("look", "expect", "acc"): "'high' is no number, and > compares numbers",
        ("idle",): "the step 'idle' does nothing: give it run or expect",
        ("round",): "steps need each other in a circle: round → trip → round",
        ("soon", "timeout"): "a timeout is longer than 0",
    }


@pytest.mark.parametrize(
    "schedule", ["0 3 * * *", "*/15 0-6,22 1,15 jan-mar mon-fri", "@daily", "5/10 * * * 7", "0 0 29 2 *", "0 0 31 2 1"]
)
def test_a_good_schedule_is_taken(schedule: str) -> None:
    assert DataPipeline.model_validate({"steps": {"a": {"run": "a"}}, "schedule": schedule}).schedule == schedule


@pytest.mark.parametrize(
    ("schedule", "why"),
    [
        ("0 3 * *", "has 4 fields"),
        ("60 * * * *", "'60' is no minute of a cron schedule: 0 to 59"),
        ("* * * foo *", "'foo' is no month"),
        ("*/0 * * * *", "a step of 0"),
        ("0 9-5 * * *", "runs backwards"),
        ("0 0 31 4,6 *", "never comes: no such month has a day 31"),
        ("@fortnightly", "the short forms are"),
        ("daily", "has 1 field,"),
    ],
)
def test_a_bad_schedule_is_refused_with_the_reason(schedule: str, why: str) -> None:
    assert why in mistakes({"steps": {"a": {"run": "a"}}, "schedule": schedule})[("schedule",)]


def test_a_time_zone_must_exist() -> None:
    assert "Mars/Olympus" in mistakes({"steps": {"a": {"run": "a"}}, "timezone": "Mars/Olympus"})[("timezone",)]
