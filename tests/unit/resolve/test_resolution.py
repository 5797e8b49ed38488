from __future__ import annotations

from pathlib import Path

import pytest
from unit.resolve.resolving import problem, problems, resolved, under_caret, write

from mlinfra.model.errors import SpecError
from mlinfra.model.values import Map
from mlinfra.resolve import Inputs, examine, resolve
from mlinfra.resolve.files import read_digests
from mlinfra.resolve.order import topological
from mlinfra.resolve.resolved import Import, Removed
from mlinfra.spec.loader import load

ENVIRONMENTS = """
variables: {region: {default: eu}}
environments:
  dev: {}
  prod: {target: aws.eu, protect: true, providers: {aws: {region: "${vars.region}-central-1"}}, state: {bucket: prod}}
  ci: {state: {store: local}}
providers: {aws: {region: us-east-1, profile: p}, docker: {}}
state: {store: s3, bucket: all}
"""


def test_environment_is_merged_over_the_spec(tmp_path: Path) -> None:
    found = resolved(tmp_path, ENVIRONMENTS, environment="prod")
    assert (found.environment, found.target, found.protect) == ("prod", "aws.eu", True)
    assert found.providers == {"aws": Map(region="eu-central-1", profile="p"), "docker": Map()}
    assert found.state == Map(store="s3", bucket="prod")


def test_dev_is_the_default_where_there_is_one(tmp_path: Path) -> None:
    found = resolved(tmp_path, ENVIRONMENTS)
    assert (found.environment, found.target, found.protect) == ("dev", "local", False)
    bare = resolved(tmp_path / "bare", "environments: {prod: {target: aws}}\n")
    assert (bare.environment, bare.target, bare.state) == ("", "local", Map(store="local"))
    assert found.warnings == ()
    assert [(w.code, w.message) for w in bare.warnings] == [
        ("environment.none_chosen", "none of the environments (prod) is chosen: what they say does not count here")
    ]


def test_environment_with_another_store_does_not_inherit_its_settings(tmp_path: Path) -> None:
    assert resolved(tmp_path, ENVIRONMENTS, environment="ci").state == Map(store="local")


def test_unknown_environment_lists_those_there_are(tmp_path: Path) -> None:
    spec = load(write(tmp_path, ENVIRONMENTS))
    with pytest.raises(SpecError) as error:
        resolve(spec, Inputs(environment="prdo"))
    assert error.value.diagnostics[0].hint == "did you mean 'prod'?; the spec has dev, prod, ci"


def test_what_a_component_needs_stands_before_it(tmp_path: Path) -> None:
    text = "resources:\n  c: {kind: data, input: 'x-${b.output}', depends_on: [a]}\n  b: {kind: data, tags: {t: '${a.output}'}}\n  a: {kind: data}\n"
    assert list(resolved(tmp_path, text).needs.items()) == [("a", ()), ("b", ("a",)), ("c", ("b", "a"))]


def test_a_component_with_a_mistake_has_no_model(tmp_path: Path) -> None:
    found, _ = examine(load(write(tmp_path, "resources: {good: {kind: bucket}, bad: {kind: bucket, nmae: x}}\n")), Inputs())
    assert [(c.name, c.model is None) for c in found.components] == [("good", False), ("bad", True)]


def test_a_reference_that_means_nothing_is_shown_at_its_first_name(tmp_path: Path) -> None:
    found = problem(tmp_path, "resources: {a: {kind: data, input: '${  b.output }'}}\n")
    assert (found.code, under_caret(tmp_path, found)[:4]) == ("reference.unknown_name", "b.ou")


def test_provider_settings_must_be_known(tmp_path: Path) -> None:
    found = problem(tmp_path, "providers: {aws: {region: '${raw.uri}'}}\nresources: {raw: {kind: bucket}}\n")
    assert (found.code, under_caret(tmp_path, found)[:5]) == ("expression.not_known", "'${ra")


def test_all_problems_are_collected_by_place_and_name_the_broken_components(tmp_path: Path) -> None:
    text = (
        "variables: {n: {type: integer, default: x}}\nresources:\n  a: {kind: data, input: '${zork}'}\n"
        "  b: {kind: data, input: '${vars.n}'}\n  c: {kind: data, input: '${a.output}'}\noutputs: {o: '${c.outputt}'}\n"
    )
    spec = load(write(tmp_path, text))
    found, diagnostics = examine(spec, Inputs())
    assert [p.code for p in diagnostics] == ["variable.type", "reference.unknown_name", "reference.unknown_output"]
    assert found.broken == {"a", "b"}
    assert [c.name for c in found.components] == ["a", "b", "c"]
    with pytest.raises(SpecError) as error:
        resolve(spec, Inputs())
    assert error.value.diagnostics == diagnostics


