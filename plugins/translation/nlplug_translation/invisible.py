"""Invisible characters that no model knows: soft hyphens, direction marks."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nlplug_translation.protected import Span

# Soft hyphen, direction of Arabic and of the text next to it, places to break a line, joiners of
# words, mark of byte order. Those that shape letters (U+200C, U+200D) are part of their words.
INVISIBLE = r"\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
"""For use within a set of a regular expression."""

_SOME = re.compile(rf"[{INVISIBLE}]+")


def visible(text: str, kept: Sequence[Span] = ()) -> str:
    """The text without such characters.

    Args:
        text: Any text.
        kept: What of it may not change; this keeps them.
    """
    if not _SOME.search(text):
        return text
    shown, done = "", 0
    for span in kept:
        shown += _SOME.sub("", text[done : span.start]) + span.text
        done = span.end
    return shown + _SOME.sub("", text[done:])


def places(text: str) -> list[int]:
    """The position in a text of each of its visible characters."""
    return [place for place, letter in enumerate(text) if not _SOME.match(letter)]
