"""Commands as guarded processes: their lines are streamed, and none outlives the process (or the task) that started it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

GRACE = 5.0
"""Seconds between asking a command to stop and killing it."""

_GUARD = Path(__file__).with_name("guard.py")
_LONGEST_LINE = 64 * 1024


async def start_guarded(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str], locks: Sequence[int] = ()
) -> asyncio.subprocess.Process:
    """Start ``command`` under a guard: it is killed when this process dies, and when its ``stdin`` is closed.

    Its output (both streams) comes by ``stdout``. ``locks`` are file descriptors that stay open until it has really ended."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-S",
        str(_GUARD),
        str(GRACE),
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=folder,
        env=dict(environment),
        start_new_session=True,
        pass_fds=tuple(locks),
    )


async def stop_guarded(process: asyncio.subprocess.Process) -> None:
    """Take it down and wait until it is gone."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), GRACE * 2)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def finish_guarded(process: asyncio.subprocess.Process, line: Callable[[str], None]) -> int:
    """Hand every line of output to ``line`` and return the exit code. Cancelling takes the command down first."""
    try:
        async for text in _lines(process.stdout):
            line(text)
        return await process.wait()
    finally:
        if process.returncode is None:
            await asyncio.shield(asyncio.ensure_future(stop_guarded(process)))


async def _lines(stream: asyncio.StreamReader | None) -> AsyncIterator[str]:
    """Lines without their ends; of a line that was redrawn by carriage returns (a progress bar), what stands in the end."""
    assert stream is not None
    rest = b""
    while chunk := await stream.read(_LONGEST_LINE):
        *whole, rest = (rest + chunk).split(b"\n")
        for raw in whole:
            yield _text(raw)
        if len(rest) > _LONGEST_LINE:
            yield _text(rest)
            rest = b""
    if rest:
        yield _text(rest)


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace")
