"""Where words begin in a text, in any script."""

from __future__ import annotations

import re
import unicodedata

import numpy as np

from nlplug.text.characters import are_spaces, codes_of

# Scripts without spaces between words: Thai, Lao, Burmese, Khmer, kana, Han.
_UNSPACED = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x2E80, 0x2FDF),
    (0x3005, 0x3007),
    (0x3040, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
    (0x20000, 0x3FFFF),
)
# Letters of the scripts that put spaces between words, and in whose languages little is joined to a
# name: Latin, Greek, Cyrillic.
_SPACED = "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0370-\u052f\u1e00-\u1fff"
_IN_WORD = re.compile(rf"(?<=[{_SPACED}])(?=[{_SPACED}])|(?<=\d)(?=\d)")
_NO_WORD = re.compile(r"[\W_]+")
_SPACE, _OTHER, _LETTER, _DIGIT, _IDEOGRAPH, _MARK = range(6)


def alike(text: str) -> str:
    """What texts share that differ only in case, spaces or punctuation: their words.

    A text without a letter or digit is itself.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _NO_WORD.sub(" ", folded).strip() or text


def in_word(text: str, at: int) -> bool:
    """Whether the character at a place goes on a word or a number that has begun before it.

    Only in the Latin, Greek and Cyrillic scripts: in others, a part of what stands between two
    spaces may well be a word.
    """
    return _IN_WORD.match(text, at) is not None


def word_breaks(text: str) -> np.ndarray:
    """Positions at which a token begins a word, from the text only.

    A word is a run of letters and digits with their combining marks. Other characters are separate
    words, as in BERT's tokenizers, except within a number such as ``5.975,74``. In scripts without
    spaces each token is a word.

    Returns:
        (characters + 1,) of bool.
    """
    codes = codes_of(text)
    different, places = np.unique(codes, return_inverse=True)
    kinds = np.array([_kind(int(code)) for code in different], dtype=np.int8)[places]
    mark = kinds == _MARK
    bases = np.maximum.accumulate(np.where(mark, 0, np.arange(len(kinds))))
    kinds = kinds[bases]
    inside = kinds[1:-1] == _OTHER
    inside &= (kinds[:-2] == _DIGIT) & (kinds[2:] == _DIGIT)
    kinds[1:-1][inside] = _DIGIT
    kinds[kinds == _DIGIT] = _LETTER
    one, two = kinds[:-1], kinds[1:]
    breaks = np.ones(len(text) + 1, dtype=bool)
    breaks[1:-1] = (one == _SPACE) | (two == _SPACE)
    breaks[1:-1] |= ((one != two) | (two == _IDEOGRAPH)) & ~mark[1:]
    return breaks


def word_spans(text: str) -> np.ndarray:
    """The words of a text, with punctuation marks as words: (words, 2) of first character and end.

    As `word_breaks`, but a word with an apostrophe inside it, such as ``don't``, is one word.
    """
    if not text:
        return np.zeros((0, 2), dtype=np.int64)
    breaks = word_breaks(text)
    for place in _apostrophes(text):
        breaks[[place, place + 1]] = False
    edges = np.flatnonzero(breaks)
    spans = np.stack((edges[:-1], edges[1:]), axis=1)
    visible: np.ndarray = spans[~are_spaces(codes_of(text))[spans[:, 0]]]
    return visible


def _apostrophes(text: str) -> list[int]:
    """The positions of apostrophes between two letters."""
    return [
        place
        for place in range(1, len(text) - 1)
        if text[place] in "'\u2019" and _is_letter(text[place - 1]) and _is_letter(text[place + 1])
    ]


def _is_letter(character: str) -> bool:
    """Whether it is a letter or a combining mark."""
    return unicodedata.category(character)[0] in "LM"


def _kind(code: int) -> int:
    character = chr(code)
    if character.isspace():
        return _SPACE
    if unicodedata.category(character).startswith("M"):
        return _MARK
    if any(low <= code <= high for low, high in _UNSPACED):
        return _IDEOGRAPH
    if not character.isalnum():
        return _OTHER
    return _DIGIT if character.isdigit() else _LETTER
