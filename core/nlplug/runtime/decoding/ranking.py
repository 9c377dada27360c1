"""The likeliest tokens of each row, found in the graph where it can, else by numpy.

Sampling and beams look at a few dozen of a vocabulary. The graph finds them while the logits are
still warm, for all rows at once, and for greedy decoding it finds the one in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np

from nlplug.runtime.decoding.decoder import Decoding
from nlplug.runtime.decoding.numeric import log_sum_exp, top_sorted


@dataclass(frozen=True)
class Ranking:
    """The likeliest tokens of some rows, the likeliest first.

    Attributes:
        logits: float32 of shape (rows, n); of equal ones, that of the lower token comes first.
        tokens: int64 of shape (rows, n).
        shares: The probability of the likeliest of all tokens, float32 of shape (rows, 1).
        peaks: The logit of the same, of the same shape.
    """

    logits: np.ndarray
    tokens: np.ndarray
    shares: np.ndarray
    peaks: np.ndarray

    @property
    def log_sums(self) -> np.ndarray:
        """Of the exponentials of all logits of each row: float32 of shape (rows, 1)."""
        sums: np.ndarray = self.peaks - np.log(self.shares)
        return sums

    def without(self, banned: tuple[int, ...]) -> Ranking:
        """Leave tokens out; what is left is shorter by their number, there or not.

        ``shares`` and ``peaks`` stay as they are: they are those of the model.
        """
        if not banned:
            return self
        out = np.isin(self.tokens, banned)
        order = np.argsort(out, axis=1, kind="stable")[:, : out.shape[1] - len(banned)]
        return Ranking(
            np.take_along_axis(self.logits, order, 1),
            np.take_along_axis(self.tokens, order, 1),
            self.shares,
            self.peaks,
        )

    def lowered(self, scores: np.ndarray) -> Ranking | None:
        """Rank again what some scores are now, none of which is larger than its logit was.

        Above the last logit nothing can be missing; tokens that fell below it get minus infinity.

        Args:
            scores: Of all tokens, float32 of shape (rows, vocabulary).

        Returns:
            None where a row has no token left above.
        """
        values = np.take_along_axis(scores, self.tokens, 1)
        values[values <= self.logits[:, -1:]] = -np.inf
        order = np.argsort(-values, axis=1, kind="stable")
        values = np.take_along_axis(values, order, 1)
        if not np.isfinite(values[:, 0]).all():
            return None
        tokens = np.take_along_axis(self.tokens, order, 1)
        return Ranking(values, tokens, self.shares, self.peaks)


class Ranked(Protocol):
    """A `Decoding` whose graph ranks."""

    def rank(self, count: int) -> None:
        """Have so many tokens ranked from the next step on."""

    @property
    def ranking(self) -> Ranking | None:
        """After the last step; None where so many were not yet asked for."""


def as_ranked(decoding: Decoding) -> Ranked | None:
    """The decoding, if its graph ranks."""
    # isinstance would make a ranking to see whether there is one, at every step.
    return cast(Ranked, decoding) if hasattr(decoding, "rank") else None


def have_ranked(decoding: Decoding, count: int) -> Ranked | None:
    """Have so many tokens ranked, if the graph can and there are so many."""
    ranked = as_ranked(decoding)
    if ranked is None or not 0 < count <= decoding.logits.shape[1]:
        return None
    ranked.rank(count)
    return ranked


def ranked_here(logits: np.ndarray, count: int) -> Ranking:
    """The same by numpy."""
    values, tokens = top_sorted(logits, count)
    peaks = values[:, :1]
    return Ranking(values, tokens, np.exp(peaks - log_sum_exp(logits)), peaks)
