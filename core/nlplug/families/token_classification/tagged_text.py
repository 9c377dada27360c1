"""A text with token scores: merges windows to one sequence, and finds where words begin."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nlplug.text.characters import are_spaces, codes_of
from nlplug.text.words import word_breaks

_APART = re.compile(r"[\t\v\f\u2029]|\r?\n[^\S\n]*\n")
"""What separates the cells of a table, or paragraphs."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one text, without special ones.

    Attributes:
        ids: (tokens,) their ids.
        offsets: (tokens, 2) start and end of each token, in characters.
        words: (tokens,) number of the tokenizer's word of each token; NaN: no word.
    """

    ids: np.ndarray
    offsets: np.ndarray
    words: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Tags:
    """The tokens of one text of any length, with the model's scores.

    There are no special tokens. ``starts`` and ``ends`` are indices of characters. No token begins
    or ends with whitespace or within a character; a token that is only whitespace has the same
    start and end.

    Attributes:
        text: The text.
        first: Number of special tokens before the first token.
        starts: (tokens,) start of each token.
        ends: (tokens,) end of each token.
        unknown: (tokens,) which tokens are unknown to the vocabulary.
        bare: (tokens,) which tokens only mark the beginning of a word: a bare ``▁`` of
            SentencePiece, whose offsets may include the first character of the word.
        words: (tokens,) number of the tokenizer's word of each token; None if the tokenizer does
            not know words.
        scores: (tokens, labels) probabilities.
    """

    text: str
    first: int
    starts: np.ndarray
    ends: np.ndarray
    unknown: np.ndarray
    bare: np.ndarray
    words: np.ndarray | None
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def shared(self) -> np.ndarray:
        """(tokens,) which tokens continue a character that a previous token began.

        An emoji in bytes, ``½`` as ``1/2``, or a letter and a separate accent are several tokens
        at the same position.
        """
        reached = np.maximum.accumulate(np.where(self.bare, 0, self.ends))
        return np.concatenate(([False], self.starts[1:] < reached[:-1]))

    @cached_property
    def word_starts(self) -> np.ndarray:
        """(words,) the first token of each word.

        The words are those of the tokenizer if it knows words, as WordPiece does. Otherwise a
        token begins a word at a break of `word_breaks`, or if it is unknown.
        """
        if self.words is not None:
            begins = np.concatenate(([True], self.words[1:] != self.words[:-1]))
        else:
            begins = word_breaks(self.text)[self.starts] | self.unknown
            begins[0] = True
        return np.flatnonzero(begins & ~self.shared)

    @cached_property
    def apart(self) -> np.ndarray:
        """(tokens,) which tokens are the first after a tab or an empty line.

        Most tokenizers read these as a space, so that the model does not see them.
        """
        ends = [match.end() for match in _APART.finditer(self.text)]
        reached = np.searchsorted(ends, self.starts, side="right")
        return np.diff(reached, prepend=reached[:1]) > 0

    def spans(self, firsts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Start and end of runs of tokens in the text.

        Args:
            firsts: (runs,) the first token of each run, ascending; a run ends at the next one.

        Returns:
            Two arrays (runs,). For a run without characters the start is not below the end.
        """
        empty = (self.starts >= self.ends) | self.bare
        starts = np.where(empty, len(self.text), self.starts)
        ends = np.where(empty, 0, self.ends)
        return np.minimum.reduceat(starts, firsts), np.maximum.reduceat(ends, firsts)


def merge(windows: Sequence[np.ndarray], stride: int) -> np.ndarray:
    """Merge the values of overlapping windows to one sequence for the whole text.

    The values of a token are taken from the window in which the token is farthest from an edge,
    where the model has the most context. The beginning and the end of the text are not edges.

    Args:
        windows: Arrays (tokens of the window, …) in the order of the windows.
        stride: Number of tokens that neighboring windows share.

    Returns:
        (tokens of the text, …).
    """
    if len(windows) == 1:
        return windows[0]
    total = sum(map(len, windows)) - stride * (len(windows) - 1)
    merged = np.empty((total, *windows[0].shape[1:]), dtype=windows[0].dtype)
    seen = np.full(total, -1)
    begin = 0
    for number, values in enumerate(windows):
        left = np.arange(len(values))
        right = left[::-1]
        if number == 0:
            context = right
        elif number == len(windows) - 1:
            context = left
        else:
            context = np.minimum(left, right)
        here = slice(begin, begin + len(values))
        better = context > seen[here]
        merged[here][better] = values[better]
        seen[here] = np.maximum(seen[here], context)
        begin += len(values) - stride
    return merged


def trim(text: str, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets without whitespace at the edges; many tokenizers include the space before a word.

    Args:
        text: The text.
        offsets: (tokens, 2), within the text.

    Returns:
        The starts and the ends, (tokens,) each.
    """
    starts, ends = offsets[:, 0], offsets[:, 1]
    space = np.concatenate((are_spaces(codes_of(text)), [False]))
    if not (space[starts].any() or space[ends - 1].any()):
        return starts, ends
    places = np.arange(len(space), dtype=offsets.dtype)
    following = np.minimum.accumulate(np.where(space, len(text), places)[::-1])[::-1]
    reached = np.maximum.accumulate(np.where(space, 0, places + 1)[:-1])
    before = np.concatenate((np.zeros_like(reached[:1]), reached))
    starts = np.minimum(following[starts], ends)
    return starts, np.maximum(before[ends], starts)
