from __future__ import annotations

from pathlib import Path

import pytest
from unit.resolve.resolving import component, inputs_of, problem, problems, resolved, under_caret

from mlinfra.model.values import Expr, Map, Ref

RAW = "resources:\n  raw: {kind: bucket}\n"


def test_reference_stays_a_ref_and_an_expression_over_it_an_expr(tmp_path: Path) -> None:
    found = inputs_of(
        resolved(tmp_path, RAW + "  a: {kind: data, input: ['${raw}', '${raw.uri}', '${raw.uri}/x', '${1 + 2}']}\n")
    )
    expr = Expr("${raw.uri}/x", ((("raw", "uri"), Ref("raw", ("uri",))),))
    assert found["a"] == (Ref("raw"), Ref("raw", ("uri",)), expr, 3)


def test_constants_are_bound_at_once(tmp_path: Path) -> None:
    text = RAW + "  a: {kind: data, input: '${raw.uri}/${env}/${project}'}\nenvironments: {dev: {}}\n"
    bindings = dict(inputs_of(resolved(tmp_path, text))["a"].bindings)
    assert bindings == {("raw", "uri"): Ref("raw", ("uri",)), ("env",): "dev", ("project",): "demo"}


def test_doubled_dollar_stays_text(tmp_path: Path) -> None:
    assert inputs_of(resolved(tmp_path, "resources: {a: {kind: data, input: '$${raw.uri}'}}\n"))["a"] == "${raw.uri}"


@pytest.mark.parametrize(
    ("expression", "code", "message", "hint", "caret"),
    [
        ("${rwa.uri}", "reference.unknown_name", "there is no resource named 'rwa'", "did you mean 'raw'?", "rwa.uri"),
        ("${raw.urii}", "reference.unknown_output", "raw (bucket) has no output 'urii'", "did you mean 'uri'?", "raw.urii"),
        (
            "x ${ raw.urii + 'a' }",
            "reference.unknown_output",
            "raw (bucket) has no output 'urii'",
            "did you mean 'uri'?",
            "raw.urii",
        ),
        ("${raw.uri.x}", "reference.unknown_output", "raw.uri is a string, it has no 'x'", "", "raw.uri.x"),
        ("${vars.siize}", "reference.unknown_variable", "there is no variable 'siize'", "did you mean 'size'?", "vars.siize"),
        ("${size}", "reference.unknown_name", "there is no resource named 'size'", "did you mean vars.size?", "size}"),
        ("${module.zork.x}", "reference.unknown_name", "there is no module 'zork'", "", "module.zork"),
        ("${each.key}", "reference.unknown_name", "each has a meaning only in a block with for_each", "", "each.key"),
        ("${stacks.net.x}", "reference.unknown_name", "there is no stack 'net'", "name it under stacks:", "stacks.net"),
        ("${raw.uri + }", "expression.syntax", "this is no valid expression: something is missing at the end", "", " }"),
        ("${raw.uri + zork(1)}", "expression.unknown_function", "there is no function zork()", "", "(1)"),
        ("${raw.uri", "expression.syntax", "this ${ is never closed", "write $${ for a literal ${", "${raw.uri"),
        ("a${ }", "expression.syntax", "there is nothing between ${ and }", "write $${", "${ }"),
        ("${vars.size.x}", "expression.no_such_key", "vars.size has no x", "", "vars.size.x"),
    ],
)
def test_mistakes_are_found_with_place_and_suggestion(
    tmp_path: Path, expression: str, code: str, message: str, hint: str, caret: str
) -> None:
    found = problem(tmp_path, f'variables: {{size: {{default: 3}}}}\n{RAW}  a: {{kind: data, input: "{expression}"}}\n')
    assert (found.code, found.message) == (code, message)
    assert hint in found.hint
    assert under_caret(tmp_path, found).startswith(caret)


def test_place_is_found_in_folded_and_literal_text(tmp_path: Path) -> None:
    text = RAW + "  a:\n    kind: data\n    input: |\n      first ${raw.uri}\n      second ${raw.zork}\n  b:\n    kind: data\n"
    text += "    input: >-\n      one\n        two ${raw.zonk}\n"
    first, second = problems(tmp_path, text)
    assert under_caret(tmp_path, first) == "raw.zork}"
    assert under_caret(tmp_path, second) == "raw.zonk}"


def test_mistake_in_a_key_is_refused(tmp_path: Path) -> None:
    assert problem(tmp_path, RAW + "  a: {kind: data, input: {'${raw.uri}': 1}}\n").code == "expression.in_key"


def test_one_mistake_is_reported_once_however_many_use_it(tmp_path: Path) -> None:
    text = "variables: {x: {type: integer, default: no}}\nresources:\n"
    text += "".join(f"  r{i}: {{kind: data, input: '${{vars.x + {i}}}'}}\n" for i in range(3))
    text += "  many: {kind: data, for_each: [a, b], input: '${zork.uri}'}\n"
    assert [p.code for p in problems(tmp_path, text)] == ["variable.type", "reference.unknown_name"]


