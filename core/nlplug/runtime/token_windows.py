"""The windows of token ids that a tokenizer makes of texts and of pairs of texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class PairFrame:
    """What a tokenizer puts around a pair of texts.

    Attributes:
        before: Ids of the special tokens before the first text.
        between: Those between the texts.
        after: Those after the second text.
        types: The type ids of these five parts: before, first text, between, second text, after;
            one id per special token, and one id for all tokens of a text.
    """

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    types: tuple[tuple[int, ...], ...]

    def join(self, first: Sequence[int], second: Sequence[int]) -> TokenWindow:
        """The window of two texts, given by their tokens."""
        before, first_type, between, second_type, after = self.types
        ids = [*self.before, *first, *self.between, *second, *self.after]
        types = [*before, *first_type * len(first), *between, *second_type * len(second), *after]
        return TokenWindow(ids, types)


@dataclass(slots=True)
class TokenWindow:
    """One window of a text or of a pair, with its special tokens.

    Attributes:
        ids: Its tokens.
        type_ids: Of a pair, to which text each token belongs; None for a single text.
    """

    ids: list[int]
    type_ids: list[int] | None = None

    def __len__(self) -> int:
        return len(self.ids)


def longest_first(first: int, second: int, room: int) -> tuple[int, int]:
    """The lengths of two texts after the longer one was cut off, then both, as in tokenizers.

    Args:
        first: Number of tokens of the first text.
        second: Number of tokens of the second text.
        room: Number of tokens to keep, fewer than both have.
    """
    short = min(first, second)
    long = max(short, room - short)
    if short + long > room:
        short = room // 2
        long = room - short
    return (long, short) if first > second else (short, long)
