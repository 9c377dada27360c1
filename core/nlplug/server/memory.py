"""Gives memory that is free in this process back to the system.

The allocator of glibc keeps what a thread frees for that thread. A server with dozens of threads,
each of which answers a long document now and then, would so come to hold the memory of all of them.
"""

from __future__ import annotations

import asyncio
import ctypes
import functools
from collections.abc import Callable

PAUSE = 15.0
"""Seconds between two calls, each of which takes some milliseconds."""


@functools.cache
def _trim() -> Callable[[int], int] | None:
    """``malloc_trim`` of the C library; None where it has no such function."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # musl and macOS; Windows
        return None


async def keep_small(pause: float = PAUSE) -> None:
    """Give free memory back until cancelled; ends at once where the system does it by itself.

    Args:
        pause: Seconds between two calls.
    """
    trim = _trim()
    while trim is not None:
        await asyncio.sleep(pause)
        await asyncio.to_thread(trim, 0)
