"""A CI job dies in the middle of an apply. The next one, on another machine, goes on by itself: nobody touches a lock."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

LEASE = 4.0
SPEC = """\
version: 1
project: ci
state: {lease: 4s, history: 3}
resources:
  raw: {for_each: [%s], kind: bucket}
outputs:
  first: ${raw["n0"].uri}
""" % ", ".join(f"n{i}" for i in range(150))  # noqa: UP031


def died(folder: Path) -> dict[str, object]:
    """Kill an apply that has operations under way; its lock, made into one of another machine."""
    job = subprocess.Popen(
        [sys.executable, "-m", "mlinfra", "apply", "--yes"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    second = folder / ".mlinfra/state/ci/default/journal/000000000002"
    while not second.exists():
        assert job.poll() is None, "the apply ended before anything was under way"
        time.sleep(0.001)
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    lock = folder / ".mlinfra/state/ci/default/lock.json"
    left: dict[str, object] = json.loads(lock.read_text())
    assert left["id"] and left["length"] == LEASE
    lock.write_text(json.dumps({**left, "host": "runner-17", "machine": "another one"}))
    return left


@pytest.mark.live
def test_the_next_job_goes_on_within_the_lease(spec_folder: Callable[..., Path], run_mlinfra: Callable[..., object]) -> None:
    folder = spec_folder(SPEC)
    quick = time.monotonic()
    run_mlinfra(["validate"], folder)
    start_up = time.monotonic() - quick
    left = died(folder)
    began = time.monotonic()
    ran = run_mlinfra(["apply", "--yes"], folder)
    took = time.monotonic() - began
    assert ran.code == 0, ran.text  # type: ignore[attr-defined]
    assert f"lock {left['id']}" in ran.text and "took over the lock of" in ran.text  # type: ignore[attr-defined]
    assert took > LEASE, "another machine's lock is not taken on a guess"
    assert took < LEASE + 20 + 10 * start_up, "it waited for one lease, not for two"
    assert len(list((folder / ".mlinfra/local/ci-default/buckets").glob("*"))) == 150
    assert run_mlinfra(["plan", "--detailed-exitcode"], folder).code == 0  # type: ignore[attr-defined]
    assert run_mlinfra(["state", "doctor"], folder).code == 0  # type: ignore[attr-defined]


@pytest.mark.live
def test_who_does_not_want_to_wait_is_told_who_holds_it(
    spec_folder: Callable[..., Path], run_mlinfra: Callable[..., object]
) -> None:
    folder = spec_folder(SPEC)
    left = died(folder)
    ran = run_mlinfra(["apply", "--yes", "--lock-timeout", "0s"], folder)
    assert ran.code == 4 and "@runner-17" in ran.text and f"mlinfra state unlock {left['id']}" in ran.text  # type: ignore[attr-defined]
    broken = run_mlinfra(["state", "unlock", str(left["id"])], folder)
    assert broken.code == 0, broken.text  # type: ignore[attr-defined]
    assert run_mlinfra(["apply", "--yes", "--lock-timeout", "0s"], folder).code == 0  # type: ignore[attr-defined]
