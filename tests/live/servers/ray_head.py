"""A real Ray head of the test's own on loopback. Needs ray[default], an extra of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from mlinfra.provider.runs.ray_api import alive_nodes


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def ray_head(environment: Mapping[str, str], cpus: int = 2) -> Iterator[str]:
    """The address of its dashboard. ``environment`` is what jobs find, as a machine's own would be."""
    pytest.importorskip("ray", reason="ray is not installed: pip install 'mlinfra-iac[ray]'")
    folder = Path(tempfile.mkdtemp(prefix="mlr-"))  # Ray's sockets want a short path
    port = _free()
    command = [
        sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats", f"--num-cpus={cpus}",
        "--node-ip-address=127.0.0.1", f"--port={_free()}", f"--ray-client-server-port={_free()}", "--include-dashboard=true",
        "--dashboard-host=127.0.0.1", f"--dashboard-port={port}", f"--temp-dir={folder}", "--object-store-memory=80000000",
    ]  # fmt: skip
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # a job's `python` is this one
    with (folder / "log").open("wb") as log:
        head = subprocess.Popen(
            command, stdout=log, stderr=log, start_new_session=True, env={**os.environ, "PATH": path, **environment}
        )
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 300
        while alive_nodes(address) < 1:
            assert head.poll() is None, (folder / "log").read_text()[-2000:]
            assert time.monotonic() < until, "the Ray head does not come up"
            time.sleep(0.3)
        yield address
    finally:
        os.killpg(head.pid, signal.SIGTERM)
        try:
            head.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(head.pid, signal.SIGKILL)
            head.wait(30)
        shutil.rmtree(folder, ignore_errors=True)
