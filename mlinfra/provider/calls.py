"""One call to a provider as the engine makes it: limited, retried where that can help, its failures closed.

Only Throttled, Transient and Conflict are tried again, with exponential backoff and full jitter.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from mlinfra.model.errors import StateError, StateLocked
from mlinfra.model.loops import asyncio
from mlinfra.model.redaction import redact
from mlinfra.provider.failures import Failure, Throttled
from mlinfra.provider.limiter import Limiter

T = TypeVar("T")
Retried = Callable[[int, float, str], None]
"""Told of each retry: attempt (from 1), seconds until it, why."""

ATTEMPTS = 6
PATIENCE = 12
"""Attempts at a call that is throttled: slowing down is not failing."""
BASE = 0.2
CEILING = 20.0


class BrokenContract(Failure):
    """The provider raised or answered something that its contract does not allow: a bug of the provider."""


async def call(
    act: Callable[[], Awaitable[T]],
    limiter: Limiter,
    *,
    provider: str,
    retried: Retried | None = None,
    before_retry: Callable[[], Awaitable[T | None]] | None = None,
) -> T:
    """Make the call inside a slot. ``before_retry`` may find that the last attempt did succeed after all.

    Raises Failure and nothing else (but CancelledError, and the state's errors that ``act`` meets): an exception that is no
    Failure becomes BrokenContract."""
    attempt, since = 0, None
    while True:
        attempt += 1
        try:
            async with limiter.slot() as since:
                if attempt > 1 and before_retry is not None:
                    found = await before_retry()
                    if found is not None:
                        return found
                answer = await act()
        except Failure as failure:
            failure.hide()
            throttled = isinstance(failure, Throttled)
            if throttled:
                limiter.throttled(since)
            if not failure.retryable or failure.partial is not None or attempt >= (PATIENCE if throttled else ATTEMPTS):
                raise
            wait = _pause(attempt, failure)
            if retried is not None:
                retried(attempt, wait, failure.message)
            await asyncio.sleep(wait)
        except (asyncio.CancelledError, StateError, StateLocked):  # ours: the state cannot be written any more
            raise
        except Exception as error:
            raise BrokenContract(
                redact(f"{type(error).__name__}: {error}"), hint=f"this is a bug in the provider {provider!r}, please report it"
            ) from error
        else:
            limiter.succeeded()
            return answer


def _pause(attempt: int, failure: Failure) -> float:
    import random

    if isinstance(failure, Throttled) and failure.after is not None:
        return failure.after + random.uniform(0, BASE)
    return random.uniform(BASE / 2, min(CEILING, BASE * 2**attempt))
