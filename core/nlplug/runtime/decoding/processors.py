"""Processors change scores before a token is chosen: penalties, bans and forced tokens.

Each changes the scores of all rows in place, to the values that the logits processor of the same
purpose in transformers gives. There is no padding here: rows have their true lengths.
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

    def idle(self, history: History) -> bool:
        """Whether it changes no score of any row at this step."""
        return False

    def bans(self) -> tuple[int, ...] | None:
        """The tokens that it bans in all rows, if it does nothing else when active; else None."""
        return None

    def only_lowers(self) -> bool:
        """Whether it never raises a score."""
        return False


def active_processors(
    processors: Sequence[Processor], history: History
) -> tuple[list[Processor], tuple[int, ...] | None]:
    """The processors that are not idle at this step.

    Returns:
        These processors and, if all they do is ban the same tokens in all rows, these tokens;
        else None.
    """
    if not processors:
        return [], ()
    active = [process for process in processors if not process.idle(history)]
    bans = [process.bans() for process in active]
    if any(tokens is None for tokens in bans):
        return active, None
    return active, tuple(sorted({token for tokens in bans for token in tokens or ()}))


def max_banned(processors: Sequence[Processor]) -> int:
    """The maximum number of banned tokens that `active_processors` returns."""
    return sum(len(process.bans() or ()) for process in processors)


def process_scores(
    scores: np.ndarray, processors: Sequence[Processor], history: History
) -> np.ndarray:
    """A copy of the scores, changed by the processors; the scores themselves if there are none."""
    if not processors:
        return scores
    scores = scores.copy()
    for process in processors:
        process(history, scores)
    return scores


@dataclass(frozen=True)
class RepetitionPenalty(Processor):
    """Divides the scores of tokens that occur in the row by ``penalty``; multiplies negative ones.

    Source: Keskar et al. 2019, https://arxiv.org/abs/1909.05858
    """

    penalty: float

    def __call__(self, history: History, scores: np.ndarray) -> None:
        """See `Processor`."""
        for number, row in enumerate(scores):
            seen = history.row(number)
            values = row[seen]
            row[seen] = np.where(values < 0, values * self.penalty, values / self.penalty)

    def only_lowers(self) -> bool:
        """See `Processor`."""
        return self.penalty >= 1


@dataclass(frozen=True)
class FrequencyPenalty(Processor):
    """Subtracts ``frequency`` per occurrence of a token in the new text, and ``presence`` once.

    As in the OpenAI API, the prompt does not count.
    """

    frequency: float = 0.0
    presence: float = 0.0

    def __call__(self, history: History, scores: np.ndarray) -> None:
        """See `Processor`."""
        for number, row in enumerate(scores):
            seen, counts = np.unique(history.new(number), return_counts=True)
            row[seen] -= (counts * self.frequency + self.presence).astype(scores.dtype)

    def only_lowers(self) -> bool:
        """See `Processor`."""
        return self.frequency >= 0 and self.presence >= 0


@dataclass(frozen=True)
class NoRepeatNgram(Processor):
    """Bans tokens that would repeat a sequence of ``size`` tokens of the row, prompt included."""

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

    def only_lowers(self) -> bool:
        """See `Processor`."""
        return True


@dataclass(frozen=True)
class BadWords(Processor):
    """Bans sequences of tokens: the last token is banned after the others.

    transformers does not ban a word that is longer than the whole text before; this does.
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

    def only_lowers(self) -> bool:
        """See `Processor`."""
        return True


@dataclass(frozen=True)
class SuppressTokens(Processor):
    """Bans tokens."""

    tokens: tuple[int, ...]

    def __call__(self, history: History, scores: np.ndarray) -> None:
        """See `Processor`."""
        scores[:, list(self.tokens)] = _NEVER

    def bans(self) -> tuple[int, ...]:
        """See `Processor`."""
        return self.tokens

    def only_lowers(self) -> bool:
        """See `Processor`."""
        return True


