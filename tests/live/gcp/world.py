"""A whole Google Cloud for a stack: its jobs run, and a machine that is to be Milvus is one, on a loopback address of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from fakes.google import Google, google
from fakes.google.runner import run

_PORT = 19530


@contextmanager
def google_world(folder: Path) -> Iterator[Google]:
    """The server, with jobs that run and Milvus machines that answer; everything that it started is ended."""
    machines: list[subprocess.Popen[bytes]] = []

    def started(body: dict[str, Any]) -> dict[str, str]:
        if "milvus run standalone" not in str(body.get("metadata")):
            return {}
        host = free_address()
        data = folder / "disks" / body["disks"][1]["source"].rpartition("/")[2]
        data.mkdir(parents=True, exist_ok=True)
        machines.append(
            subprocess.Popen(
                [sys.executable, "-m", "mlinfra_local.milvus_server", "--data-dir", str(data / "milvus.db"), "--host", host, "--port", str(_PORT)],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=data,
            )
        )  # fmt: skip
        return {"natIP": host, "networkIP": host}

    with google(folder) as state:
        state.runner = run
        state.instance_started = started
        try:
            yield state
        finally:
            for machine in machines:
                machine.terminate()
            for machine in machines:
                machine.wait(timeout=30)


def free_address() -> str:
    """A loopback address on which nobody has Milvus's port."""
    for last in range(2, 250):
        host = f"127.19.53.{last}"
        with socket.socket() as probe:
            try:
                probe.bind((host, _PORT))
            except OSError:
                continue
        return host
    raise AssertionError("no loopback address is free")


def environment_of(state: Google, **more: Any) -> dict[str, Any]:
    """What a spec's ``environments: gcp:`` says to use this Google."""
    return {"target": "gcp", "providers": {"gcp": {**state.settings(), "allow": ["203.0.113.0/24"], **more}}}


def with_environment(spec: Path, state: Google, **more: Any) -> None:
    tree = yaml.safe_load(spec.read_text())
    tree.setdefault("environments", {})["gcp"] = environment_of(state, **more)
    spec.write_text(yaml.safe_dump(tree, sort_keys=False))


def wait_for(condition: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)
