"""The command itself over every store: plan, apply, apply again, change, destroy, each in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Ran
from live.servers.http_state import StateServer

pytestmark = [pytest.mark.live, pytest.mark.slow]

SPEC = """
version: 1
project: shop
state: {state}
resources:
  a: {{kind: data, input: {value}}}
  b: {{kind: data, input: "${{a.output}}-b"}}
  c: {{kind: data, input: {{deep: ["${{b.output}}"]}}}}
outputs:
  b: ${{b.output}}
"""


def write(folder: Path, place: Any, value: str) -> None:
    (folder / "mlinfra.yaml").write_text(SPEC.format(state=json.dumps(dict(place.block)), value=value))


@pytest.mark.parametrize("name", ["s3", "gcs", "azure", "postgres", "http", "gitlab"])
def test_a_stack_lives_and_ends_with_its_state_elsewhere(
    place_of: Any, tmp_path: Path, run_mlinfra: Callable[..., Ran], name: str
) -> None:
    place = place_of(name)
    folder = tmp_path / "stack"
    folder.mkdir()

    def run(*words: str) -> str:
        ran = run_mlinfra([*words], folder, environment=place.environ)
        assert ran.code == 0, ran.text
        return ran.out

    write(folder, place, "one")
    assert "3 to add" in run("plan")
    assert "3 added" in run("apply", "--yes")
    assert not list(folder.rglob("state.json")), "nothing of the state may lie beside the spec"
    assert "one-b" in run("output")
    assert "No changes" in run("plan")
    write(folder, place, "two")
    assert "3 changed" in run("apply", "--yes")
    assert "two-b" in run("output")
    assert len(run("state", "list").split()) >= 3
    assert "2 " in run("history")
    assert "3 destroyed" in run("destroy", "--yes")
    assert "empty" in run("state", "list")
    for file in folder.rglob("*"):
        assert not file.is_file() or "hunter2-http" not in file.read_text(errors="replace"), file
    if name in ("http", "gitlab"):
        server: StateServer = place.server
        assert place.block["address"].rpartition("/")[2] not in server.locks, "the server's lock was left behind"


def test_a_wrong_password_is_one_clear_error_that_does_not_show_it(
    place_of: Any, tmp_path: Path, run_mlinfra: Callable[..., Ran]
) -> None:
    write(tmp_path, place_of("http"), "one")
    ran = run_mlinfra(["apply", "--yes"], tmp_path, environment={"MLINFRA_HTTP_PASSWORD": "guessed-1234"})
    assert ran.code == 1 and "refuses access" in ran.err and "MLINFRA_HTTP_PASSWORD" in ran.err
    assert "guessed-1234" not in ran.text and "Traceback" not in ran.text


@pytest.mark.parametrize(
    ("name", "broken", "said"),
    [
        ("s3", {"bucket": "no-such-bucket-4711"}, "there is no bucket 'no-such-bucket-4711'"),
        ("gcs", {"bucket": "no-such-bucket-4711"}, "there is no bucket 'no-such-bucket-4711'"),
        ("azure", {"container": "no-such-container"}, "there is no container 'no-such-container'"),
        ("postgres", {"conninfo": "host=/nonexistent dbname=x"}, "PostgreSQL cannot be reached"),
        ("http", {"address": "http://127.0.0.1:1/x"}, "127.0.0.1:1 cannot be reached"),
    ],
)
def test_a_place_that_is_not_there_is_said_in_one_sentence(
    place_of: Any, tmp_path: Path, run_mlinfra: Callable[..., Ran], name: str, broken: dict[str, str], said: str
) -> None:
    place = place_of(name)
    (tmp_path / "mlinfra.yaml").write_text(SPEC.format(state=json.dumps({**place.block, **broken}), value="one"))
    ran = run_mlinfra(["apply", "--yes"], tmp_path, environment=place.environ)
    assert ran.code == 1 and said in ran.err and "Traceback" not in ran.text, ran.text


def test_a_terraform_state_at_the_address_is_left_alone(place_of: Any, tmp_path: Path, run_mlinfra: Callable[..., Ran]) -> None:
    place = place_of("http")
    terraforms = b'{"version": 4, "terraform_version": "1.11.4", "serial": 3, "lineage": "x", "outputs": {}, "resources": []}'
    path = place.block["address"].rpartition("/")[2]
    place.server.documents[path] = terraforms
    write(tmp_path, place, "one")
    ran = run_mlinfra(["apply", "--yes"], tmp_path, environment=place.environ)
    assert ran.code == 1 and "mlinfra did not write" in ran.err, ran.text
    assert place.server.documents[path] == terraforms
