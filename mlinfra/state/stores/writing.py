"""Conditional writes over a network that loses answers.

A write that is sent again after its answer was lost fails its own condition. Reading the blob tells the two cases apart: it
holds exactly our bytes, or somebody else's. (What mlinfra writes names its writer: the lock its id, a segment its epoch.)
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from mlinfra.state.store import Blob, StoreConflict, StoreUnavailable

ATTEMPTS = 5
BASE = 0.2
CEILING = 5.0
"""Seconds: the first pause at most, and the longest."""


class Transient(Exception):
    """The request may or may not have been carried out, or was turned away for now. ``error`` is what to say if it stays so."""

    def __init__(self, error: StoreUnavailable) -> None:
        super().__init__(str(error))
        self.error = error


def write_settled(
    put: Callable[[], str], read: Callable[[], Blob | None], data: bytes, *, sleep: Callable[[float], None] = time.sleep
) -> str:
    """The new version. ``put`` sends the write once and raises StoreConflict or Transient; only a conflict that follows an
    unanswered attempt is looked into. StoreUnavailable after ATTEMPTS."""
    for attempt in range(ATTEMPTS):
        try:
            return put()
        except StoreConflict:
            if attempt == 0:
                raise
            return ours(read, data)
        except Transient as transient:
            if attempt == ATTEMPTS - 1:
                raise transient.error from transient.__cause__
            sleep(pause(attempt))
    raise AssertionError("unreachable")


def ours(read: Callable[[], Blob | None], data: bytes) -> str:
    """The version of what is there when it is what we sent; StoreConflict when it is not."""
    found = read()
    if found is None or found.data != data:
        raise StoreConflict("somebody else wrote it")
    return found.version


def pause(attempt: int) -> float:
    """Seconds before the next attempt: exponential, with jitter."""
    return random.uniform(0.5, 1.0) * min(CEILING, BASE * 2.0**attempt)
