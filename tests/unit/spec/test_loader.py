"""Files to a Spec: which files count, what each block becomes, and what is refused where."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mlinfra.model.component import Lifecycle
from mlinfra.model.errors import SpecError
from mlinfra.spec.document import Spec
from mlinfra.spec.loader import load, load_module, read


def folder(at: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        file = at / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return at


def spec_of(at: Path, text: str) -> Spec:
    return load(folder(at, {"mlinfra.yaml": text}))


def problems(at: Path, text: str | Mapping[str, str]) -> list[str]:
    """``code file:line:column`` of every problem."""
    files = {"mlinfra.yaml": text} if isinstance(text, str) else text
    with pytest.raises(SpecError) as caught:
        load(folder(at, files))
    return [f"{d.code} {d.span}" for d in caught.value.diagnostics]


def messages(at: Path, text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load(folder(at, {"mlinfra.yaml": text}))
    return [str(d) for d in caught.value.diagnostics]


EVERYTHING = """
version: 1
project: tickets
variables:
  free:
  replicas: {type: integer, default: 1, description: how many, check: {rule: "value >= 1", message: at least one}}
  key: {type: string, sensitive: true}
  none: {default: null}
environments:
  dev:
  prod: {target: aws.eu, providers: {aws: {region: x}}, variables: {replicas: 3}, state: {store: s3}, protect: true}
providers: {aws: {region: us-east-1}, aws.eu: , docker: {}}
state: {store: local}
resources:
  raw:
    kind: bucket
    versioning: true
  all:
    kind: docker.network
    target: docker
    for_each: {a: 1}
    enabled: "${vars.on}"
    depends_on: [raw, "${raw}", module.rag, 'item["a"]']
    description: everything
    tags: {team: ml, cost: 5}
    native: {Name: x}
    lifecycle: {protect: true, create_first: false, ignore_changes: [a], replace_when: ["${raw.id}"], timeout: 1h30m}
    existing: abc
    Driver: bridge
    properties: {kind: odd, tags: [x]}
modules:
  rag: {source: ./modules/rag, with: {size: 1}, for_each: "${vars.rags}", depends_on: [raw]}
outputs:
  url: ${raw.uri}
  full: {value: 1, sensitive: true, description: secret}
  map: {a: 1, b: 2}
  empty: {}
