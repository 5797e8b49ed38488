"""How a provider says what it is doing while a call runs: ``say("12 of 40 files copied")``.

The engine installs a sink around every call; outside one, words are dropped. Works in threads started by
``asyncio.to_thread``, which carries the context along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from mlinfra.model.redaction import redact

_sink: ContextVar[Callable[[str], None] | None] = ContextVar("mlinfra_progress", default=None)


def say(message: str) -> None:
    """Report one line of progress of the running call. Secrets that are known to this process are taken out."""
    sink = _sink.get()
    if sink is not None:
        sink(redact(message))


@contextmanager
def listening(sink: Callable[[str], None]) -> Iterator[None]:
    """Send what is said inside this block to ``sink``."""
    token = _sink.set(sink)
    try:
        yield
    finally:
        _sink.reset(token)


@contextmanager
def prefixed(name: str) -> Iterator[None]:
    """What is said inside this block begins with ``NAME: ``: it tells tasks apart that run side by side."""
    sink = _sink.get()
    token = _sink.set(None if sink is None else lambda message: sink(f"{name}: {message}"))
    try:
        yield
    finally:
        _sink.reset(token)
