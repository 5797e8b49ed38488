"""What every target that runs code shares: command lines, fingerprints, definitions of pipelines, metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from mlinfra.model.values import UNKNOWN, Map, Secret, freeze
from mlinfra.provider.failures import Invalid
from mlinfra.provider.runs.fingerprints import fingerprint, of_pipeline, predicted_of_pipeline
from mlinfra.provider.runs.pipelines import Definition, from_json, steps_of, to_json
from mlinfra.provider.runs.results import hider, parse_metrics, quoted
from mlinfra.provider.runs.words import argv, parameters, requirement_lines, setting, text, variable

STEPS = freeze({"clean": {"command": "python clean.py", "outputs": ["rows"], "env": {"KEY": Secret("hunter2"), "DEBUG": True}},
                "check": {"needs": ["clean"], "takes": {"rows": "clean.rows"}, "expect": {"rows": "> 1"}}})  # fmt: skip


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("python a.py --x 'a b'", ["python", "a.py", "--x", "a b", "--k", "v w"]),
        ("A=1 python a.py", ["sh", "-c", "A=1 python a.py --k 'v w'"]),
        ("a.py | tee log", ["sh", "-c", "a.py | tee log --k 'v w'"]),
    ],
)
def test_a_shell_runs_what_needs_one(command: str, words: Sequence[str]) -> None:
    assert argv(command, ("--k", "v w")) == words


@pytest.mark.parametrize("command", ["python 'a", "", "  "])
def test_a_command_that_makes_no_sense_is_refused(command: str) -> None:
    with pytest.raises(Invalid):
        argv(command)


def test_parameters_become_words() -> None:
    given = Map(C=0.1, fast=True, layers=(1, 2), nothing=None, more=Map(a=1))
    assert parameters(given) == ("--C", "0.1", "--fast", "true", "--layers", "1", "2", "--more", '{"a": 1}')
    assert variable("INPUT", "train-set") == "MLINFRA_INPUT_TRAIN_SET"
    assert requirement_lines("# all\n\nscikit-learn==1.5\n  pandas # tables\n") == ("scikit-learn==1.5", "pandas # tables")


def test_a_secret_is_revealed_to_an_environment_variable_and_refused_everywhere_else() -> None:
    assert setting(Secret("hunter2")) == "hunter2" and setting(Secret(True)) == "true"
    with pytest.raises(Invalid) as refused:
        text(Secret("hunter2"))
    assert refused.value.hint == "pass it by env"
    with pytest.raises(Invalid):
        parameters(Map(key=Secret("hunter2")))


def test_fingerprints_move_with_everything_that_counts_and_hide_secrets() -> None:
    base: dict[str, Any] = {
        "code": "c", "command": "run", "params": {"C": 1}, "environment": {"K": Secret("s")}, "inputs": {"a": "u"}, "key": b"k",
    }  # fmt: skip
    first = fingerprint(**base)
    changes: list[dict[str, Any]] = [
        {"code": "d"}, {"command": "x"}, {"params": {"C": 2}}, {"environment": {"K": Secret("t")}}, {"environment": {"K": "s"}},
        {"inputs": {"a": "v"}}, {"more": 1}, {"key": b"other"},
    ]  # fmt: skip
    found = {fingerprint(**{**base, **change}) for change in changes}
    assert len(found | {first}) == len(changes) + 1
    assert fingerprint(**base) == first


def test_a_pipelines_fingerprint_is_predicted_where_nothing_is_secret_or_unknown() -> None:
    given = Map(code=Map(path=".", digest="sha256:1"), steps=Map(a=Map(command="x", timeout=5)))
    assert predicted_of_pipeline(given) == of_pipeline(given) == of_pipeline(Map({**given, "steps": Map(a=Map(command="x"))}))
    assert of_pipeline(Map({**given, "image": "python:3.12"})) != of_pipeline(given)
    assert predicted_of_pipeline(Map({**given, "steps": STEPS})) is None
    assert predicted_of_pipeline(Map({**given, "steps": Map(a=Map(command=UNKNOWN))})) is None


def test_a_definition_is_written_without_its_secrets_and_read_back() -> None:
    steps, carried = steps_of(STEPS)
    whole = Definition(name="p", code="sha256:1", fingerprint="f", steps=steps, requirements=("pandas",), schedule="0 3 * * *")
    text = to_json(whole)
    assert from_json(text) == whole
    assert carried == {"MLINFRA_SECRET_0": "hunter2"}
    assert "hunter2" not in text
    assert steps[0].env == {"DEBUG": "true"} and steps[0].secrets == {"KEY": "MLINFRA_SECRET_0"}
    assert steps[1].upstream == ("clean",)


@pytest.mark.parametrize("text", ["{", "[]", '{"steps": 1}', '{"name": "x"}'])
def test_what_is_no_definition_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        from_json(text)


def test_a_secret_on_a_command_line_is_refused() -> None:
    with pytest.raises(Invalid, match="cannot stand in params") as caught:
        steps_of(freeze({"a": {"command": "x", "params": {"token": Secret("hunter2")}}}))
    assert caught.value.path == ("steps", "a", "params", "token")


def test_metrics_are_numbers_that_json_can_say() -> None:
    assert parse_metrics('{"loss": NaN, "accuracy": 0.9}', "model") == {"loss": None, "accuracy": 0.9}
    for wrong in ("[1]", "{"):
        with pytest.raises(Invalid, match="output model"):
            parse_metrics(wrong, "model")


def test_output_is_shown_without_secrets() -> None:
    hide = hider({"KEY": Secret("line one\nline two"), "OTHER": "plain"})
    assert hide("line two and plain") == "(sensitive) and plain"
    assert quoted([]) == "; it printed nothing"
    assert quoted(["a", "b"]) == ":\n    a\n    b"
