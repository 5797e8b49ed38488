"""The command, killed at requests of its own until nothing is left to send."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def command(folder: Path, environment: str, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "mlinfra", *words, "--env", environment], cwd=folder, stdout=subprocess.DEVNULL
    )


def until_done(state: Any, folder: Path, environment: str, action: str, cut: Callable[[Any], bool], patience: float) -> int:
    """Run the action again and again until it ends by itself; how often it was killed. ``cut`` says at which requests it is:
    ``state`` is a fake cloud that calls ``after_answer`` with each, before the answer is heard. ``patience``: seconds that one run may take."""
    kills = 0
    while True:
        process = command(folder, environment, action, "--yes")

        def kill(request: Any, victim: subprocess.Popen[bytes] = process) -> None:
            if cut(request):
                os.kill(victim.pid, signal.SIGKILL)

        state.after_answer = kill
        code = process.wait(timeout=patience)
        state.after_answer = lambda _request: None
        if code == 0:
            return kills
        assert code == -signal.SIGKILL, f"ended with {code}"
        kills += 1
        assert kills < 60
