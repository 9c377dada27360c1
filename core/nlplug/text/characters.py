"""User-perceived characters: a letter with its combining marks, a joined emoji, a flag.

These are mostly the extended grapheme clusters of Unicode's UAX #29, with two differences: a mark
after a space is a character of its own, so that no word begins with a space, and a zero-width
non-joiner belongs to neither side.
"""

from __future__ import annotations

import unicodedata

import numpy as np

_PLAIN, _JOINED, _JOINER, _PICTURE, _FLAG = range(5)
_FIRST_MARK = 0x300
_ZERO_WIDTH_JOINER = 0x200D
_FLAGS = range(0x1F1E6, 0x1F200)
_PICTURES = range(0x1F000, 0x1FC00)
# Code points that belong to the character before them, but do not have a mark category.
_OTHERS_JOINED = (
    range(0x1160, 0x1200),  # vowels and finals of Korean in parts
    range(0xD7B0, 0xD800),
    range(0xFF9E, 0xFFA0),  # sound marks of half-width kana
    range(0x1F3FB, 0x1F400),  # skin tones
    range(0xE0020, 0xE0080),  # the tags in the flag of Scotland
)

# Letters and marks without a picture: the fillers of Korean, selectors of variants, and the
# empty pattern of Braille. They have other categories than invisible characters.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u2800\u3164\uffa0\ufe0e\ufe0f")

_SPACES = np.array([chr(code).isspace() for code in range(0x3002)])  # the last one is at 0x3000


def codes_of(text: str) -> np.ndarray:
    """The code points of a text, (characters,)."""
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")


def is_blank(text: str) -> bool:
    """Whether a text has nothing to read: white space, controls and invisible characters only."""
    return all(
        mark.isspace() or mark in _INVISIBLE or unicodedata.category(mark) in ("Cc", "Cf")
        for mark in text
    )


def are_spaces(codes: np.ndarray) -> np.ndarray:
    """Which code points are whitespace, same shape."""
    found: np.ndarray = _SPACES[np.minimum(codes, len(_SPACES) - 1)]
    return found


def widen(text: str, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Extend spans to whole characters.

    If the accent of ``José`` is a separate combining mark, the offsets of a tokenizer that drops
    accents give ``Jose``, and a byte-level tokenizer may give only the mark.

    Args:
        text: The text.
        starts: (spans,) start indices.
        ends: (spans,) end indices; an empty span is not changed.

    Returns:
        The starts and the ends, (spans,) each.
    """
    inside = _inside(text)
    if inside is None:
        return starts, ends
    places = np.arange(len(inside), dtype=starts.dtype)
    begins = np.maximum.accumulate(np.where(inside, 0, places))
    reached = np.minimum.accumulate(np.where(inside, len(text), places)[::-1])[::-1]
    some = starts < ends
    return np.where(some, begins[starts], starts), np.where(some, reached[ends], ends)


def _inside(text: str) -> np.ndarray | None:
    """(characters + 1,) which positions are within a character; None if there are none."""
    codes = codes_of(text)
    high = codes >= _FIRST_MARK
    if not high.any():
        return None
    different, where = np.unique(codes[high], return_inverse=True)
    kinds = np.full(len(codes), _PLAIN, dtype=np.int8)
    kinds[high] = np.array([_kind(int(code)) for code in different], dtype=np.int8)[where]
    inside = np.zeros(len(codes) + 1, dtype=bool)
    inside[:-1] = joined = (kinds == _JOINED) | (kinds == _JOINER)
    bases = kinds[np.maximum.accumulate(np.where(joined, 0, np.arange(len(kinds))))]
    of_picture = (bases[:-1] == _PICTURE) & (kinds[:-1] == _JOINER)
    inside[1:-1] |= of_picture & (kinds[1:] == _PICTURE)
    inside[:-1] |= _second_of_flags(kinds == _FLAG)
    inside[1:-1] &= ~are_spaces(codes[:-1])
    inside[0] = False
    return inside if inside.any() else None


def _second_of_flags(flags: np.ndarray) -> np.ndarray:
    """Which regional indicators end a flag: every second one of a run."""
    places = np.arange(len(flags))
    begins = np.maximum.accumulate(np.where(flags, 0, places + 1))
    second: np.ndarray = flags & ((places - begins) % 2 == 1)
    return second


def _kind(code: int) -> int:
    category = unicodedata.category(chr(code))
    if category.startswith("M") or any(code in group for group in _OTHERS_JOINED):
        return _JOINED
    if code == _ZERO_WIDTH_JOINER:
        return _JOINER
    if code in _FLAGS:
        return _FLAG
    return _PICTURE if category in ("So", "Sm") or code in _PICTURES else _PLAIN


def without_spaces(text: str) -> str:
    """Without the spaces that word-wise tokenizers leave; as transformers does it."""
    for spaced in (" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're"):
        text = text.replace(spaced, spaced.strip() if spaced == " ' " else spaced[1:])
    return text
