"""Texts that make careless patterns slow, and a measure of how the time grows with them."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

UNITS = (
    *("a", ".", "!", "-", "{", "<", " ", "1", "_", "%", "`", "\\", "@", ",", "é", "我", "\n"),
    *("a ", "a.", "a-", "1.", "1 000 ", "{,", "<a", "<!--", "www.", "http://", "[a", "%0", "$a"),
    *("```a", "\x1b]", ">>", ":a", "a. ", ".)", "1-", "a\u200b", "AB ", "\\n", "😀", '"a', "a@a"),
)
"""What each text repeats."""

_SIZES = (4_000, 16_000, 64_000)
# Four times the text takes four times as long, or 16 times if by its square.
_MOST = 10
_FLOOR = 0.003
"""Seconds; what is faster cannot be timed."""


def slow(work: Callable[[str], object], *, units: tuple[str, ...] = UNITS) -> list[str]:
    """The repetitions for which some work takes more than time in proportion to the text.

    Args:
        work: Done with texts of 4,000, 16,000 and 64,000 characters.
        units: What they repeat.
    """
    found = []
    for number, unit in enumerate(units):
        end = ("", "!", "}", "a", " ", "\x00")[number % 6]
        before = _seconds(work, unit, _SIZES[0], end)
        for size in _SIZES[1:]:
            limit = _MOST * max(before, _FLOOR)
            # Again where it was slow: the core may have been busy otherwise.
            times = (_seconds(work, unit, size, end) for _ in range(3))
            before = next((taken for taken in times if taken <= limit), 0)
            if not before:
                found.append(f"{unit!r}: more than {limit:.4f} s for {size} characters")
                break
    return found


def _seconds(work: Callable[[str], object], unit: str, size: int, end: str) -> float:
    text = (unit * (size // len(unit) + 1))[:size] + end
    # As in timeit: a collection takes time by what the earlier tests of the process have left.
    collects = gc.isenabled()
    gc.disable()
    try:
        start = time.thread_time()
        work(text)
        return time.thread_time() - start
    finally:
        if collects:
            gc.enable()