moved: [{from: a, to: b}]
removed: [{from: c, destroy: false}, {from: d}]
imports: [{to: raw, id: 5}]
policies: [{name: p, deny: "true", message: no}]
stacks: {net: {store: s3, project: net}}
budget: {prod: 100 USD/month}
"""


def place_of(words: str) -> str:
    """Where ``words`` stand in EVERYTHING."""
    before = EVERYTHING[: EVERYTHING.index(words)]
    return f"mlinfra.yaml:{before.count(chr(10)) + 1}:{len(before) - before.rindex(chr(10))}"


def test_every_block_is_read(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, EVERYTHING)
    assert (spec.project, spec.version, spec.root) == ("tickets", 1, tmp_path)
    assert dict(spec.files) == {"mlinfra.yaml": EVERYTHING}
    assert list(spec.variables) == ["free", "replicas", "key", "none"]
    replicas = spec.variables["replicas"]
    assert (replicas.type, replicas.default, replicas.rule, replicas.message) == ("integer", 1, "value >= 1", "at least one")
    assert str(replicas.rule_span) == place_of('"value >= 1')
    assert spec.variables["key"].sensitive
    assert not spec.variables["key"].has_default
    assert spec.variables["none"].has_default
    prod = spec.environments["prod"]
    assert (prod.target, prod.providers, prod.variables, prod.protect) == (
        "aws.eu",
        {"aws": {"region": "x"}},
        {"replicas": 3},
        True,
    )
    assert spec.environments["dev"].target is None
    assert spec.providers == {"aws": {"region": "us-east-1"}, "aws.eu": {}, "docker": {}}
    assert spec.outputs["url"].value == "${raw.uri}"
    assert (spec.outputs["full"].value, spec.outputs["full"].sensitive, spec.outputs["full"].description) == (1, True, "secret")
    assert spec.outputs["map"].value == {"a": 1, "b": 2}
    assert spec.outputs["empty"].value == {}
    assert [(m.source, m.to) for m in spec.moved] == [("a", "b")]
    assert [(r.source, r.destroy) for r in spec.removed] == [("c", False), ("d", True)]
    assert [(i.to, i.id) for i in spec.imports] == [("raw", "5")]
    assert [(b.policy.name, b.policy.rule, b.policy.message) for b in spec.policies if b.policy] == [("p", "true", "no")]
    assert spec.stacks == {"net": {"store": "s3", "project": "net"}}
    assert {name: b.monthly for name, b in spec.budget.items()} == {"prod": 100}


def test_a_resource_has_its_common_keys_and_its_properties_apart(tmp_path: Path) -> None:
    block = spec_of(tmp_path, EVERYTHING).resources["all"]
    assert (block.kind, block.target, block.description, block.existing) == ("docker.network", "docker", "everything", "abc")
    assert block.properties == {"Driver": "bridge", "kind": "odd", "tags": ["x"]}
    assert (block.for_each, block.has_for_each, block.enabled) == ({"a": 1}, True, "${vars.on}")
    assert block.depends_on == ("raw", "raw", "module.rag", 'item["a"]')
    assert (block.tags, block.native) == ({"team": "ml", "cost": 5}, {"Name": "x"})
    assert block.lifecycle == Lifecycle(protect=True, create_first=False, ignore_changes=("a",), timeout=5400.0)
    assert block.replace_when == ("${raw.id}",)
    assert str(block.span) == place_of("all:")
    assert str(block.properties.key_span("Driver")) == place_of("Driver")
    assert str(block.properties.value_span("tags")) == place_of("[x]}")
    assert str(block.node.value_span("tags")) == place_of("{team: ml")


def test_modules_are_read(tmp_path: Path) -> None:
    module = spec_of(tmp_path, EVERYTHING).modules["rag"]
    assert (module.source, module.inputs, module.depends_on) == ("./modules/rag", {"size": 1}, ("raw",))
    assert (module.for_each, module.has_for_each) == ("${vars.rags}", True)


def test_the_smallest_spec_is_a_project(tmp_path: Path) -> None:
    assert spec_of(tmp_path, "project: p\n").resources == {}


def test_without_mlinfra_yaml_all_files_are_merged(tmp_path: Path) -> None:
    at = folder(
        tmp_path,
        {
            "a.yaml": "version: 1\nproject: p\nresources: {a: {kind: data}}\nproviders: {aws: {}}\nmoved: [{from: x, to: y}]\n",
            "b.yml": "version: 1\nresources: {b: {kind: data}}\nproviders: {docker: {}}\nmoved: [{from: z, to: y}]\n",
            ".hidden.yaml": "nonsense: [",
            "empty.yaml": "# nothing yet\n",
            "notes.txt": "nonsense: [",
            "sub/other.yaml": "nonsense: [",
        },
    )
    spec = load(at)
    assert list(spec.files) == ["a.yaml", "b.yml", "empty.yaml"]
    assert {name: str(block.span) for name, block in spec.resources.items()} == {"a": "a.yaml:3:13", "b": "b.yml:2:13"}
    assert spec.providers is not None
    assert str(spec.providers.key_span("docker")) == "b.yml:3:13"
    assert str(spec.providers.value_span("aws")) == "a.yaml:4:18"
    assert len(spec.moved) == 2


def test_mlinfra_yaml_leaves_the_other_files_out(tmp_path: Path) -> None:
    at = folder(tmp_path, {"mlinfra.yaml": "project: p\n", "compose.yaml": "services: {}\n"})
    assert list(load(at).files) == ["mlinfra.yaml"]


def test_one_file_can_be_named(tmp_path: Path) -> None:
    at = folder(tmp_path, {"mlinfra.yaml": "project: p\n", "other.yaml": "project: q\n"})
    spec = load(at / "other.yaml")
    assert (spec.project, spec.root) == ("q", tmp_path)


def test_a_name_given_in_two_files_shows_both_places(tmp_path: Path) -> None:
    files = {
        "a.yaml": "project: p\nstate: {store: local}\nresources: {r: {kind: data}}\nproviders: {aws: {}}\noutputs: {o: 1}\n",
        "b.yaml": "project: q\nstate: {store: s3}\nresources: {r: {kind: data}}\nproviders: {aws: {}}\noutputs: {o: 1}\n",
    }
    with pytest.raises(SpecError) as caught:
        load(folder(tmp_path, files))
    found = sorted((str(d.span), str(d.related[0][0]), d.code) for d in caught.value.diagnostics)
    assert found == [(f"b.yaml:{at}", f"a.yaml:{at}", "spec.duplicate_name") for at in ("1:1", "2:1", "3:13", "4:13", "5:11")]


def test_problems_of_all_files_come_together(tmp_path: Path) -> None:
    files = {"a.yaml": "project: p\nresources: [\n", "b.yaml": "resurces: {}\n", "c.yaml": "resources: {r: {kind: buket}}\n"}
    assert problems(tmp_path, files) == ["yaml.syntax a.yaml:3:1", "spec.unknown_key b.yaml:1:1", "spec.unknown_kind c.yaml:1:23"]


def test_a_foreign_yaml_file_gets_a_hint_how_to_leave_it_out(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load(folder(tmp_path, {"a.yaml": "project: p\n", "compose.yaml": "services: {}\n"}))
    assert "name the spec's own file mlinfra.yaml" in caught.value.diagnostics[0].hint


@pytest.mark.parametrize("missing", ["nowhere", "."])
def test_no_folder_and_no_spec_say_what_to_do(tmp_path: Path, missing: str) -> None:
    with pytest.raises(SpecError) as caught:
        load(tmp_path / missing)
    (problem,) = caught.value.diagnostics
    assert problem.code == "spec.not_found"
    assert "-C" in problem.hint


def test_an_impossible_path_is_no_traceback() -> None:
    with pytest.raises(SpecError):
        load(Path("a\0b"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["spec.missing_key mlinfra.yaml:1:1"]),
        ("# nothing\n", ["spec.missing_key mlinfra.yaml:1:1"]),
        ("just text\n", ["spec.bad_type mlinfra.yaml:1:1", "spec.missing_key mlinfra.yaml:1:1"]),
        ("- a\n", ["spec.bad_type mlinfra.yaml:1:1", "spec.missing_key mlinfra.yaml:1:1"]),
        ("project: 5\n", ["spec.bad_type mlinfra.yaml:1:10"]),
        ("project: ${vars.p}\n", ["spec.bad_type mlinfra.yaml:1:10"]),
        ("project: p\nversion: two\n", ["spec.bad_type mlinfra.yaml:2:10"]),
        ("project: p\nversion: true\n", ["spec.bad_type mlinfra.yaml:2:10"]),
        ("project: p\nresources: []\n", ["spec.bad_type mlinfra.yaml:2:12"]),
        ("project: p\nresources: {a: {kind: }}\n", ["spec.missing_key mlinfra.yaml:2:17"]),
        ("project: p\nresources: {a: {kind: [data]}}\n", ["spec.bad_type mlinfra.yaml:2:23"]),
        ("project: p\nresources: {a: {kind: '${vars.k}'}}\n", ["spec.unknown_kind mlinfra.yaml:2:23"]),
        ("project: p\nresources: {each: {kind: data}}\n", ["spec.bad_name mlinfra.yaml:2:13"]),
        ("project: p\nresources: {a: {kind: data, target: 'a b'}}\n", ["spec.bad_name mlinfra.yaml:2:37"]),
        ("project: p\nresources: {a: {kind: data, for_each: 5}}\n", ["spec.bad_type mlinfra.yaml:2:39"]),
        ("project: p\nresources: {a: {kind: data, for_each: }}\n", ["spec.bad_type mlinfra.yaml:2:29"]),
        ("project: p\nresources: {a: {kind: data, depends_on: [5, 'a b']}}\n",
         ["spec.bad_type mlinfra.yaml:2:42", "spec.bad_name mlinfra.yaml:2:45"]),
        ("project: p\nresources: {a: {kind: data, tags: {t: [x]}}}\n", ["spec.bad_type mlinfra.yaml:2:39"]),
        ("project: p\nresources: {a: {kind: data, existing: true}}\n", ["spec.bad_type mlinfra.yaml:2:39"]),
        ("project: p\nresources: {a: {kind: data, lifecycle: {timeout: -5}}}\n", ["spec.bad_type mlinfra.yaml:2:50"]),
        ("project: p\nresources: {a: {kind: data, lifecycle: {timeout: .nan}}}\n", ["spec.bad_type mlinfra.yaml:2:50"]),
        ("project: p\nmodules: {m: {}}\n", ["spec.missing_key mlinfra.yaml:2:11"]),
        ("project: p\nmodules: {m: {source: '${vars.x}'}}\n", ["spec.bad_type mlinfra.yaml:2:23"]),
        ("project: p\nvariables: {a: 5}\n", ["spec.bad_type mlinfra.yaml:2:16"]),
        ("project: p\nvariables: {a: {check: {}}}\n", ["spec.missing_key mlinfra.yaml:2:24"]),
        ("project: p\noutputs: {a: {sensitive: true}}\n", ["spec.missing_key mlinfra.yaml:2:11"]),
        ("project: p\nproviders: {a-b: {}, c: 5}\n", ["spec.bad_name mlinfra.yaml:2:13", "spec.bad_type mlinfra.yaml:2:25"]),
        ("project: p\nimports: [{to: a}, {id: b}, {to: a, id: [b]}]\n",
         ["spec.missing_key mlinfra.yaml:2:11", "spec.missing_key mlinfra.yaml:2:20", "spec.bad_type mlinfra.yaml:2:41"]),
        ("project: p\npolicies: [{name: a}, {name: b, deny: x, warn: y}, c]\n",
         ["spec.bad_type mlinfra.yaml:2:52", "spec.missing_key mlinfra.yaml:2:12", "spec.bad_value mlinfra.yaml:2:23"]),
        ("project: p\nstacks: {net: 5}\n", ["spec.bad_type mlinfra.yaml:2:15"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_shown_at_its_place(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert sorted(problems(tmp_path, text)) == sorted(expected)


@pytest.mark.parametrize(
    "name", ["in", "for", "package", "var", "vars", "env", "project", "module", "stacks", "self", "A", "a-b", "1a", "_a", "ä"]
)
def test_names_that_expressions_cannot_use_are_refused(tmp_path: Path, name: str) -> None:
    assert problems(tmp_path, f"project: p\nresources: {{'{name}': {{kind: data}}}}\n") == ["spec.bad_name mlinfra.yaml:2:13"]


@pytest.mark.parametrize("name", ["namespace", "package", "env", "project"])
def test_variables_may_have_names_that_only_resources_may_not(tmp_path: Path, name: str) -> None:
    assert list(spec_of(tmp_path, f"project: p\nvariables: {{{name}: {{}}}}\n").variables) == [name]


def test_terraforms_type_names_get_a_fitting_hint(tmp_path: Path) -> None:
    text = "project: p\nresources: {a: {kind: aws_s3_bucket}, b: {kind: google_storage_bucket}}\n"
    assert [m.partition("did you mean ")[2] for m in messages(tmp_path, text)] == ["aws.s3_bucket?)", "gcp.storage_bucket?)"]


@pytest.mark.parametrize("source", ["https://example.com/x.zip", "git@example.com:x/y", "github.com/x/y", "hg::https://h/x"])
def test_modules_from_elsewhere_are_refused_clearly(tmp_path: Path, source: str) -> None:
    (message,) = messages(tmp_path, f"project: p\nmodules: {{m: {{source: '{source}'}}}}\n")
    assert "from a local folder or from git" in message and "git::https://" in message


def test_a_module_has_no_project_and_no_environments(tmp_path: Path) -> None:
    at = folder(
        tmp_path,
        {"rag/mlinfra.yaml": "variables: {size: {}}\nproject: p\nenvironments: {}\nresources: {r: {kind: data}}\nzz: 1\n"},
    )
    with pytest.raises(SpecError) as caught:
        load_module(at / "rag", shown="modules/rag")
    assert [(d.code, str(d.span)) for d in caught.value.diagnostics] == [
        ("spec.not_in_module", "modules/rag/mlinfra.yaml:2:1"),
        ("spec.not_in_module", "modules/rag/mlinfra.yaml:3:1"),
        ("spec.unknown_key", "modules/rag/mlinfra.yaml:5:1"),
    ]


def test_a_module_is_a_spec_without_a_project(tmp_path: Path) -> None:
    at = folder(tmp_path, {"rag/main.yaml": "resources: {r: {kind: data}}\n", "rag/out.yaml": "outputs: {o: '${r.id}'}\n"})
    spec = load_module(at / "rag", shown="modules/rag")
    assert (list(spec.resources), list(spec.outputs), list(spec.files)) == (
        ["r"], ["o"], ["modules/rag/main.yaml", "modules/rag/out.yaml"],
    )  # fmt: skip


def test_a_module_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load_module(tmp_path / "rag")
    assert str(tmp_path / "rag") in caught.value.diagnostics[0].message


def test_read_gives_what_can_be_used_and_names_the_rest(tmp_path: Path) -> None:
    text = (
        "project: p\nresources: {good: {kind: data}, odd: {kind: nope}, broken: 5}\n"
        "variables: {v: 5}\nmodules: {m: {source: 'git::'}}\n"
    )
    spec, found = read(folder(tmp_path, {"mlinfra.yaml": text}))
    assert {name: block.kind for name, block in spec.resources.items()} == {"good": "data", "odd": ""}
    assert spec.unreadable == {"broken", "vars.v", "module.m"}
    assert len(found) == 4


def test_read_refuses_only_what_is_no_yaml(tmp_path: Path) -> None:
    with pytest.raises(SpecError):
        read(folder(tmp_path, {"mlinfra.yaml": "project: [\n"}))


def test_anchors_and_merge_keys_work_across_resources(tmp_path: Path) -> None:
    text = """
project: p
resources:
  a: &base
    kind: bucket
    versioning: true
    lifecycle: &kept {protect: true}
  b:
    <<: *base
    versioning: false
  c: {kind: data, lifecycle: *kept}
"""
    spec = spec_of(tmp_path, text)
    assert spec.resources["b"].properties == {"versioning": False}
    assert all(block.lifecycle.protect for block in spec.resources.values())


def test_a_large_spec_is_read_in_linear_time(tmp_path: Path) -> None:
    def count(size: int) -> int:
        lines = [f"  r{i}: {{kind: data, input: {{n: {i}}}, tags: {{t: x}}}}" for i in range(size)]
        return calls_of(lambda: spec_of(tmp_path, "project: p\nresources:\n" + "\n".join(lines)))

    small, large = count(200), count(2000)
    assert large < 12 * small


def calls_of(work: Any) -> int:
    """How many Python functions run: a measure of time that does not depend on the machine."""
    import sys

    calls = 0

    def profile(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls
