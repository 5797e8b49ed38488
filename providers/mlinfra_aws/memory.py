"""What the C library does with memory that is freed."""

from __future__ import annotations

import sys

_M_TRIM_THRESHOLD, _M_ARENA_MAX = -1, -8
"""Of glibc's malloc.h."""
_KEPT = 128 * 1024


def give_back() -> None:
    """Let the C library give back to the system what is freed. glibc keeps more with every large block that it sees go (up to 64 MB), and
    gives each thread an arena of its own, of which the same holds; botocore's files, megabytes each, are read by a pool of threads, and
    all that they leave behind are a few tables. Other C libraries know nothing of this, and are left alone."""
    if sys.platform != "linux":
        return
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
        mallopt(_M_ARENA_MAX, 1)
