"""An engine that stops in the middle of an apply, played with an engine of the test's own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from live.docker.own_engine import Engine, docker_api, engine  # noqa: F401  fixtures
from live.docker.stack import Stack

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("own_engine")]


def test_an_engine_that_stops_in_mid_apply_is_one_clear_error_and_the_next_apply_finishes(
    engine: Engine,  # noqa: F811
    tmp_path: Path,
    run_mlinfra: Callable[..., Any],
) -> None:
    import docker

    there = docker.APIClient(engine.host, version="auto", timeout=600)
    stack = Stack(there, tmp_path / "stack", run_mlinfra)
    stack.settings["host"] = engine.host
    first = 'NetworkMode: none, StopSignal: SIGKILL, Cmd: [sleep, "1000"]'
    stack.write(
        f"""\
  raw: {{kind: bucket}}
  one: {{kind: docker.container, Image: IMAGE, {first}}}
  two:
    kind: docker.container
    Image: IMAGE
    NetworkMode: none
    StopSignal: SIGKILL
    Cmd: [sh, -c, "sleep 1000"]
    Healthcheck: {{Test: [CMD-SHELL, "test -f /go"], StartPeriod: 600000000000}}
    depends_on: [one, raw]
"""
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "mlinfra", "apply", "--yes"],
        cwd=stack.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if "waiting until" in line:
            engine.stop()
    assert process.wait() == 1, said
    assert f"the Docker engine at {engine.host} does not answer" in said
    assert "Traceback" not in said
    assert "Apply incomplete. Resources: 2 added" in said, said
    engine.start()
    there.close()
    stack.api = there = docker.APIClient(engine.host, version="auto", timeout=600)
    recorded = stack.run("state", "list").out
    assert "one" in recorded and "raw" in recorded
    text = (stack.folder / "mlinfra.yaml").read_text()
    (stack.folder / "mlinfra.yaml").write_text(text.replace("test -f /go", "true"))
    stack.run("apply", "--yes")
    assert "No changes" in stack.run("plan").out
    assert {c["Names"][0].rpartition("-")[2] for c in stack.containers(all=False)} == {"one", "two"}
    stack.run("destroy", "--yes")
    assert stack.left() == {}
    there.close()
