"""Another stack's outputs, with the real command: from its state to a plan, and what is said when they are not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from conftest import Ran

NET = """\
version: 1
project: net
state: {encryption: {key: "env:NET_KEY", whole: true}}
variables: {token: {type: string, sensitive: true, default: planted-token}}
resources:
  names: {kind: data, input: [a, %s]}
outputs: {names: "${names.output}", token: "${vars.token}"}
"""
APP = """\
version: 1
project: app
stacks: {net: {store: local, path: ../net/.mlinfra/state, project: net, encryption: {key: "env:NET_KEY"}}}
resources:
  one: {kind: data, for_each: "${stacks.net.names}", input: "${each.key}"}
  login: {kind: data, input: "Bearer ${stacks.net.token}"}
"""


def test_a_stack_builds_on_the_outputs_of_another(run_mlinfra: Callable[..., Ran], spec_folder: Callable[..., Path]) -> None:
    environment = {"NET_KEY": "a passphrase of some length"}
    net, app = spec_folder(NET % "b", name="net"), spec_folder(APP, name="app")

    def run(folder: Path, *words: str, code: int = 0) -> str:
        ran = run_mlinfra(words, folder, environment=environment)
        assert ran.code == code and "planted" not in ran.text, ran.text
        return " ".join(ran.text.split())

    run(app, "validate")  # nobody is asked
    said = run(app, "plan", code=1)
    assert "the stack 'net' cannot be read: there is no state of net/default there" in said and "mlinfra.yaml:3:" in said
    run(net, "apply", "--yes")
    run(app, "plan", "--out", "saved.plan")
    run(app, "apply", "saved.plan")
    assert 'one["b"]' in run(app, "state", "list")
    run(app, "plan", "--detailed-exitcode")
    (net / "mlinfra.yaml").write_text(NET % "c")
    run(net, "apply", "--yes")
    said = run(app, "plan", "--detailed-exitcode", code=2)
    assert "1 to add, 0 to change, 1 to destroy" in said
    for file in app.rglob("*"):
        assert not file.is_file() or b"planted" not in file.read_bytes(), file

    (net / ".mlinfra/state/net/default/state.json").rename(net / "kept")
    for segment in (net / ".mlinfra/state/net/default/journal").iterdir():
        segment.unlink()
    assert "there is no state of net/default" in run(app, "plan", code=1)
    assert "3 destroyed" in run(app, "destroy", "--yes"), "what stands on a stack that is gone can be taken away"
    (net / "kept").rename(net / ".mlinfra/state/net/default/state.json")
    run(net, "destroy", "--yes")
