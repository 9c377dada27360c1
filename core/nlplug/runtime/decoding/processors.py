"""What changes the scores before a token is chosen: penalties, bans, things that are forced.

Each works in place on the scores of all rows, and gives the numbers that the processor of the same
purpose in transformers gives. Padding is never looked at: rows have their true lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from nlplug.errors import InputError, OptionError
from nlplug.runtime.decoding.history import History

_NEVER = -np.inf


class Processor(Protocol):
    """Changes scores."""

    def __call__(self, history: History, scores: np.ndarray) -> None:
        """Change ``scores``, float32 of shape (rows, vocabulary), in place."""

    def rests(self, history: History) -> bool:
        """Whether it changes nothing at this step, in any row."""
        return False

    def bans(self) -> tuple[int, ...] | None:
        """The tokens that it bans, where at this step it does nothing else; else None."""
        return None

    def lowers(self) -> bool:
        """Whether it never makes a score larger."""
        return False


def at_work(
    processors: Sequence[Processor], history: History
) -> tuple[list[Processor], tuple[int, ...] | None]:
    """Those that change something at this step.

    Returns:
        Them, and if all that they do is to ban the same tokens in all rows, these tokens.
    """
    if not processors:
        return [], ()
    working = [process for process in processors if not process.rests(history)]
    bans = [process.bans() for process in working]
    if any(tokens is None for tokens in bans):
        return working, None
    return working, tuple(sorted({token for tokens in bans for token in tokens or ()}))


def most_banned(processors: Sequence[Processor]) -> int:
    """How many tokens `at_work` may name at most."""
    return sum(len(process.bans() or ()) for process in processors)


def changed(scores: np.ndarray, processors: Sequence[Processor], history: History) -> np.ndarray:
    """Scores as some processors change them, in memory of their own; the same if there are none."""
    if not processors:
        return scores
    scores = scores.copy()
    for process in processors:
        process(history, scores)
    return scores


@dataclass(frozen=True)
class RepetitionPenalty(Processor):
    """Scores of tokens that stand in the row are divided by ``penalty``, negative ones multiplied.

    Source: Keskar et al. 2019, https://arxiv.org/abs/1909.05858
    """

    penalty: float

    def __call__(self, history: History, scores: np.ndarray) -> None:
        """See `Processor`."""
        for number, row in enumerate(scores):
            seen = history.row(number)
            values = row[seen]
            row[seen] = np.where(values < 0, values * self.penalty, values / self.penalty)

    def lowers(self) -> bool:
        """See `Processor`."""
        return self.penalty >= 1


@dataclass(frozen=True)
class FrequencyPenalty(Processor):
    """For each time that a token was generated ``frequency`` less, once ``presence`` less.

    As in the OpenAI API: the prompt does not count.
    """

    frequency: float = 0.0
    presence: float = 0.0

    def __call__(self, history: History, scores: np.ndarray) -> None:
        """See `Processor`."""
        for number, row in enumerate(scores):
            seen, counts = np.unique(history.new(number), return_counts=True)
            row[seen] -= (counts * self.frequency + self.presence).astype(scores.dtype)

    def lowers(self) -> bool:
        """See `Processor`."""
        return self.frequency >= 0 and self.presence >= 0


@dataclass(frozen=True)
class NoRepeatNgram(Processor):
    """No sequence of ``size`` tokens comes twice in a row, its prompt included."""

    size: int

    def __call__(self, history: History, scores: np.ndarray) -> None:
        """See `Processor`."""
        before = self.size - 1
        for number, row in enumerate(scores):
            ids = history.row(number)
            if len(ids) < self.size:
                continue
            windows = np.lib.stride_tricks.sliding_window_view(ids, self.size)
            same = (windows[:, :before] == ids[len(ids) - before :]).all(axis=1)
            row[windows[same, before]] = _NEVER

    def lowers(self) -> bool:
        """See `Processor`."""
        return True


@dataclass(frozen=True)
class BadWords(Processor):
    """Sequences of tokens that never come; the last token is banned where the others stand.

    transformers lets a word pass whose tokens are more than the whole text before; here it is
    banned there too.
    """

    words: tuple[tuple[int, ...], ...]

    def __call__(self, history: History, scores: np.ndarray) -> None:
        """See `Processor`."""
        for *before, last in self.words:
            for number, row in enumerate(scores):
                ids = history.row(number)
                if len(before) <= len(ids) and ids[len(ids) - len(before) :].tolist() == before:
                    row[last] = _NEVER

    def bans(self) -> tuple[int, ...] | None:
        """See `Processor`."""
        alone = all(len(word) == 1 for word in self.words)
        return tuple(word[0] for word in self.words) if alone else None

    def lowers(self) -> bool:
        """See `Processor`."""
        return True


@dataclass(frozen=True)
class SuppressTokens(Processor):
    """Tokens that never come."""

    tokens: tuple[int, ...]

    def __call__(self, history: History, scores: np.ndarray) -> None:
        """See `Processor`."""
        scores[:, list(self.tokens)] = _NEVER

    def bans(self) -> tuple[int, ...]:
        """See `Processor`."""
        return self.tokens

    def lowers(self) -> bool:
        """See `Processor`."""
        return True


@dataclass(frozen=True)
class SuppressFirst(Processor):
    """Tokens that do not come as the first new token, or as the first after a forced one.

    Attributes:
        tokens: Those.
        forced: A `ForcedFirst` comes before.
    """

    tokens: tuple[int, ...]
    forced: bool = False

    def __call__(self, history: History, scores: np.ndarray) -> None:
        """See `Processor`."""
        start = history.prompt_lengths == 1 if self.forced else False
        rows = np.flatnonzero(history.generated == np.zeros(len(scores), np.int64) + start)
        scores[np.ix_(rows, np.array(self.tokens))] = _NEVER

    def rests(self, history: History) -> bool:
        """See `Processor`."""
        return history.generated > self.forced

    def lowers(self) -> bool:
        """See `Processor`."""
        return True


@dataclass(frozen=True)
class MinNewTokens(Processor):
    """No end before ``count`` new tokens."""

    count: int
    eos: tuple[int, ...]

    def __call__(self, history: History, scores: np.ndarray) -> None:
        """See `Processor`."""
        if not self.rests(history):
            scores[:, list(self.eos)] = _NEVER

    def rests(self, history: History) -> bool:
        """See `Processor`."""
        return history.generated >= self.count

    def bans(self) -> tuple[int, ...]:
        """See `Processor`."""
        return self.eos

    def lowers(self) -> bool:
        """See `Processor`."""
        return True


@dataclass(frozen=True)
class ForcedFirst(Processor):
    """The token that follows a prompt of one token, as the language does in many-pair models."""

    token: int

    def __call__(self, history: History, scores: np.ndarray) -> None:
        """See `Processor`."""
        _force(scores, history.lengths == 1, self.token)

    def rests(self, history: History) -> bool:
        """See `Processor`."""
        return history.generated > 0


@dataclass(frozen=True)
class ForcedEnd(Processor):
    """The token that comes last if ``max_new_tokens`` is reached."""

    token: int
    max_new_tokens: int

    def __call__(self, history: History, scores: np.ndarray) -> None:
        """See `Processor`."""
        if not self.rests(history):
            _force(scores, np.ones(len(scores), bool), self.token)

    def rests(self, history: History) -> bool:
        """See `Processor`."""
        return history.generated != self.max_new_tokens - 1


@dataclass(frozen=True)
class PrefixConstraint(Processor):
    """Only the tokens that a function allows.

    Attributes:
        allowed: From the number of the prompt and all tokens of a row to the tokens that may
            follow. Where there are none, a beam is given up.
    """

    allowed: Callable[[int, np.ndarray], Sequence[int]]

    def __call__(self, history: History, scores: np.ndarray) -> None:
        """See `Processor`.

        Raises:
            OptionError: What is allowed are no tokens of the model's.
        """
        for number, row in enumerate(scores):
            # A copy, for the function may keep it or write to it.
            ids = history.row(number).copy()
            banned = np.ones(len(row), bool)
            banned[_tokens(self.allowed(int(history.origin[number]), ids), len(row))] = False
            row[banned] = _NEVER

    def lowers(self) -> bool:
        """See `Processor`."""
        return True


def none_left() -> InputError:
    """The error where the processors leave a row no token."""
    return InputError(
        "No token may follow: all of them are banned.",
        hint="Allow more: bad words, suppressed tokens or the prefix constraint.",
    )


def _tokens(allowed: Any, vocabulary: int) -> np.ndarray:
    """What a prefix constraint allows, checked: an index that is wrong would pick others."""
    try:
        tokens = np.asarray(allowed if isinstance(allowed, np.ndarray) else list(allowed))
    except (TypeError, ValueError):
        raise _no_tokens(allowed) from None
    if not tokens.size:
        return np.zeros(0, np.int64)
    if tokens.ndim != 1 or tokens.dtype.kind not in "iu":
        raise _no_tokens(allowed)
    for token in (tokens.min(), tokens.max()):
        if not 0 <= token < vocabulary:
            raise OptionError(
                f"The prefix constraint allows the token {token}; the model's tokens are "
                f"0 to {vocabulary - 1}.",
                hint="Take it from the model's own tokenizer.",
            )
    return tokens


def _no_tokens(allowed: Any) -> OptionError:
    return OptionError(
        f"The prefix constraint allows {str(allowed)[:80]}, which is no list of tokens.",
        hint="Have it return the ids of the tokens that may follow.",
    )


def _force(scores: np.ndarray, rows: np.ndarray, token: int) -> None:
    scores[rows] = _NEVER
    scores[rows, token] = 0.0
