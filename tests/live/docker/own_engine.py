"""A second engine, of the tests' own: it may be stopped, and it speaks TLS. Import the fixture ``engine``."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import MARKER
from live.docker import images
from live.docker.engine import docker_api  # noqa: F401  a fixture
from live.servers.authority import Authority


class Engine:
    """A dockerd with folders and a socket of its own, and no bridge: its containers have no network. ``remote`` is its address
    over TCP, where it asks for a client's certificate of ``authority`` and shows one of the same.

    It has a network namespace of its own too: a dockerd without a bridge deletes ``docker0``, which is the other engine's. So the TCP
    socket is opened here and handed to it, as systemd does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.host = f"unix://{folder / 'docker.sock'}"
        self.authority = Authority(folder / "tls")
        self._certificate = self.authority.issue("engine", server=True)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.remote = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        import docker

        certificate, key = self._certificate
        command = [
            "unshare", "--net", "sh", "-c", 'export LISTEN_PID=$$; exec dockerd "$@"', "sh",
            "--data-root", str(self.folder / "data"), "--exec-root", str(self.folder / "exec"), "--pidfile", str(self.folder / "pid"),
            "--host", self.host, "--host", "fd://", "--bridge", "none", "--iptables=false", "--shutdown-timeout", "5",
            "--tlsverify", "--tlscacert", str(self.authority.certificate), "--tlscert", str(certificate), "--tlskey", str(key),
        ]  # fmt: skip
        environment = {name: value for name, value in os.environ.items() if name != MARKER}  # it outlives the test that starts it
        listener = self._listener.fileno()
        with (self.folder / "dockerd.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, env={**environment, "LISTEN_FDS": "1"},
                pass_fds=(3,), preexec_fn=lambda: os.dup2(listener, 3),
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

    def remove(self) -> None:
        self.stop()
        self._listener.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def engine(docker_api: Any) -> Iterator[Engine]:  # noqa: F811
    """It has the base image; a test that uses it leaves nothing of its own there, and lets it run."""
    if shutil.which("dockerd") is None or shutil.which("unshare") is None or os.geteuid() != 0:
        pytest.skip("a second engine needs dockerd and root")
    import docker

    made = Engine(Path("/tmp") / f"mlinfra-engine-{os.getpid()}")  # a socket's path is short
    try:
        made.start()
        there = docker.APIClient(made.host, version="auto", timeout=600)
        there.load_image(docker_api.get_image(images.ensure(docker_api, images.BASE)))
        there.close()
        yield made
    finally:
        made.remove()
