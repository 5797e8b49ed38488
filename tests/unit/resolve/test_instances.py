from __future__ import annotations

from pathlib import Path

import pytest
from unit.resolve.resolving import inputs_of, problem, problems, resolved

from mlinfra.model.values import Expr, Map, Ref


def test_for_each_over_a_map_gives_keys_and_values(tmp_path: Path) -> None:
    text = "resources: {item: {kind: data, for_each: {a: 1, b-c: {n: 2}}, input: ['${each.key}', '${each.value}']}}\n"
    assert inputs_of(resolved(tmp_path, text)) == {'item["a"]': ("a", 1), 'item["b-c"]': ("b-c", Map(n=2))}


def test_for_each_over_texts_uses_them_as_keys_and_over_anything_else_the_index(tmp_path: Path) -> None:
    text = (
        "variables: {names: {default: [x, y]}}\nresources:\n"
        "  t: {kind: data, for_each: '${vars.names}', input: '${each.value}'}\n"
        "  n: {kind: data, for_each: [5, six], input: '${each.key}=${each.value}'}\n"
        "  none: {kind: data, for_each: []}\n"
    )
    assert inputs_of(resolved(tmp_path, text)) == {'t["x"]': "x", 't["y"]': "y", "n[0]": "0=5", "n[1]": "1=six"}


def test_instances_are_referred_to_one_by_one_or_all_together(tmp_path: Path) -> None:
    text = (
        "resources:\n  item: {kind: data, for_each: {a: 1, b: 2}}\n  l: {kind: data, for_each: [1, 2]}\n"
        "  use: {kind: data, input: ['${item[\"a\"].id}', '${item}', '${l[1].id}', '${l}', '${item.map(k, item[k].id)}']}\n"
    )
    whole = Map(a=Ref('item["a"]'), b=Ref('item["b"]'))
    assert inputs_of(resolved(tmp_path, text))["use"] == (
        Ref('item["a"]', ("id",)),
        whole,
        Ref("l[1]", ("id",)),
        (Ref("l[0]"), Ref("l[1]")),
        Expr("${item.map(k, item[k].id)}", ((("item",), whole),)),
    )


def test_for_each_over_the_instances_of_another_resource(tmp_path: Path) -> None:
    text = "resources:\n  a: {kind: data, for_each: [x, y]}\n  b: {kind: data, for_each: '${a}', input: '${each.value.id}'}\n"
    assert inputs_of(resolved(tmp_path, text))['b["x"]'] == Ref('a["x"]', ("id",))


def test_values_of_for_each_may_be_unknown_where_keys_are_known(tmp_path: Path) -> None:
    text = "resources:\n  raw: {kind: bucket}\n  b: {kind: data, for_each: {k: '${raw.uri}'}, input: '${each.value}'}\n"
    assert inputs_of(resolved(tmp_path, text))['b["k"]'] == Ref("raw", ("uri",))


@pytest.mark.parametrize(
    ("for_each", "code", "said"),
    [
        ("'${raw.uri}'", "expression.not_known", "uses raw.uri, which is known only after apply"),
        ("'${raw.uri.split(\",\")}'", "expression.not_known", "uses raw.uri"),
        ("'${vars.key}'", "expression.sensitive", "is sensitive"),
        ("'${1 + 1}'", "expression.type", "must be a map or a list, not the number 2"),
        ("[a, b, a]", "expression.bad_key", "names 'a' twice"),
        ("{'': 1}", "expression.bad_key", "empty key"),
    ],
)
def test_for_each_that_cannot_be_expanded_says_why(tmp_path: Path, for_each: str, code: str, said: str) -> None:
    text = (
        "variables: {key: {default: [a], sensitive: true}}\nresources:\n  raw: {kind: bucket}\n"
        f"  a: {{kind: data, for_each: {for_each}}}\n  b: {{kind: data, input: '${{a}}', depends_on: [a]}}\n"
    )
    found = problem(tmp_path, text)
    assert found.code == code
    assert found.message.startswith("for_each of a")
    assert said in found.message


def test_what_is_not_enabled_is_gone_and_null(tmp_path: Path) -> None:
    text = (
        "variables: {on: {default: false}}\nresources:\n  gpu: {kind: data, enabled: '${vars.on}', input: '${zork}'}\n"
        "  some: {kind: data, for_each: {a: true, b: false}, enabled: '${each.value}'}\n"
        "  use: {kind: data, input: ['${gpu}', \"${gpu == null ? 'cpu' : gpu.id}\", '${some}']}\n"
    )
    found = inputs_of(resolved(tmp_path, text))
    assert list(found) == ['some["a"]', "use"]
    assert found["use"] == (None, "cpu", Map(a=Ref('some["a"]')))


def test_field_of_what_is_not_enabled_is_refused(tmp_path: Path) -> None:
    found = problem(tmp_path, "resources: {gpu: {kind: data, enabled: false}, use: {kind: data, input: '${gpu.id}'}}\n")
    assert (found.code, found.message) == ("reference.disabled", "gpu is not enabled, so it has no values")


@pytest.mark.parametrize(
    ("enabled", "code"),
    [("${raw.id}", "expression.not_known"), ("${raw.id == 'a'}", "expression.not_known"), ("${3}", "expression.type")],
)
def test_enabled_must_be_a_known_boolean(tmp_path: Path, enabled: str, code: str) -> None:
    found = problem(tmp_path, f'resources:\n  raw: {{kind: bucket}}\n  a: {{kind: data, enabled: "{enabled}"}}\n')
    assert found.code == code


def test_instances_that_are_not_there_are_refused_with_the_keys(tmp_path: Path) -> None:
    text = "resources:\n  item: {kind: data, for_each: [alpha, beta]}\n  u: {kind: data, input: ['${item[\"alpa\"].id}', '${item.output}']}\n"
    wrong, missing = problems(tmp_path, text)
    assert (wrong.message, wrong.hint) == ("item has no instance 'alpa'", "did you mean 'alpha'?")
    assert missing.hint == 'it has for_each: write item["alpha"].output (keys: alpha, beta)'


def test_for_each_that_needs_itself_is_a_circle(tmp_path: Path) -> None:
    text = "resources:\n  a: {kind: data, for_each: '${b}'}\n  b: {kind: data, for_each: '${a}'}\n"
    assert problem(tmp_path, text).message == "these need each other: a → b → a"