def test_properties_are_checked_against_their_kind(tmp_path: Path) -> None:
    found = problems(tmp_path, "resources: {raw: {kind: bucket, versionning: true}, b: {kind: bucket, versioning: 'yes'}}\n")
    assert [p.code for p in found] == ["spec.unknown_key", "spec.bad_type"]
    assert "did you mean 'versioning'?" in found[0].hint


def test_deferred_value_passes_the_kind_check(tmp_path: Path) -> None:
    found = resolved(tmp_path, RAW + "  b: {kind: bucket, name: '${raw.name}-b', versioning: '${raw.id != null}'}\n")
    assert isinstance(component(found, "b").properties["versioning"], Expr)


def test_native_kinds_offer_what_their_schema_says(tmp_path: Path) -> None:
    from unit.resolve.resolving import write

    from mlinfra.resolve import Inputs, examine
    from mlinfra.spec.loader import load

    text = "resources:\n  n: {kind: docker.network, Name: x}\n  a: {kind: data, input: '${n.Nmae} ${n.Id}'}\n"
    spec = load(write(tmp_path, text))
    assert examine(spec, Inputs())[1] == ()
    _, found = examine(spec, Inputs(), outputs_of=lambda kind: {"Name": "string", "Id": "string"})
    assert [p.message for p in found] == ["n (docker.network) has no output 'Nmae'"]


def test_common_keys_are_evaluated(tmp_path: Path) -> None:
    text = (
        "variables: {id: {default: 7}}\nresources:\n  raw: {kind: bucket}\n"
        "  a: {kind: bucket, existing: 'b-${vars.id}', target: local, tags: {t: '${raw.uri}'}, native: {x: '${vars.id}'},"
        " description: text, lifecycle: {protect: true, replace_when: ['${raw.id}', 3], timeout: 2m}}\n"
    )
    found = component(resolved(tmp_path, text), "a")
    assert (found.existing, found.tags, found.native) == ("b-7", Map(t=Ref("raw", ("uri",))), Map(x=7))
    assert found.lifecycle.replace_when == (Ref("raw", ("id",)), 3)
    assert (found.lifecycle.protect, found.lifecycle.timeout) == (True, 120)
    assert found.span is not None
    assert found.spans[("tags", "t")].line == found.span.line


def test_id_that_is_only_looked_up_must_be_known(tmp_path: Path) -> None:
    assert problem(tmp_path, RAW + "  a: {kind: bucket, existing: '${raw.name}'}\n").code == "expression.not_known"


@pytest.mark.parametrize(
    ("text", "circle"),
    [
        ("a: {kind: data, input: '${a.id}'}", "a needs itself"),
        (
            "a: {kind: data, input: '${b.id}'}\n  b: {kind: data, input: {x: ['${c.id + 1}']}}\n  c: {kind: data, depends_on: [a]}",
            "these need each other: a → b → c → a",
        ),
        ("a: {kind: data, tags: {x: '${b.id}'}}\n  b: {kind: data, native: {y: '${a.id}'}}", "these need each other: a → b → a"),
    ],
)
def test_circles_are_reported_with_every_place(tmp_path: Path, text: str, circle: str) -> None:
    found = problem(tmp_path, f"resources:\n  {text}\n")
    assert (found.code, found.message) == ("reference.cycle", circle)
    assert found.span is not None
    assert len(found.related) == circle.count("→") - (1 if "→" in circle else 0)


def test_long_chains_need_no_recursion(tmp_path: Path) -> None:
    lines = [f"  r{i}: {{kind: data, input: '${{r{i + 1}.id}}'}}" for i in range(3000)]
    found = resolved(tmp_path, "resources:\n" + "\n".join(lines) + "\n  r3000: {kind: data}\n")
    assert len(found.components) == 3001
    found_problem = problem(tmp_path / "c", "resources:\n" + "\n".join(lines) + "\n  r3000: {kind: data, input: '${r0.id}'}\n")
    assert found_problem.message.count("→") == 3001


def test_depends_on_means_components_instances_and_modules(tmp_path: Path) -> None:
    text = (
        "resources:\n  item: {kind: data, for_each: [x, y]}\n  a: {kind: data, depends_on: [item, module.m]}\n"
        "  b: {kind: data, depends_on: ['item[\"x\"]']}\nmodules:\n  m: {source: ./m, depends_on: [b]}\n"
    )
    module = "resources: {inner: {kind: data}, too: {kind: data, depends_on: [inner]}}\n"
    found = resolved(tmp_path, text, {"m/mlinfra.yaml": module})
    assert component(found, "a").depends_on == ('item["x"]', 'item["y"]', "module.m.inner", "module.m.too")
    assert component(found, "b").depends_on == ('item["x"]',)
    assert component(found, "module.m.too").depends_on == ("module.m.inner", "b")


@pytest.mark.parametrize("name", ["zork", 'item["z"]', "module.zork", "module.m.zork"])
def test_depends_on_something_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    text = f"resources:\n  item: {{kind: data, for_each: [x, y]}}\n  a: {{kind: data, depends_on: ['{name}']}}\nmodules: {{m: {{source: ./m}}}}\n"
    found = problem(tmp_path, text, {"m/mlinfra.yaml": "resources: {c: {kind: data}}\n"})
    assert under_caret(tmp_path, found).startswith(f"'{name}'")
