"""An engine that stops in the middle of an apply, played with an engine of the test's own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from live.docker import images
from live.docker.engine import docker_api  # noqa: F401  a fixture
from live.docker.stack import Stack

pytestmark = pytest.mark.live


class Engine:
    """A second dockerd with folders and a socket of its own, and no bridge: its containers have no network."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "docker.sock"
        self.host = f"unix://{self.socket}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        import docker

        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "dockerd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "dockerd", "--data-root", str(self.folder / "data"), "--exec-root", str(self.folder / "exec"),
                    "--pidfile", str(self.folder / "pid"), "--host", self.host, "--bridge", "none", "--iptables=false",
                    "--shutdown-timeout", "5",
                ],
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        for _ in range(600):
            try:
                docker.APIClient(self.host, version="auto").ping()
                return
            except docker.errors.DockerException:
                if self._process.poll() is not None:
                    pytest.skip(f"a second engine cannot run here: {(self.folder / 'dockerd.log').read_text()[-500:]}")
                time.sleep(0.1)
        raise AssertionError("the second engine does not come up")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(120)
            self._process = None

    def kill(self) -> None:
        """As when the machine loses power: nothing is said to anybody."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(60)
            self._process = None


@pytest.fixture
def engine(docker_api: Any) -> Iterator[Engine]:  # noqa: F811
    if shutil.which("dockerd") is None or os.geteuid() != 0:
        pytest.skip("a second engine needs dockerd and root")
    folder = Path("/tmp") / f"mlinfra-engine-{os.getpid()}"  # a socket's path is short
    made = Engine(folder)
    made.start()
    try:
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def test_an_engine_that_stops_in_mid_apply_is_one_clear_error_and_the_next_apply_finishes(
    engine: Engine,
    docker_api: Any,  # noqa: F811
    tmp_path: Path,
    run_mlinfra: Callable[..., Any],
) -> None:
    import docker

    there = docker.APIClient(engine.host, version="auto", timeout=600)
    image = images.ensure(docker_api, images.BASE)
    there.load_image(docker_api.get_image(image))
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
