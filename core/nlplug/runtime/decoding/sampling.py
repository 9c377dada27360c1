"""Sampling: filters remove tokens, then one token is sampled by its probability.

The filters keep what those of the same name in transformers keep. The vocabulary is never sorted
as a whole: what top-k, top-p and min-p keep is the beginning of its ranking. If the graph's ranking
is long enough, as it is most of the time, all rows are sampled from it together. Else each row is
sampled from all its scores, with the same random number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np

from nlplug.argument_rules import is_number
from nlplug.errors import OptionError
from nlplug.runtime.decoding.processors import no_token_left
from nlplug.runtime.decoding.ranking import Ranking, descending, top_places

_FIRST_GUESS = 64
_MOST_RANKED = 256


@dataclass(frozen=True)
class Sampler:
    """Samples a token for each row; filters apply in the order of the attributes.

    Attributes:
        temperature: Scores are divided by it; above 0.
        top_k: Keep this many most likely tokens; 0 for all.
        top_p: Keep the most likely tokens that together have this probability; 1 for all. Source:
            Holtzman et al. 2020, https://arxiv.org/abs/1904.09751
        min_p: Keep tokens with at least this fraction of the largest probability; 0 for all.
            Source: Nguyen et al. 2024, https://arxiv.org/abs/2407.01082
        typical_p: Keep the tokens whose information content is closest to the entropy and that
            together have this probability; 1 for all. Source: Meister et al. 2022,
            https://arxiv.org/abs/2202.00666
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0

    def sample(
        self,
        scores: np.ndarray,
        generators: Sequence[np.random.Generator],
        ranking: Ranking | None = None,
    ) -> np.ndarray:
        """A token for each row.

        Args:
            scores: float32 of shape (rows, vocabulary); not changed.
            generators: One per row, so that the result of a row is independent of other rows.
            ranking: The `ranking_size` most likely tokens of each row, if they are known.

        Returns:
            int64 of shape (rows,).

        Raises:
            InputError: A row has no token left.
        """
        numbers = np.array([generator.random() for generator in generators])
        if ranking is not None and len(scores) == 1 and self.typical_p == 1.0:
            place = self._place(scores, ranking, float(numbers[0]))
            if place is not None:
                return ranking.tokens[:, place]
            ranking = None
        if ranking is None:
            return np.array([self._sampled(*pair) for pair in zip(scores, numbers, strict=True)])
        weights, sums, ends, sure = self._ranked(scores, ranking)
        if self.typical_p < 1.0:
            for row, end in zip(weights, ends, strict=True):
                row[:end] = _typical(row[:end], self.typical_p)
            places = _places(weights, ends, numbers)
        else:
            rows, last = np.arange(len(sums)), ends - 1
            points = numbers * sums[rows, last]
            places = np.minimum((sums <= points[:, None]).sum(axis=1), last)
        tokens: np.ndarray = ranking.tokens[np.arange(len(places)), places]
        if not sure.all():
            for row in np.flatnonzero(~sure):
                tokens[row] = self._sampled(scores[row], numbers[row])
        return tokens

    def ranking_size(self, vocabulary: int) -> int:
        """Number of tokens to rank in order to sample from a ranking; 0 if that does not help."""
        if 0 < self.top_k < vocabulary:
            # One more shows whether other tokens are equal to the last.
            return self.top_k + 1 if self.top_k < min(vocabulary, _MOST_RANKED) else 0
        return min(_FIRST_GUESS, vocabulary) if self.top_p < 1.0 or self.min_p > 0.0 else 0

    def filtered(self, scores: np.ndarray, least: int = 1) -> tuple[np.ndarray | None, np.ndarray]:
        """The tokens of a row that the filters keep.

        Args:
            scores: float32 of shape (vocabulary,).
            least: Each filter keeps at least this many tokens.

        Returns:
            The tokens, None for the whole vocabulary in its order, and for each a weight that is
            proportional to its probability.

        Raises:
            InputError: All tokens are banned.
        """
        peak = scores.max()
        if not np.isfinite(peak):
            raise no_token_left()
        if 0 < self.top_k < len(scores):
            count = min(max(self.top_k, least), len(scores))
            tokens: np.ndarray | None = descending(scores, top_places(scores, count))
            weights = self._weights(scores[tokens], peak)
            if self.top_p < 1.0:
                mass = self.top_p * weights.sum(dtype=np.float64)
                weights = weights[: max(least, _enough(weights, mass))]
        elif self.top_p < 1.0:
            tokens, weights = self._likeliest(scores, peak, least)
        else:
            tokens, weights = None, self._weights(scores, peak)
        if self.min_p > 0.0:
            limit = np.float32(self.min_p)
            if least > 1:
                limit = min(limit, weights[top_places(weights, min(least, len(weights)))].min())
            if tokens is None:
                tokens = descending(scores, np.flatnonzero(weights >= limit))
                weights = weights[tokens]
            weights = np.where(weights < limit, np.float32(0), weights)
        if self.typical_p < 1.0:
            weights = _typical(weights, self.typical_p, least)
        return (tokens if tokens is None else tokens[: len(weights)]), weights

    def _sampled(self, scores: np.ndarray, number: float) -> int:
        tokens, weights = self.filtered(scores)
        ends = np.array([len(weights)])
        place = int(_places(weights[None], ends, np.array([number]))[0])
        return place if tokens is None else int(tokens[place])

    def _place(self, scores: np.ndarray, ranking: Ranking, number: float) -> int | None:
        """The index of the sampled token in the ranking of a single row.

        It does what `sample` does with `_ranked`, with fewer calls of numpy, each of which takes
        microseconds between two steps of a graph.

        Returns:
            None if the ranking is too short.
        """
        logits = ranking.logits[0]
        peak = logits[0]
        counted = 0 < self.top_k < scores.shape[1]
        if counted:
            if not logits[self.top_k] < logits[self.top_k - 1]:
                return None
            logits = logits[: self.top_k]
        weights = self._weights(logits, peak)
        sums = weights.cumsum(dtype=np.float64)
        end = len(sums)
        if self.top_p < 1.0:
            mass = sums[-1] if counted else self._mass(scores, ranking)[0, 0]
            end = int(np.count_nonzero(sums - weights < self.top_p * mass))
        if self.min_p > 0.0:
            end = min(end, int(np.count_nonzero(weights >= self.min_p)))
        if not counted and end == len(sums):
            return None
        return min(int(sums.searchsorted(number * sums[end - 1], side="right")), end - 1)

    def _ranked(
        self, scores: np.ndarray, ranking: Ranking
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """What top-k, top-p and min-p keep of each row: the beginning of its ranking.

        Returns:
            The weights, their cumulative sums, the number of kept tokens, and whether the ranking
            is long enough, for each row.
        """
        logits = ranking.logits
        counted = 0 < self.top_k < scores.shape[1]
        weights = self._weights(logits[:, : self.top_k] if counted else logits, logits[:, :1])
        sums = weights.cumsum(axis=1, dtype=np.float64)
        ends = np.full(len(sums), sums.shape[1])
        if self.top_p < 1.0:
            mass = sums[:, -1:] if counted else self._mass(scores, ranking)
            ends = (sums - weights < self.top_p * mass).sum(axis=1)
        if self.min_p > 0.0:
            ends = np.minimum(ends, (weights >= self.min_p).sum(axis=1))
        if counted:  # tokens equal to the last of the top k are kept too
            sure = logits[:, self.top_k] < logits[:, self.top_k - 1]
        else:
            sure = ends < sums.shape[1]
        return weights, sums, ends, sure

    def _mass(self, scores: np.ndarray, ranking: Ranking) -> np.ndarray:
        """The sum of the weights of all tokens of each row, shape (rows, 1)."""
        peaks = ranking.logits[:, :1]
        if self.temperature == 1.0:
            whole: np.ndarray = np.exp(ranking.log_sums - peaks)
        else:
            whole = self._weights(scores, peaks).sum(axis=1, keepdims=True)
        return whole

    def _weights(self, scores: np.ndarray, peak: np.ndarray) -> np.ndarray:
        """Probabilities divided by the largest one."""
        distance = scores - peak
        if self.temperature != 1.0:
            distance = distance / np.float32(self.temperature)
        weights: np.ndarray = np.exp(distance)
        return weights

    def _likeliest(
        self, scores: np.ndarray, peak: np.ndarray, least: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The beginning of the ranking that has the probability ``top_p``."""
        every = self._weights(scores, peak)
        wanted = self.top_p * every.sum()
        tokens = descending(scores, top_places(scores, min(_FIRST_GUESS, len(scores))))
        enough = _enough(every[tokens], wanted)
        if enough == len(tokens) < len(scores):
            tokens = np.argsort(-scores)
            enough = _enough(every[tokens], wanted)
        return tokens, every[tokens[: max(least, enough)]]


class _Fresh:
    """Where the randomness of calls without a seed comes from."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.seed: np.random.SeedSequence | None = None

    def spawn(self, count: int) -> list[np.random.SeedSequence]:
        with self._lock:  # a sequence counts what it has spawned
            return (self.seed or np.random.SeedSequence()).spawn(count)


_fresh = _Fresh()


def set_seed(seed: int) -> None:
    """Make the calls without the option ``seed`` that follow repeatable, as in transformers.

    The same calls in the same order give the same texts; they are not those of transformers. Calls
    from several threads at once have no fixed order: give them the option ``seed`` instead.

    Args:
        seed: A whole number from 0.

    Raises:
        OptionError: It is not a whole number from 0.
    """
    if not is_number(seed) or seed < 0:
        raise OptionError(f"seed is {seed!r}.", hint="Give a whole number from 0.")
    _fresh.seed = np.random.SeedSequence(seed)


def generators(seed: int | None, prompts: int, copies: int = 1) -> list[np.random.Generator]:
    """A random generator for each of the ``copies`` texts of each prompt.

    The generators of one seed are the same for every prompt, so the result of a prompt is
    independent of the others. Without a seed they differ in every call; see `set_seed`.
    """
    if seed is None:
        return [np.random.default_rng(child) for child in _fresh.spawn(prompts * copies)]
    return [
        np.random.default_rng(child)
        for _ in range(prompts)
        for child in np.random.SeedSequence(seed).spawn(copies)
    ]


def _places(weights: np.ndarray, ends: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """The indices that numbers from 0 to 1 select among the first weights of their rows."""
    sums = weights.cumsum(axis=1, dtype=np.float64)
    whole = sums[np.arange(len(sums)), ends - 1]
    # Below the end, and after equal sums: a token of weight 0 is never selected.
    points = np.minimum(numbers * whole, np.nextafter(whole, 0.0))
    places: np.ndarray = (sums <= points[:, None]).sum(axis=1)
    return places


def _enough(weights: np.ndarray, mass: float) -> int:
    """How many leading weights are needed to reach a sum, at least one."""
    before = weights.cumsum(dtype=np.float64) - weights
    return max(1, int(np.searchsorted(before, mass, side="left")))


def _typical(weights: np.ndarray, mass: float, least: int = 1) -> np.ndarray:
    """Set the weights to 0 whose information content is furthest from the entropy."""
    shares = weights / weights.sum()
    surprise = np.full_like(shares, np.inf)
    some = shares > 0
    surprise[some] = -np.log(shares[some])
    far = np.abs(surprise - (shares[some] * surprise[some]).sum())
    order = np.argsort(far, kind="stable")
    last = max(least - 1, int((shares[order].cumsum() < mass).sum()))
    last = min(last, len(order) - 1)
    removed = far > far[order[last]]
    return np.where(removed, np.float32(0), weights)