@dataclass(frozen=True)
class SuppressFirst(Processor):
    """Bans tokens as the first new token, or as the first one after a forced one.

    Attributes:
        tokens: The tokens.
        forced: Whether there is a `ForcedFirst`.
    """

    tokens: tuple[int, ...]
    forced: bool = False

    def __call__(self, history: History, scores: np.ndarray) -> None:
        """See `Processor`."""
        start = history.prompt_lengths == 1 if self.forced else False
        rows = np.flatnonzero(history.generated == np.zeros(len(scores), np.int64) + start)
        scores[np.ix_(rows, np.array(self.tokens))] = _NEVER

    def idle(self, history: History) -> bool:
        """See `Processor`."""
        return history.generated > self.forced

    def only_lowers(self) -> bool:
        """See `Processor`."""
        return True


@dataclass(frozen=True)
class MinNewTokens(Processor):
    """Bans the end of the text before ``count`` new tokens."""

    count: int
    eos: tuple[int, ...]

    def __call__(self, history: History, scores: np.ndarray) -> None:
        """See `Processor`."""
        if not self.idle(history):
            scores[:, list(self.eos)] = _NEVER

    def idle(self, history: History) -> bool:
        """See `Processor`."""
        return history.generated >= self.count

    def bans(self) -> tuple[int, ...]:
        """See `Processor`."""
        return self.eos

    def only_lowers(self) -> bool:
        """See `Processor`."""
        return True


@dataclass(frozen=True)
class ForcedFirst(Processor):
    """Forces the token after a prompt of one token, such as the language in multilingual models."""

    token: int

    def __call__(self, history: History, scores: np.ndarray) -> None:
        """See `Processor`."""
        _force(scores, history.lengths == 1, self.token)

    def idle(self, history: History) -> bool:
        """See `Processor`."""
        return history.generated > 0


@dataclass(frozen=True)
class ForcedEnd(Processor):
    """Forces the last token if ``max_new_tokens`` is reached."""

    token: int
    max_new_tokens: int

    def __call__(self, history: History, scores: np.ndarray) -> None:
        """See `Processor`."""
        if not self.idle(history):
            _force(scores, np.ones(len(scores), bool), self.token)

    def idle(self, history: History) -> bool:
        """See `Processor`."""
        return history.generated != self.max_new_tokens - 1


@dataclass(frozen=True)
class PrefixConstraint(Processor):
    """Bans all tokens but those that a function allows.

    Attributes:
        allowed: From the number of the prompt and all tokens of a row to the tokens that may
            follow. A beam without any is dropped.
    """

    allowed: Callable[[int, np.ndarray], Sequence[int]]

    def __call__(self, history: History, scores: np.ndarray) -> None:
        """See `Processor`.

        Raises:
            OptionError: The function returns something else than tokens of the model.
        """
        for number, row in enumerate(scores):
            # A copy, because the function may keep it or write to it.
            ids = history.row(number).copy()
            banned = np.ones(len(row), bool)
            banned[_tokens(self.allowed(int(history.origin[number]), ids), len(row))] = False
            row[banned] = _NEVER

    def only_lowers(self) -> bool:
        """See `Processor`."""
        return True


def no_token_left() -> InputError:
    """The error for a row all of whose tokens are banned."""
    return InputError(
        "No token may follow: all of them are banned.",
        hint="Ban fewer: check bad_words, suppress_tokens and the prefix constraint.",
    )


def _tokens(allowed: Any, vocabulary: int) -> np.ndarray:
    """What a prefix constraint allows, as indices into the vocabulary."""
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
        f"The prefix constraint allows {str(allowed)[:80]}, which is not a list of tokens.",
        hint="Have it return the ids of the tokens that may follow.",
    )


def _force(scores: np.ndarray, rows: np.ndarray, token: int) -> None:
    scores[rows] = _NEVER
    scores[rows, token] = 0.0
