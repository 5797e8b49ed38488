"""A lab whose world lives in a file, so that it survives the process, and whose process dies when it is told to."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from fakes.cloud import Thing
from fakes.lab import Lab
from mlinfra.state.stores.local import LocalStore


class MortalStore(LocalStore):
    """Dies at a boundary."""

    def __init__(self, root: Path, boundary: Callable[[], None]) -> None:
        super().__init__(root)
        self._boundary = boundary

    def put_if(self, key: str, data: bytes, version: str | None) -> str:
        self._boundary()
        written = super().put_if(key, data, version)
        self._boundary()
        return written

    def delete(self, key: str) -> None:
        self._boundary()
        super().delete(key)


def lab_at(folder: Path, die_at: int = -1) -> Lab:
    """A lab over the world in ``folder``, which is SIGKILLed at boundary number ``die_at``: before and after every write to
    the store, and after every change of the world."""
    passed = 0

    def boundary() -> None:
        nonlocal passed
        if passed == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        passed += 1

    lab = Lab(folder, store=MortalStore(folder / "state", boundary))
    world = folder / "world.json"
    if world.exists():
        saved = json.loads(world.read_text())
        lab.cloud.things = {t["id"]: Thing(**t) for t in saved["things"]}
        lab.cloud.made = saved["made"]

    def save() -> None:
        temporary = world.with_suffix(".new")
        temporary.write_text(json.dumps({"made": lab.cloud.made, "things": [asdict(t) for t in lab.cloud.things.values()]}))
        temporary.replace(world)
        boundary()

    lab.cloud.changed = save
    return lab


def child(work: Callable[[], None]) -> bool:
    """Run ``work`` in a fork; True when it died of SIGKILL."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
    return os.WIFSIGNALED(status)
