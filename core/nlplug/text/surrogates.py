"""Code points that stand for half of a character; no encoding can write one alone."""

from __future__ import annotations

import re

_LONE = re.compile("[\ud800-\udfff]")


def lone_surrogate(text: str) -> int | None:
    """The index of the first lone surrogate, which no encoding can write; None if there is none."""
    found = None if text.isascii() else _LONE.search(text)
    return found.start() if found else None
