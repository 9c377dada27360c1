"""Gives memory that is free in this process back to the system.

The allocator of glibc keeps what a thread frees for that thread. A server with dozens of threads,
each of which answers a long document now and then, would so come to hold the memory of all of them.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

PAUSE = 15.0
"""Seconds between two calls, each of which takes some milliseconds."""


@functools.cache
def _trim() -> Callable[[int], int] | None:
    """``malloc_trim`` of the C library; None where it has no such function."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # musl and macOS; Windows
        return None


@contextmanager
def kept_small(pause: float = PAUSE) -> Iterator[None]:
    """Give free memory back inside the ``with``; nothing happens where the system does it itself.

    In a thread of its own: in a pool it would wait behind the requests that need the memory.

    Args:
        pause: Seconds between two calls.
    """
    trim = _trim()
    if trim is None:
        yield
        return
    ended = Event()

    def work() -> None:
        while not ended.wait(pause):
            trim(0)

    thread = Thread(target=work, name="nlplug-memory", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
