from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from unit.resolve.resolving import inputs_of, problem, problems, resolved

from mlinfra.model.values import Map, Secret

ONE = "variables: {x: {%s}}\nresources: {a: {kind: data, input: '${vars.x}'}}\n"


def value(tmp_path: Path, declaration: str, **inputs: Any) -> Any:
    return inputs_of(resolved(tmp_path, ONE % declaration, **inputs))["a"]


def test_sources_from_weakest_to_strongest(tmp_path: Path) -> None:
    text = "environments: {dev: {variables: {x: env}}, bare: {}}\n" + ONE % "default: default"
    first, second = tmp_path / "a.yaml", tmp_path / "b.json"
    first.write_text("x: first\n")
    second.write_text('{"x": "second"}')
    steps: list[tuple[dict[str, Any], str]] = [
        ({"environment": "bare"}, "default"),
        ({"environment": "dev"}, "env"),
        ({"environ": {"MLINFRA_VAR_x": "environ"}}, "environ"),
        ({"var_files": (first,)}, "first"),
        ({"var_files": (first, second)}, "second"),
        ({"variables": {"x": "option"}}, "option"),
    ]
    given: dict[str, Any] = {}
    for index, (step, expected) in enumerate(steps):
        given |= step
        folder = tmp_path / str(index)
        assert inputs_of(resolved(folder, text, **given))["a"] == expected


@pytest.mark.parametrize(
    ("type_name", "text", "expected"),
    [
        ("string", "5", "5"),
        ("string", "true", "true"),
        ("integer", "5", 5),
        ("number", "0.5", 0.5),
        ("number", "2", 2),
        ("boolean", "true", True),
        ("list", "[1, two]", (1, "two")),
        ("map", '{"a": [1]}', Map(a=(1,))),
        ("any", "5", 5),
        ("any", "plain text: here", "plain text: here"),
        ("any", "no", "no"),
        ("any", "", ""),
        ("any", "[1, {a: b}]", (1, Map(a="b"))),
    ],
)
def test_text_from_outside_is_read_as_the_declared_type(tmp_path: Path, type_name: str, text: str, expected: Any) -> None:
    found = value(tmp_path, f"type: {type_name}", variables={"x": text})
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("type_name", "text", "expected"),
    [
        ("integer", "5.5", "a whole number, not the number 5.5"),
        ("integer", "five", "a whole number, not the text 'five'"),
        ("integer", "true", "a whole number, not true"),
        ("boolean", "yes", "true or false, not the text 'yes'"),
        ("list", "{a: 1}", "a list, not a map"),
        ("map", "[", "a map, not the text '['"),
    ],
)
def test_value_of_another_type_is_refused(tmp_path: Path, type_name: str, text: str, expected: str) -> None:
    found = problem(tmp_path, ONE % f"type: {type_name}", variables={"x": text})
    assert (found.code, found.message) == ("variable.type", f"variable 'x' must be {expected}")
    assert "--var x" in found.hint


def test_yaml_values_are_not_converted(tmp_path: Path) -> None:
    found = problem(tmp_path, ONE % "type: string, default: 5")
    assert found.message == "variable 'x' must be text, not the number 5"


def test_check_refuses_with_its_message_and_the_rule_beside(tmp_path: Path) -> None:
    declaration = 'type: integer, default: 30, check: {rule: "value >= 1 && value <= 20", message: 1 to 20 replicas}'
    found = problem(tmp_path, ONE % declaration)
    assert found.code == "variable.check"
    assert "1 to 20 replicas (30 is refused)" in found.message
    assert found.related[0][1] == "the rule"
    assert value(tmp_path / "ok", declaration, variables={"x": "20"}) == 20


