"""Secrets are planted wherever one may come in, and searched for in everything that real runs leave: files, output, events,
plans in every form, the debug file."""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.live

SPEC = """\
version: 1
project: shop
%s
variables:
  by_flag: {type: string, sensitive: true}
  by_file: {type: string, sensitive: true}
  by_environ: {type: string, sensitive: true}
  by_default: {type: string, sensitive: true, default: planted-by-default}
  as_map: {type: map, sensitive: true, default: {inner: planted-in-a-map}}
resources:
  flag: {kind: data, input: "${vars.by_flag}"}
  file: {kind: data, input: {deep: ["${vars.by_file}", "x${vars.by_default}x"]}}
  environ: {kind: data, input: "${vars.by_environ}", triggers_replace: "${vars.as_map.inner}"}
  fetched: {kind: data, input: "postgres://u:${secret('env:FETCHED')}@${bucket.name}/${secret('file:secret.txt')}"}
  bucket: {kind: bucket}
  echo: {kind: data, input: ["${fetched.output}", "${flag.output}", "${file.output.deep}"]}
  train:
    kind: training_job
    code: job
    run: python job.py
    env: {TOKEN: "${secret('env:FETCHED')}", OTHER: "${vars.by_flag}"}
outputs:
  echo: ${echo.output}
  flag: {value: "${vars.by_flag}"}
"""
JOB = """\
import os, sys
from pathlib import Path
print("the token is", os.environ["TOKEN"])
print(os.environ["TOKEN"], file=sys.stderr)
Path(os.environ["MLINFRA_OUTPUT_MODEL"], "model.txt").write_text("a model")
"""
STATE = "state: {encryption: {key: 'env:STATE_KEY'%s}}"
GIVEN = {
    "MLINFRA_VAR_by_environ": "planted-by-environ",
    "MLINFRA_VAR_by_flag": "planted-by-flag",
    "FETCHED": "planted-by-secret-env",
}


def found_in(folder: Path, needle: bytes) -> list[str]:
    """Files in which it stands, also inside gzip and base64; those that were planted by hand left out."""
    forms = {needle, base64.b64encode(needle).rstrip(b"=")[:-1], needle.hex().encode()}
    found = []
    for path in folder.rglob("*"):
        if not path.is_file() or path.name in ("mlinfra.yaml", "secret.txt", "my.vars.yaml"):
            continue
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data += gzip.decompress(data)
        if any(form in data for form in forms):
            found.append(str(path.relative_to(folder)))
    return found


@pytest.mark.parametrize("encryption", ["", STATE % "", STATE % ", whole: true"], ids=["plain", "values", "whole"])
def test_no_planted_secret_is_written_or_said(
    encryption: str, run_mlinfra: Callable[..., Any], spec_folder: Callable[..., Path]
) -> None:
    spec = SPEC % encryption
    files = {"secret.txt": "planted-by-secret-file\n", "my.vars.yaml": "by_file: planted-by-var-file\n", "job/job.py": JOB}
    folder = spec_folder(spec, files)
    environment = {**GIVEN, "STATE_KEY": base64.b64encode(os.urandom(32)).decode()}
    common = ["--var", "by_flag=planted-by-flag", "--var-file", "my.vars.yaml", "--debug"]
    said: list[str] = []

    def run(*words: str, codes: tuple[int, ...] = (0,), **more: str) -> str:
        ran = run_mlinfra([*words, *common], folder, environment={**environment, **more})
        said.append(ran.text)
        assert ran.code in codes, ran.text
        return str(ran.out)

    run("validate")
    run("plan")
    run("plan", "--json")
    files = ["--json-into", "plan.json", "--markdown", "plan.md", "--html", "plan.html"]
    run("plan", "--out", "saved.plan", *files)
    ran = run_mlinfra(["apply", "saved.plan", "--var-file", "my.vars.yaml", "--debug"], folder, environment=environment)
    said.append(ran.text)
    assert ran.code == 0, ran.text
    run("apply", "--yes", "--json")
    run("plan", "--detailed-exitcode")
    for words in (["show"], ["show", "--json"], ["show", "saved.plan"],
                  ["show", "saved.plan", "--json", *files], ["output"], ["output", "--json"], ["state", "pull"],
                  ["state", "show", "echo"], ["state", "list", "--json"], ["history"],
                  ["explain", "echo"], ["status"], ["logs", "train"]):  # fmt: skip
        run(*words, codes=(0, 1))
    run("apply", "--yes", FETCHED="planted-another-one")
    run("apply", "--yes", codes=(1,), FETCHED="")
    run("plan", "--json", codes=(1,), FETCHED="")
    (folder / "mlinfra.yaml").write_text(
        spec.replace("kind: bucket", "kind: bukket").replace('${vars.by_flag}"}', '${vars.by_flag + 1}"}')
    )
    run("plan", codes=(1,))
    (folder / "mlinfra.yaml").write_text(spec)
    run("destroy", "--yes")
    everything = "\n".join(said)
    planted = ["planted-by-flag", "planted-by-var-file", "planted-by-environ", "planted-by-secret-env", "planted-by-secret-file",
               "planted-another-one", "planted-in-a-map"]  # fmt: skip
    assert [p for p in planted if p in everything] == []
    assert {p: found for p in planted[:-1] if (found := found_in(folder, p.encode()))} == {}


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"x planted-by-flag y"))
    (tmp_path / "b").write_bytes(base64.b64encode(b"planted-by-flag"))
    assert sorted(found_in(tmp_path, b"planted-by-flag")) == ["a.gz", "b"]


