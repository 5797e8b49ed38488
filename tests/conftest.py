"""What all tests share: the command in a subprocess, spec folders, and a check that no process of ours is left behind."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from hypothesis import settings

settings.register_profile("mlinfra", parent=settings.get_profile(settings.get_current_profile_name()), deadline=None)
settings.load_profile("mlinfra")

MARKER = "MLINFRA_TEST_MARKER"
"""Every test runs with its own value of this variable; a process that carries it after the test is a leak."""


@pytest.hookimpl(tryfirst=True)  # before xdist's own, which reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share what is made once for their module or class run on one worker (``--dist loadgroup``): it is made once. A file
    of such tests is started before the single ones, which then fill up what is left of the other worker's time."""
    for item in items:
        used = getattr(item, "_fixtureinfo", None)
        made = [f[-1] for f in used.name2fixturedefs.values()] if used is not None else []
        if any(fixture.scope in ("module", "class") and fixture.baseid for fixture in made):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


@dataclass(frozen=True, slots=True)
class Ran:
    """A finished command. ``text`` is both streams, for messages."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


@pytest.fixture(autouse=True)
def no_process_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Fails a test that leaves a process behind, and ends that process. Gives the test's marker."""
    marker = uuid.uuid4().hex
    monkeypatch.setenv(MARKER, marker)
    before = set(psutil.pids())
    yield marker
    left = processes_of(marker, before)
    _, left = psutil.wait_procs(left, timeout=5 if left else 0)
    described = [describe(p) for p in left]
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=5)
    assert not described, "processes were left behind:\n" + "\n".join(described)


def processes_of(marker: str, known: set[int]) -> list[psutil.Process]:
    """Live processes that were started with this marker in their environment, ``known`` ones left out."""
    found = []
    for pid in set(psutil.pids()) - known:
        with contextlib.suppress(psutil.Error, OSError):
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARKER) == marker:
                found.append(process)
    return found


def describe(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return f"{process.pid}: {' '.join(process.cmdline())[:300]}"
    return str(process.pid)


@pytest.fixture
def run_mlinfra() -> Callable[..., Ran]:
    """``run_mlinfra(["plan"], folder)``: the command as a person runs it, in a process of its own, without a terminal."""

    def run(
        arguments: Sequence[str],
        cwd: Path,
        *,
        environment: Mapping[str, str] | None = None,
        timeout: float = 300,
        stdin: str = "",
    ) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "mlinfra", *arguments],
            cwd=cwd,
            env={**os.environ, "COLUMNS": "120", "NO_COLOR": "1", **(environment or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def spec_folder(tmp_path: Path, run_mlinfra: Callable[..., Ran]) -> Iterator[Callable[..., Path]]:
    """``spec_folder(text, **files)``: a folder with this ``mlinfra.yaml``; whatever was applied there is destroyed afterwards."""
    folders: list[Path] = []

    def make(text: str, files: Mapping[str, str | bytes] | None = None, name: str = "stack") -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "mlinfra.yaml").write_text(text)
        for path, content in (files or {}).items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        folders.append(folder)
        return folder

    yield make
    for folder in folders:
        if (folder / ".mlinfra").exists():
            run_mlinfra(["destroy", "--yes"], folder)