@pytest.mark.parametrize(
    ("rule", "code"), [("value +", "expression.syntax"), ("value", "expression.type"), ("zork > 1", "expression.")]
)
def test_check_that_cannot_be_evaluated_is_a_problem_of_the_spec(tmp_path: Path, rule: str, code: str) -> None:
    found = problem(tmp_path, ONE % f'default: 3, check: {{rule: "{rule}"}}')
    assert found.code.startswith(code)
    assert found.span is not None


def test_every_missing_variable_is_listed(tmp_path: Path) -> None:
    found = problems(tmp_path, "variables: {a: {}, b: {type: string}, c: {default: 1}}\n")
    assert [(p.code, p.message) for p in found] == [
        ("variable.missing", "variable 'a' has no value"),
        ("variable.missing", "variable 'b' has no value"),
    ]
    assert "MLINFRA_VAR_b" in found[1].hint


def test_null_default_is_a_default(tmp_path: Path) -> None:
    assert value(tmp_path, "default: null") is None


def test_unknown_option_is_refused_and_unknown_environment_variable_is_not(tmp_path: Path) -> None:
    found = problem(tmp_path, "variables: {owner: {default: a}}\n", variables={"ownr": "b"}, environ={"MLINFRA_VAR_other": "c"})
    assert found.message == "--var ownr: there is no variable 'ownr'"
    assert found.hint == "did you mean 'owner'?"


def test_broken_variable_files_are_reported_with_their_place(tmp_path: Path) -> None:
    files = {"list.yaml": "[1]", "bad.yaml": "x: [", "unknown.yaml": "y: 1"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    paths = tuple(tmp_path / name for name in (*files, "missing.yaml"))
    found = problems(tmp_path, "variables: {x: {default: 1}}\n", var_files=paths)
    assert len(found) == 4
    assert all(p.span is not None and p.span.file.startswith(str(tmp_path)) for p in found)


def test_sensitive_values_stay_secret_through_expressions(tmp_path: Path) -> None:
    text = (
        "variables: {key: {type: string, sensitive: true}, plain: {default: 1}}\n"
        "resources: {a: {kind: data, input: {url: 'k=${vars.key}', n: '${vars.key.size() + 1}'}}}\n"
        "outputs: {k: '${vars.key}', deep: {x: ['a${vars.key}']}, open: 1}\n"
    )
    found = resolved(tmp_path, text, variables={"key": "hush"})
    assert inputs_of(found)["a"] == Map(url=Secret("k=hush"), n=Secret(5))
    assert found.sensitive_outputs == ("k", "deep")
    assert found.variables == Map(plain=1)
    assert found.sensitive == ("key",)
    assert "hush" not in repr(found.components) + repr(found.outputs)


def test_sensitive_values_are_not_shown_when_they_are_refused(tmp_path: Path) -> None:
    declaration = 'type: string, sensitive: true, check: {rule: "value.size() > 20"}'
    for found in (
        problem(tmp_path / "a", ONE % declaration, variables={"x": "hush"}),
        problem(tmp_path / "b", ONE % "type: integer, sensitive: true", variables={"x": "hush"}),
    ):
        assert "hush" not in str(found)


def test_defaults_and_environments_may_use_other_names(tmp_path: Path) -> None:
    text = (
        "environments: {dev: {variables: {b: '${env}-${vars.a}'}}}\n"
        "variables: {a: {default: '${project}'}, b: {default: x}}\n"
        "resources: {r: {kind: data, input: '${vars.b}'}}\n"
    )
    assert inputs_of(resolved(tmp_path, text))["r"] == "dev-demo"


def test_values_from_outside_are_never_expressions(tmp_path: Path) -> None:
    assert value(tmp_path, "type: string", variables={"x": "${env}"}) == "${env}"


def test_variables_that_need_each_other_are_reported_with_their_circle(tmp_path: Path) -> None:
    found = problem(tmp_path, "variables: {a: {default: '${vars.b}'}, b: {default: '${vars.a}'}}\n")
    assert found.message == "these need each other: vars.a → vars.b → vars.a"
