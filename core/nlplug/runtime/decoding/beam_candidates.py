"""The tokens that beams may continue with: the most likely ones, or sampled ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from nlplug.runtime.decoding.decoder import Decoding
from nlplug.runtime.decoding.history import History
from nlplug.runtime.decoding.options import DecodingOptions
from nlplug.runtime.decoding.processors import (
    Processor,
    active_processors,
    max_banned,
    process_scores,
)
from nlplug.runtime.decoding.ranking import log_softmax, rank, top_sorted
from nlplug.runtime.decoding.sampling import generators


class Continuations(NamedTuple):
    """Tokens that each beam may continue with; arrays of shape (rows, n).

    Attributes:
        values: Their log-probabilities, float32; minus infinity for tokens that are not possible.
        tokens: int64.
        noise: What is added to the values before the best are chosen, float32; None for nothing.
    """

    values: np.ndarray
    tokens: np.ndarray
    noise: np.ndarray | None = None


class Candidates(Protocol):
    """Finds the continuations of all beams."""

    def __call__(self, decoding: Decoding, history: History) -> Continuations: ...


def candidates(decoding: Decoding, options: DecodingOptions, width: int) -> Candidates:
    """What finds the continuations for these options.

    Args:
        decoding: The rows, before their first token.
        options: Those of the search.
        width: Number of continuations to compare per prompt.
    """
    if options.samples:
        return _Sampled(decoding, options, width)
    return _MostLikely(decoding, options.processors(), width)


class _MostLikely:
    """The ``width`` largest log-probabilities of each row, and their tokens."""

    def __init__(self, decoding: Decoding, processors: Sequence[Processor], width: int) -> None:
        self._processors = processors
        self._vocabulary = decoding.logits.shape[1]
        self._width = min(width, self._vocabulary)
        size = self._width + max_banned(processors)
        self._ranks = size <= self._vocabulary and decoding.rank(size)

    def __call__(self, decoding: Decoding, history: History) -> Continuations:
        active, banned = active_processors(self._processors, history)
        if banned is None or len(banned) == self._vocabulary:
            scores = process_scores(log_softmax(decoding.logits), active, history)
            return Continuations(*top_sorted(scores, self._width))
        ranking = decoding.ranking if self._ranks else None
        if ranking is None:
            size = min(self._width + len(banned), self._vocabulary)
            ranking = rank(decoding.logits, size)
        best = ranking.without(banned)
        values = best.logits[:, : self._width] - best.log_sums
        return Continuations(values, best.tokens[:, : self._width])


class _Sampled:
    """Tokens such that the best sums over all beams of a prompt are a sample without replacement.

    Gumbel noise is added to each log-probability: the ``width`` largest sums are then such a
    sample, in the order in which they would be drawn. Source: Kool et al. 2019,
    https://arxiv.org/abs/1903.06059
    """

    def __init__(self, decoding: Decoding, options: DecodingOptions, width: int) -> None:
        self._processors = options.processors()
        self._sampler = options.sampler()
        self._generators = generators(options.seed, decoding.rows // options.num_beams)
        self._width = min(width, decoding.logits.shape[1])
        # Besides the tokens that end a text, one that continues it.
        self._least = 1 + len(options.eos)

    def __call__(self, decoding: Decoding, history: History) -> Continuations:
        active, _ = active_processors(self._processors, history)
        scores = process_scores(log_softmax(decoding.logits), active, history)
        shape = (len(scores), self._width)
        values, noise = np.full(shape, -np.inf, np.float32), np.zeros(shape, np.float32)
        tokens = np.zeros(shape, np.int64)
        for row, origin in enumerate(history.origin.tolist()):
            if scores[row].max() == -np.inf:  # this beam cannot continue
                continue
            kept, _ = self._sampler.filtered(scores[row], self._least)
            kept = np.arange(scores.shape[1]) if kept is None else kept
            own = scores[row, kept] / np.float32(self._sampler.temperature)
            drawn = self._generators[origin].gumbel(size=len(kept)).astype(np.float32)
            best = np.argsort(-(own + drawn), kind="stable")[: self._width]
            place = row, slice(len(best))
            values[place], tokens[place], noise[place] = own[best], kept[best], drawn[best]
        return Continuations(values, tokens, noise)
