"""``secret("…")``: recognised, checked, carried as its place only; nothing is fetched while a spec is resolved."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.model.errors import MlinfraError
from mlinfra.model.values import Expr, Secret, SecretRef
from mlinfra.resolve import Inputs, cel, resolve
from mlinfra.resolve.template import SECRET, parse
from mlinfra.spec.loader import load
from mlinfra.state import secret_sources

HEAD = "version: 1\nproject: p\nresources:\n"


def resolved(folder: Path, written: str) -> object:
    """What ``input: written`` of a data resource becomes."""
    (folder / "mlinfra.yaml").write_text(f"{HEAD}  secret: {{kind: data}}\n  a: {{kind: data, input: {written}}}\n")
    found = resolve(load(folder), Inputs())
    return next(c.properties["input"] for c in found.components if c.name == "a")


def test_it_stands_for_its_place_until_somebody_fetches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_sources, "fetch", lambda *_: pytest.fail("nothing may be fetched here"))
    assert resolved(tmp_path, "\"${secret('env:PW')}\"") == Secret(SecretRef("env:PW"))
    assert resolved(tmp_path, "'${ secret( \"file:a b.txt\" ) }'") == Secret(SecretRef("file:a b.txt"))


def test_a_resource_may_still_be_called_secret(tmp_path: Path) -> None:
    assert str(resolved(tmp_path, "'${secret.id}'")) == "secret.id"


def test_inside_text_it_waits_and_then_hides_the_whole_text(tmp_path: Path) -> None:
    value = resolved(tmp_path, "\"u:${secret('env:PW')}@${secret.id}\"")
    assert isinstance(value, Expr)
    filled = cel.substitute(value, lambda _: "h", lambda ref: Secret("pw-of-" + ref.source))
    assert isinstance(filled, Secret) and filled.reveal() == "u:pw-of-env:PW@h"


def test_functions_take_it(tmp_path: Path) -> None:
    value = resolved(tmp_path, "\"${base64.encode(bytes('u:' + secret('env:PW')))}\"")
    filled = cel.substitute(value, lambda _: "h", lambda _: Secret("x"))
    assert filled == Secret("dTp4")


@pytest.mark.parametrize(
    ("written", "said", "column"),
    [
        ("secret('vault:x')", "there is no secret source 'vault'", 29),
        ("secret('awsm:x')", "did you mean 'awssm'", 29),
        ("secret('PW')", "does not say where", 29),
        ("secret('gcpsm:db')", "gcpsm: is followed by something else", 29),
        ("secret('azurekv:http://v/secrets/x')", "azurekv: is followed by", 29),
        ("secret('env:1x')", "env: is followed by", 29),
        ("secret(project)", "takes one literal text", 29),
        ("secret()", "takes one literal text", 29),
        ("secret('env:A', 'env:B')", "takes one literal text", 29),
    ],
)
def test_what_cannot_be_a_source_is_refused_at_its_place(tmp_path: Path, written: str, said: str, column: int) -> None:
    with pytest.raises(MlinfraError) as caught:
        resolved(tmp_path, f'"${{{written}}}"')
    problem = caught.value.diagnostics[0]
    assert said in f"{problem.message} {problem.hint}"
    assert problem.span is not None and (problem.span.line, problem.span.column) >= (5, column - 3)


def test_it_cannot_decide_how_many_resources_there_are(tmp_path: Path) -> None:
    (tmp_path / "mlinfra.yaml").write_text(f"{HEAD}  a: {{kind: data, for_each: \"${{secret('env:X')}}\"}}\n")
    with pytest.raises(MlinfraError, match="sensitive"):
        resolve(load(tmp_path), Inputs())


def test_the_state_block_takes_none(tmp_path: Path) -> None:
    (tmp_path / "mlinfra.yaml").write_text("version: 1\nproject: p\nstate: {path: \"${secret('env:X')}\"}\n")
    with pytest.raises(MlinfraError, match=r"cannot use secret\(\)"):
        resolve(load(tmp_path), Inputs())


@given(st.text(alphabet=st.characters(blacklist_categories=("Cs",), blacklist_characters="\"\\\n'"), max_size=30))
def test_every_literal_is_read_as_written(source: str) -> None:
    chain = parse(f'${{secret("{source}")}}').codes[0].chains[0]
    assert chain.names == (SECRET, source)


def fetch(source: str, base: Path, **environ: str) -> object:
    found, refused = asyncio.run(secret_sources.fetch([SecretRef(source)], base, environ))
    return found[SecretRef(source)].reveal() if found else refused[SecretRef(source)].message


def test_env_and_file_are_read_and_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("line\n")
    (tmp_path / "pem").write_text("one\ntwo\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert fetch("env:PW", tmp_path, PW="v") == "v" and fetch("file:pw", tmp_path) == "line"
    assert fetch("file:pem", tmp_path) == "one\ntwo\n"
    assert "PW is not set" in str(fetch("env:PW", tmp_path)) and "is no text" in str(fetch("file:binary", tmp_path))
    assert "cannot be read" in str(fetch("file:absent", tmp_path))


def test_a_source_is_asked_once_however_often_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setitem(secret_sources._SERVICES, "awssm", lambda name: asked.append(name) or "{}")  # type: ignore[arg-type]
    asyncio.run(secret_sources.fetch([SecretRef("awssm:a")] * 5, tmp_path))
    assert asked == ["a"]
