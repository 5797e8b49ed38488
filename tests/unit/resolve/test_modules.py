from __future__ import annotations

from pathlib import Path

from unit.resolve.resolving import component, inputs_of, problem, problems, resolved, under_caret

from mlinfra.model.values import Expr, Map, Ref, Secret
from mlinfra.resolve.files import excluded_paths, read_digests

RAG = """
variables: {uri: {type: string}, n: {type: integer, default: 3, check: {rule: value < 10, message: below 10}}}
resources:
  inner: {kind: data, input: "${vars.uri}#${vars.n}"}
outputs: {out: "${inner.output}", n: "${vars.n}", whole: "${inner}"}
"""


def test_module_is_flattened_with_its_own_variables_and_outputs(tmp_path: Path) -> None:
    text = (
        "resources:\n  raw: {kind: bucket}\n  use: {kind: data, input: ['${module.rag.out}', '${module.rag.n}',"
        " '${module.rag.whole.id}', '${module.rag}']}\n"
        "modules:\n  rag: {source: ./modules/rag, with: {uri: '${raw.uri}', n: '${2 + 2}'}}\n"
    )
    found = inputs_of(resolved(tmp_path, text, {"modules/rag/mlinfra.yaml": RAG}))
    inner = Ref("module.rag.inner")
    output = Ref(inner.address, ("output",))
    assert found["module.rag.inner"] == Expr(
        "${vars.uri}#${vars.n}", ((("vars", "uri"), Ref("raw", ("uri",))), (("vars", "n"), 4))
    )
    assert found["use"] == (output, 4, Ref(inner.address, ("id",)), Map(out=output, n=4, whole=inner))


def test_modules_may_need_each_others_outputs_where_resources_have_no_circle(tmp_path: Path) -> None:
    text = (
        "modules:\n  a: {source: ./m, with: {x: first}}\n  b: {source: ./m, with: {x: '${module.a.out}'}}\n"
        "  c: {source: ./m, with: {x: '${module.b.out}'}}\n"
    )
    module = "variables: {x: {}}\nresources: {r: {kind: data, input: '${vars.x}'}}\noutputs: {out: '${r.output}'}\n"
    found = inputs_of(resolved(tmp_path, text, {"m/mlinfra.yaml": module}))
    assert found["module.c.r"] == Ref("module.b.r", ("output",))


def test_modules_for_each_enabled_and_nested(tmp_path: Path) -> None:
    text = (
        "modules:\n  m: {source: ./m, for_each: {a: 1, b: 2, c: 3}, enabled: '${each.value != 2}', with: {x: '${each.value}'}}\n"
        "  off: {source: ./m, enabled: false}\n"
        "outputs: {one: '${module.m[\"a\"].out}', all: '${module.m}', off: '${module.off}'}\n"
    )
    files = {
        "m/mlinfra.yaml": "variables: {x: {}}\nmodules: {deep: {source: ./deep, with: {y: '${vars.x * 10}'}}}\n"
        "outputs: {out: '${module.deep.z}'}\n",
        "m/deep/mlinfra.yaml": "variables: {y: {}}\nresources: {r: {kind: data, input: '${vars.y}'}}\noutputs: {z: '${vars.y + 1}'}\n",
    }
    found = resolved(tmp_path, text, files)
    assert inputs_of(found) == {'module.m["a"].module.deep.r': 10, 'module.m["c"].module.deep.r': 30}
    assert found.outputs == Map(one=11, all=Map(a=Map(out=11), c=Map(out=31)), off=None)


def test_mistakes_around_a_module_are_placed_where_they_are_written(tmp_path: Path) -> None:
    text = (
        "resources:\n  use: {kind: data, input: '${module.rag.outt}'}\n"
        "modules:\n  rag: {source: ./modules/rag, with: {urii: x, n: 12}}\n"
    )
    wrong = RAG.replace("inner.output", "inner.outputt")
    found = problems(tmp_path, text, {"modules/rag/mlinfra.yaml": wrong})
    places = [(p.code, under_caret(tmp_path, p)[:5]) for p in found]
    assert places == [
        ("reference.unknown_output", "modul"),
        ("variable.missing", "rag: "),
        ("variable.unknown", "urii:"),
        ("variable.check", "12}}\n".strip()),
        ("reference.unknown_output", "inner"),
    ]


def test_module_that_is_not_there_or_contains_itself_is_refused(tmp_path: Path) -> None:
    assert problem(tmp_path / "a", "modules: {m: {source: ./nothing}}\n").span is not None
    found = problem(tmp_path / "b", "modules: {m: {source: ./m}}\n", {"m/mlinfra.yaml": "modules: {again: {source: ../m}}\n"})
    assert (found.code, found.message) == ("module.recursion", "module 'again' contains itself: . → m → m")


def test_sensitive_input_stays_secret_inside(tmp_path: Path) -> None:
    text = "variables: {k: {sensitive: true, default: hush}}\nmodules: {m: {source: ./m, with: {x: 'a-${vars.k}'}}}\n"
    module = "variables: {x: {type: string}}\nresources: {r: {kind: data, input: '${vars.x}'}}\n"
    assert inputs_of(resolved(tmp_path, text, {"m/mlinfra.yaml": module}))["module.m.r"] == Secret("a-hush")


def test_local_paths_of_a_module_are_relative_to_the_module(tmp_path: Path) -> None:
    module = "resources:\n  b: {kind: bucket}\n  d: {kind: dataset, bucket: '${b}', source: files/t.csv}\n"
    files = {"modules/m/mlinfra.yaml": module, "modules/m/files/t.csv": "a,b"}
    found = resolved(tmp_path, "modules: {m: {source: ./modules/m}}\n", files)
    made = component(found, "module.m.d")
    assert made.properties["source"] == made.model.source == "modules/m/files/t.csv"
    assert read_digests(found)[("modules/m/files/t.csv", "data")].size == 3
    assert set(excluded_paths(found)) == {"mlinfra.yaml", "modules/m/mlinfra.yaml", "modules/m/files/t.csv"}
