"""SIGKILL at every durable boundary of an apply on the local target: before and after every write to the state, and at every
change of a file or folder below the data folder. The next apply leaves nothing orphaned, nothing twice, nothing to do."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlinfra import upkeep, workflow
from mlinfra.state.stores.local import LocalStore
from mlinfra.workspace import Options

SPEC = """
version: 1
project: kill
resources:
  raw: {kind: bucket}
  rows: {kind: dataset, bucket: "${raw}", source: rows.csv}
  note: {kind: data, input: "${rows.version}"}
  fit:
    kind: training_job
    code: code
    run: python fit.py
    inputs: {rows: "${rows.uri}"}
outputs:
  artifact: ${fit.artifact}
"""
FIT = """
import os, pathlib
rows = pathlib.Path(os.environ["MLINFRA_INPUT_ROWS"]).read_text()
pathlib.Path(os.environ["MLINFRA_OUTPUT_MODEL"], "model.txt").write_text(rows.upper())
"""
EVENTS = {"os.rename", "os.mkdir", "os.link", "os.remove", "os.rmdir", "shutil.rmtree", "subprocess.Popen"}


def project(folder: Path) -> Options:
    (folder / "code").mkdir(parents=True)
    (folder / "mlinfra.yaml").write_text(SPEC)
    (folder / "rows.csv").write_text("a,b\n1,2\n")
    (folder / "code/fit.py").write_text(FIT)
    return Options(directory=folder, environ=dict(os.environ))


def apply(o: Options) -> None:
    applied = workflow.apply(o, workflow.plan(o))
    assert not applied.failures, applied.failures


def destroy(o: Options) -> None:
    o = Options(directory=o.directory, environ=o.environ, mode="destroy")
    workflow.apply(o, workflow.plan(o))


def killed_at(number: int, work: Callable[[], None]) -> bool:
    """Run ``work`` in a fork that kills itself at boundary ``number``; False when it ended before."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            _arm(number)
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
    return os.WIFSIGNALED(status)


def _arm(number: int) -> None:
    passed = [0]

    def boundary() -> None:
        if passed[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
        passed[0] += 1

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event in EVENTS and any(".mlinfra" in str(a) for a in arguments):
            boundary()

    sys.addaudithook(audit)
    put = LocalStore.put_if

    def put_if(self: LocalStore, key: str, data: bytes, version: str | None) -> str:
        written = put(self, key, data, version)
        boundary()
        return written

    LocalStore.put_if = put_if  # type: ignore[method-assign]


def files_below(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def things(folder: Path) -> list[str]:
    """What a person would count: buckets, versions of the dataset, artifacts; logs and caches of runs do not matter."""
    data = folder / ".mlinfra/local"
    return [f for f in files_below(data) if "/buckets/" in f or "/outputs/" in f]


@pytest.mark.live
@pytest.mark.slow
@pytest.mark.parametrize("shard", range(4))
def test_a_kill_at_any_boundary_of_an_apply_is_put_right_by_the_next_one(tmp_path: Path, shard: int) -> None:
    calm = project(tmp_path / "calm")
    apply(calm)
    expected = things(tmp_path / "calm")
    number = shard
    while True:
        o = project(tmp_path / str(number))
        died = killed_at(number, lambda o=o: apply(o))  # type: ignore[misc]
        apply(o)
        assert things(o.directory) == expected
        state = upkeep.read_state(o)
        assert state.problems() == [] and len(state.resources) == 4
        planned = workflow.plan(o)
        assert planned.plan.is_empty and not planned.plan.drift
        destroy(o)
        assert files_below(o.directory / ".mlinfra/local") == []
        if not died:
            break
        number += 4
    assert number > 20, "the apply has more boundaries than that"


@pytest.mark.live
@pytest.mark.slow
@pytest.mark.parametrize("shard", range(2))
def test_a_kill_at_any_boundary_of_a_destroy_is_put_right_by_the_next_one(tmp_path: Path, shard: int) -> None:
    number = shard
    while True:
        o = project(tmp_path / str(number))
        apply(o)
        died = killed_at(number, lambda o=o: destroy(o))  # type: ignore[misc]
        destroy(o)
        assert files_below(o.directory / ".mlinfra/local") == []
        assert not upkeep.read_state(o).resources
        if not died:
            break
        number += 2
    assert number > 8