def test_moves_removals_and_imports_are_resolved(tmp_path: Path) -> None:
    text = (
        "variables: {id: {default: 5}}\nresources: {a: {kind: data}, item: {kind: data, for_each: [x]}}\n"
        "moved: [{from: old, to: a}, {from: item, to: 'item[\"x\"]'}, {from: module.gone.z, to: item}]\n"
        "removed: [{from: gone, destroy: false}, {from: module.old}]\nimports: [{to: a, id: 'n-${vars.id}'}]\n"
    )
    found = resolved(tmp_path, text)
    assert found.moved == (("old", "a"), ("item", 'item["x"]'), ("module.gone.z", "item"))
    assert found.removed == (Removed(source="gone", destroy=False), Removed(source="module.old", destroy=True))
    assert found.imports == (Import(to="a", id="n-5"),)


def test_moves_of_a_module_happen_in_every_instance(tmp_path: Path) -> None:
    module = "resources: {new: {kind: data}}\nmoved: [{from: old, to: new}]\n"
    found = resolved(tmp_path, "modules: {m: {source: ./m, for_each: [a, b]}}\n", {"m/mlinfra.yaml": module})
    assert found.moved == (('module.m["a"].old', 'module.m["a"].new'), ('module.m["b"].old', 'module.m["b"].new'))


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("moved: [{from: a, to: b}]", "moved: a is still declared"),
        ("moved: [{from: x, to: bb}]", "moved: there is no bb"),
        ("moved: [{from: x, to: x}]", "moved: x is moved to itself"),
        ("moved: [{from: x, to: a}, {from: x, to: b}]", "moved: x is moved twice, to a and to b"),
        ("moved: [{from: 'not one', to: a}]", "moved.from: 'not one' is no address"),
        ("removed: [{from: a}]", "removed: a is still declared"),
        ("imports: [{to: aa, id: x}]", "imports: there is no resource 'aa'"),
        ("imports: [{to: a, id: '${b.id}'}]", "imports: the id of a must be known at plan time"),
        ("imports: [{to: a, id: x}, {to: a, id: y}]", "imports: a is imported twice"),
    ],
)
def test_moves_removals_and_imports_that_make_no_sense_are_refused(tmp_path: Path, block: str, message: str) -> None:
    found = problem(tmp_path, f"resources: {{a: {{kind: data}}, b: {{kind: data}}}}\n{block}\n")
    assert found.message == message
    assert found.span is not None


def test_paths_that_are_not_there_are_all_reported_at_their_places(tmp_path: Path) -> None:
    text = "resources:\n  b: {kind: bucket}\n" + "".join(
        f"  {n}: {{kind: dataset, bucket: '${{b}}', source: {n}.csv}}\n" for n in ("x", "y")
    )
    found = resolved(tmp_path, text)
    with pytest.raises(SpecError) as error:
        read_digests(found)
    assert [p.message for p in error.value.diagnostics] == [
        "x: there is no file or folder 'x.csv'",
        "y: there is no file or folder 'y.csv'",
    ]
    assert [under_caret(tmp_path, p) for p in error.value.diagnostics] == ["x.csv}", "y.csv}"]


def test_recorded_digests_are_taken_as_they_are(tmp_path: Path) -> None:
    text = "resources:\n  b: {kind: bucket}\n  x: {kind: dataset, bucket: '${b}', source: x.csv}\n"
    found = resolved(tmp_path, text, {"x.csv": "1"})
    before = read_digests(found)
    (tmp_path / "x.csv").write_text("2")
    assert read_digests(found, recorded=before) == before
    assert read_digests(found) != before


def test_resolving_twice_gives_the_same(tmp_path: Path) -> None:
    spec = load(write(tmp_path, ENVIRONMENTS + "resources: {a: {kind: data, for_each: [x, y], input: '${env}'}}\n"))
    assert resolve(spec, Inputs()) == resolve(spec, Inputs())


def test_order_puts_needs_first_and_keeps_the_rest() -> None:
    order, circles = topological({"a": ["c"], "b": [], "c": ["zork"], "d": ["a", "b"]})
    assert (order, circles) == (["c", "a", "b", "d"], [])
    assert topological({"x": ["y"], "y": ["z"], "z": ["y"]})[1] == [["y", "z", "y"]]


def test_ten_mistakes_are_ten_problems(tmp_path: Path) -> None:
    lines = [f"  r{i}: {{kind: data, input: '${{nothing_{i}.x}}'}}" for i in range(10)]
    assert len(problems(tmp_path, "resources:\n" + "\n".join(lines) + "\n")) == 10
