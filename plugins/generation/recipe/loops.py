"""Detects texts that repeat the same words."""

from __future__ import annotations

LONGEST = 30
"""Maximum length of a repeated sequence, in words."""


def is_stuck(text: str) -> bool:
    """Whether a sequence of words is repeated in a row and covers at least twelve words.

    A stretch of up to 30 words counts from its third time on; of one to three words from the time
    that they are twelve words together ("ha ha ha" is no loop).
    """
    words = text.casefold().split()
    for size in range(1, LONGEST + 1):
        times = max(3, -(-12 // size))
        for begin in range(len(words) - size * times + 1):
            stretch = words[begin : begin + size]
            if all(
                words[begin + size * turn : begin + size * (turn + 1)] == stretch
                for turn in range(1, times)
            ):
                return True
    return False
