from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from unit.resolve.resolving import inputs_of, problem, problems, resolved, under_caret

from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import StateError
from mlinfra.model.values import Map, Secret, SecretDigest

NET = Map(subnet="subnet-1", zones=("a", "b"), deep=Map(n=3), key=Secret("hush-hush"), lost=SecretDigest("k.00"))
STACKS = "stacks: {net: {store: local, path: ../net, project: network, env: prod}}\n"


def reader(asked: list[Any] | None = None) -> Any:
    def read(name: str, state: Map, project: str, environment: str) -> Map:
        if asked is not None:
            asked.append((name, dict(state), project, environment))
        return NET

    return read


def data(expression: str) -> str:
    return f"{STACKS}resources: {{a: {{kind: data, input: '{expression}'}}}}\n"


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("${stacks.net.subnet}", "subnet-1"),
        ("x-${stacks.net.subnet}", "x-subnet-1"),
        ("${stacks.net.zones}", ("a", "b")),
        ("${stacks.net.deep.n + size(stacks.net.zones)}", 5),
        ("${stacks.net.key}", Secret("hush-hush")),
        ("k=${stacks.net.key}", Secret("k=hush-hush")),
    ],
)
def test_another_stacks_output_is_a_constant(tmp_path: Path, expression: str, value: Any) -> None:
    assert inputs_of(resolved(tmp_path, data(expression), read_stack=reader()))["a"] == value


def test_an_output_may_shape_the_graph_and_a_module_gets_it_as_an_input(tmp_path: Path) -> None:
    text = STACKS + "modules: {m: {source: ./m, for_each: '${stacks.net.zones}', with: {x: '${stacks.net.subnet}'}}}\n"
    module = "variables: {x: {}}\nresources: {r: {kind: data, input: '${vars.x}'}}\n"
    found = inputs_of(resolved(tmp_path, text, {"m/mlinfra.yaml": module}, read_stack=reader()))
    assert found == {'module.m["a"].r': "subnet-1", 'module.m["b"].r': "subnet-1"}


def test_a_stack_is_read_once_and_only_when_it_is_used(tmp_path: Path) -> None:
    asked: list[Any] = []
    resolved(tmp_path / "unused", STACKS, read_stack=reader(asked))
    assert asked == []
    resolved(tmp_path / "used", data("${stacks.net.subnet}${stacks.net.deep.n}"), read_stack=reader(asked))
    assert asked == [("net", {"store": "local", "path": "../net"}, "network", "prod")]


def test_a_stack_without_a_store_lies_where_this_ones_state_does(tmp_path: Path) -> None:
    asked: list[Any] = []
    text = (
        "environments: {prod: {state: {prefix: p}}}\nstate: {store: s3, bucket: acme}\nvariables: {who: {default: net}}\n"
        "stacks: {net: {project: '${vars.who}-core'}, own: {env: dev}}\n"
        "resources: {a: {kind: data, input: ['${stacks.net.subnet}', '${stacks.own.subnet}']}}\n"
    )
    resolved(tmp_path, text, read_stack=reader(asked), environment="prod")
    store = {"store": "s3", "bucket": "acme", "prefix": "p"}
    assert asked == [("net", store, "net-core", "prod"), ("own", store, "demo", "dev")]


@pytest.mark.parametrize(
    ("expression", "code", "message", "hint"),
    [
        ("${stacks.nett.x}", "reference.unknown_name", "there is no stack 'nett'", "did you mean 'net'?"),
        ("${stacks}", "reference.unknown_name", "stacks alone has no value; write stacks.NAME.OUTPUT", "net"),
        (
            "${stacks.net.subnett}",
            "reference.unknown_output",
            "the stack 'net' has no output 'subnett'",
            "did you mean 'subnet'?",
        ),
        ("${stacks.net.lost}", "stack.secret_not_kept", "the output 'lost' of the stack 'net' is sensitive", "state.encryption"),
        ("${stacks.net}", "stack.secret_not_kept", "the output 'lost' of the stack 'net' is sensitive", "state.encryption"),
    ],
)
def test_mistakes_are_found_at_their_place(tmp_path: Path, expression: str, code: str, message: str, hint: str) -> None:
    found = problem(tmp_path, data(expression), read_stack=reader())
    assert found.code == code and found.message.startswith(message) and hint in found.hint
    assert under_caret(tmp_path, found).startswith("stacks")


def test_where_a_stack_is_must_be_known_and_no_secret(tmp_path: Path) -> None:
    text = (
        "stacks: {net: {store: s3, bucket: '${raw.uri}'}, key: {store: s3, bucket: '${secret(\"env:B\")}'}, odd: {store: zork}, "
        "few: {store: s3, buckett: x}}\n"
        "resources:\n  raw: {kind: bucket}\n"
        "  a: {kind: data, input: ['${stacks.net.x}', '${stacks.key.x}', '${stacks.odd.x}', '${stacks.few.x}']}\n"
    )
    for offline in (reader(), None):
        found = problems(tmp_path, text, read_stack=offline)
        said = [p.message for p in found]
        assert len(said) == 4 and all(p.span is not None for p in found), said
        assert "stacks.net.bucket uses a value that is known only after apply" in said
        assert "stacks.key.bucket cannot be sensitive" in said and "there is no state store 'zork'" in said


def test_a_module_cannot_reach_past_its_inputs(tmp_path: Path) -> None:
    module = "resources: {r: {kind: data, input: '${stacks.net.subnet}'}}\n"
    found = problem(tmp_path, STACKS + "modules: {m: {source: ./m}}\n", {"m/mlinfra.yaml": module}, read_stack=reader())
    assert "a module knows no other stacks" in found.message and "with:" in found.hint


def test_a_stack_that_cannot_be_read_is_said_once_at_its_block(tmp_path: Path) -> None:
    def refuse(*_: Any) -> Map:
        raise StateError(Diagnostic(code="state.store_unavailable", message="no bucket", hint="make it"))

    found = problem(tmp_path, data("${stacks.net.subnet} ${stacks.net.zones}"), read_stack=refuse)
    assert (found.code, found.hint) == ("state.store_unavailable", "make it") and found.span is not None and found.span.line == 3


def test_without_a_reader_what_uses_a_stack_is_not_looked_at(tmp_path: Path) -> None:
    text = data("${stacks.net.anything}") + "outputs: {o: '${stacks.net.other}'}\n"
    assert problems(tmp_path, text) == []


def test_a_state_block_that_needs_a_stack_that_lies_in_it_is_a_circle(tmp_path: Path) -> None:
    text = "state: {store: s3, bucket: '${stacks.net.x}'}\nstacks: {net: {project: p}}\nresources: {a: {kind: data, input: 1}}\n"
    found = problem(tmp_path, text, read_stack=reader())
    assert found.code == "reference.cycle"
