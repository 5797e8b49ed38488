"""What the C library does with memory that is freed."""

from __future__ import annotations

import sys
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_ARENA_MAX = -1, -8
"""Of glibc's malloc.h."""
_KEPT = 128 * 1024


def give_back() -> None:
    """Let the C library give back to the system what is freed. glibc keeps more with every large block that it sees go (up to 64 MB), and
    gives each thread an arena of its own, of which the same holds; botocore's files, megabytes each, are read by a pool of threads, and
    all that they leave behind are a few tables. A library that knows nothing of this, or cannot be reached, is left alone."""
    if sys.platform != "linux":
        return
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
        mallopt(_M_ARENA_MAX, 1)
