"""Reads a log that another process writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

_POLL = 0.25


async def follow_log(log: Path, follow: bool) -> AsyncIterator[str]:
    """The lines of ``log``, oldest first; with ``follow`` those that come later too, until the caller stops."""
    position = 0
    rest = b""
    while True:
        chunk = await asyncio.to_thread(_read_from, log, position)
        position += len(chunk)
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace").rstrip("\r")
        if not chunk:
            if not follow:
                break
            await asyncio.sleep(_POLL)
    if rest:
        yield rest.decode(errors="replace")


def _read_from(log: Path, position: int) -> bytes:
    try:
        with log.open("rb") as handle:
            handle.seek(position)
            return handle.read(1 << 20)
    except FileNotFoundError:
        return b""
