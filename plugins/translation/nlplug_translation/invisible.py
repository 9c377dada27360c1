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
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")


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


def without_halves(texts: Sequence[str], shown: Sequence[bool]) -> list[str]:
    """Texts without the marks of a direction that begin or end what is not there any more.

    One mark begins a direction and another ends it. Where one of the two is in a text that loses
    its invisible characters and the other is not, the other would turn what follows.

    Args:
        texts: The stretches of a text.
        shown: Whether each loses its invisible characters; such texts are returned as they are.
    """
    if not any(map(_TURNS.search, texts)):
        return list(texts)
    pending: dict[str, list[tuple[int, int]]] = {"\u202c": [], "\u2069": []}
    halves: list[set[int]] = [set() for _ in texts]
    for number, text in enumerate(texts):
        for found in _TURNS.finditer(text):
            mark, place = found[0], (number, found.start())
            if mark not in pending:
                pending["\u2069" if mark >= "\u2066" else "\u202c"].append(place)
            elif pending[mark]:
                partner = pending[mark].pop()
                if shown[partner[0]] != shown[number]:
                    where, at = partner if shown[number] else place
                    halves[where].add(at)
    return [
        "".join(letter for at, letter in enumerate(text) if at not in gone) if gone else text
        for text, gone in zip(texts, halves, strict=True)
    ]


def places(text: str) -> list[int]:
    """The position in a text of each of its visible characters."""
    return [place for place, letter in enumerate(text) if not _SOME.match(letter)]