def test_a_provider_that_quotes_a_secret_in_its_error_is_not_quoted(tmp_path: Path) -> None:
    """Through the engine and the debug file's writer: a cloud that answers with what it was given."""
    from fakes.lab import Lab, thing

    from mlinfra.model.values import Secret
    from mlinfra.provider.failures import Invalid

    lab = Lab(tmp_path)

    def quotes(operation: str, name: str) -> None:
        if name == "a":
            raise Invalid("the password 'planted-quoted' is too weak", hint="not planted-quoted again")
        if name == "b":
            raise RuntimeError("planted-quoted-too")

    lab.cloud.before = quotes
    outcome = lab.run(thing("a", password=Secret("planted-quoted")), thing("b", password=Secret("planted-quoted-too")))
    assert len(outcome.failures) == 2 and "(sensitive)" in repr(outcome.failures)
    assert "planted" not in repr(outcome.failures) + repr(lab.events)
    assert not found_in(tmp_path, b"planted-quoted")


def test_plan_files_and_the_state_are_readable_by_their_owner_only(
    run_mlinfra: Callable[..., Any], spec_folder: Callable[..., Path]
) -> None:
    folder = spec_folder("version: 1\nproject: p\nstate: {encryption: {key: 'env:K'}}\nresources: {a: {kind: data, input: 1}}\n")
    (folder / "x.plan").write_text("an older file, readable by all")
    (folder / "x.plan").chmod(0o644)
    environment = {"K": base64.b64encode(os.urandom(32)).decode()}
    assert run_mlinfra(["plan", "--out", "x.plan"], folder, environment=environment).code == 0
    assert run_mlinfra(["apply", "x.plan"], folder, environment=environment).code == 0
    modes = {
        p.name: oct(p.stat().st_mode & 0o077) for p in [folder / "x.plan", *(folder / ".mlinfra/state").rglob("*")] if p.is_file()
    }
    assert set(modes.values()) == {"0o0"}, modes
    assert json.loads((folder / ".mlinfra/state/p/default/key.json").read_text())["format"] == 1
    run_mlinfra(["destroy", "--yes"], folder, environment=environment)


def test_a_secret_in_a_providers_settings_reaches_it_and_no_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    from fakes.cloud import Cloud, FakeProvider
    from pydantic import BaseModel

    from mlinfra.lower.settings import check_settings
    from mlinfra.model.errors import MlinfraError
    from mlinfra.provider.registry import Registry
    from mlinfra.resolve import Inputs, resolve
    from mlinfra.spec.loader import load
    from mlinfra.workspace import Options, connections

    seen: list[Any] = []

    class Config(BaseModel):
        token: str
        port: int = 1

    class Provider(FakeProvider):
        config = Config  # type: ignore[assignment]

        async def connect(self, config: Any, context: Any) -> Cloud:
            seen.append(config)
            return self.cloud

    def client(settings: str) -> object:
        (tmp_path / "mlinfra.yaml").write_text(f"version: 1\nproject: p\nproviders: {{fake: {settings}}}\nresources: {{}}\n")
        registry = Registry({"fake": Provider(Cloud())})
        resolved = resolve(load(tmp_path), Inputs())
        assert check_settings(resolved, registry, "fake")[1] == []

        async def connect() -> None:
            connected = connections(Options(directory=tmp_path), resolved, registry)
            try:
                await connected.client("fake")
            finally:
                await connected.close()

        return asyncio.run(connect())

    monkeypatch.setenv("SETTING", "planted-in-settings")
    client("{token: \"${'Bearer ' + secret('env:SETTING')}\"}")
    assert seen[0].token == "Bearer planted-in-settings"
    with pytest.raises(MlinfraError) as caught:
        client("{token: x, port: \"${secret('env:SETTING')}\"}")
    assert "port" in str(caught.value) and "planted" not in str(caught.value)
    with pytest.raises(MlinfraError, match="env:ABSENT cannot be had"):
        client("{token: \"${secret('env:ABSENT')}\"}")
