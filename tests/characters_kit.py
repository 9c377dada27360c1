"""What belongs to one character, as a reader sees it."""

from __future__ import annotations

import unicodedata


def within_character(text: str, place: int) -> bool:
    """Whether a combining mark, or what else belongs to the character before, stands there."""
    here = text[place : place + 1]
    joined = bool(here) and (unicodedata.category(here)[0] == "M" or here in "\u200d🏽")
    return joined and place > 0 and not text[place - 1].isspace()
