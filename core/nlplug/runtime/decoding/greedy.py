"""Decoding one token after another: the likeliest, or a drawn one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from nlplug.runtime.decoding.decoder import Decoder, Decoding
from nlplug.runtime.decoding.history import History
from nlplug.runtime.decoding.numeric import log_sum_exp
from nlplug.runtime.decoding.options import DecodingOptions
from nlplug.runtime.decoding.processors import (
    Processor,
    at_work,
    changed,
    most_banned,
    none_left,
)
from nlplug.runtime.decoding.ranking import Ranking, have_ranked
from nlplug.runtime.decoding.sampling import generators
from nlplug.runtime.decoding.stopping import Finish, Stopping

_FIRST_ROOM = 64
# How many of the likeliest tokens may fall behind others, as those that came before do.
_SPARE = 32


class Step(NamedTuple):
    """A new token for each row that is still going.

    Attributes:
        slots: Which text each belongs to, int64 of shape (rows,): text ``i`` of prompt ``n`` has
            the number ``n * num_return_sequences + i``.
        tokens: int64 of shape (rows,).
        finish: Why a row ends, or None.
        logprobs: float32 of shape (rows,), if asked for.
    """

    slots: np.ndarray
    tokens: np.ndarray
    finish: list[Finish | None]
    logprobs: np.ndarray | None = None


def decode(
    session: Decoder, prompts: Sequence[Sequence[int]], options: DecodingOptions
) -> Iterator[Step]:
    """Decode until all rows have ended; rows that have are no longer computed.

    Args:
        session: The model.
        prompts: Token ids.
        options: ``num_beams`` is not looked at.

    Yields:
        The tokens of each step.

    Raises:
        InputError: A prompt is empty, too long, or not of this model; or no token may follow.
        OptionError: A token of the options is none of the model's.
        CancelledError: As `DecodingOptions.cancelled` says.
    """
    options.check_tokens(session.spec.vocabulary)
    copies = options.num_return_sequences
    room = min(options.max_new_tokens, _FIRST_ROOM)
    decoding = session.start(prompts, room=room, copies=copies)
    history = History(session.beginnings(prompts), room, copies)
    stopping = Stopping(
        options.max_new_tokens,
        session.spec.context,
        options.eos,
        options.stop_sequences,
        options.stop_when,
    )
    choose = _Choice(options, decoding)
    while True:
        options.go_on()
        tokens = choose(decoding, history)
        logprobs = _logprobs(decoding, tokens) if options.logprobs else None
        history.append(tokens)
        finish = stopping.check(history, tokens)
        yield Step(history.slots, tokens, finish, logprobs)
        alive = finish.count(None)
        if not alive:
            return
        if alive < len(finish):
            order = decoding.keep([row for row, reason in enumerate(finish) if reason is None])
            history.select(order)
            tokens = tokens[order]
        decoding.step(tokens)


class _Choice:
    """Chooses from the graph's ranking, where what changes the scores leaves it of use."""

    def __init__(self, options: DecodingOptions, decoding: Decoding) -> None:
        self._processors = options.processors()
        self._sampler = options.sampler() if options.do_sample else None
        copies = options.num_return_sequences
        prompts = decoding.rows // copies
        self._generators = generators(options.seed, prompts, copies) if options.do_sample else []
        vocabulary = decoding.logits.shape[1]
        # With top-k a ranking is enough even where its order changes.
        self._counted = self._sampler is not None and 0 < self._sampler.top_k < vocabulary
        count = self._sampler.count(vocabulary) if self._sampler else 1
        if count:
            count += most_banned(self._processors)
        if count and self._counted and any(process.bans() is None for process in self._processors):
            count += _SPARE
        self._ranked = have_ranked(decoding, count)

    def __call__(self, decoding: Decoding, history: History) -> np.ndarray:
        working, banned = at_work(self._processors, history)
        best: np.ndarray
        if self._sampler is None and not working:
            best = decoding.next_tokens.copy()
            return best
        ranking = None if self._ranked is None else self._ranked.ranking
        if self._sampler is None:
            if ranking is not None and banned:
                return ranking.without(banned).tokens[:, 0]
            scores = changed(decoding.logits, working, history)
            best = scores.argmax(axis=1)
            if (scores[np.arange(len(best)), best] == -np.inf).any():
                raise none_left()
            return best
        scores = changed(decoding.logits, working, history)
        if ranking is not None and working:
            ranking = self._again(ranking, working, banned, scores)
        chances = [self._generators[slot] for slot in history.slots]
        return self._sampler.draw(scores, chances, ranking)

    def _again(
        self,
        ranking: Ranking,
        working: Sequence[Processor],
        banned: tuple[int, ...] | None,
        scores: np.ndarray,
    ) -> Ranking | None:
        """A ranking of changed scores from that of the logits, if there is one."""
        if self._counted:
            # A row alone is drawn from all its scores as quickly.
            lowered = len(scores) > 1 and all(process.lowers() for process in working)
            return ranking.lowered(scores) if lowered else None
        if banned is None:
            return None
        ranking = ranking.without(banned)
        peaks = ranking.logits[:, :1]
        return replace(ranking, peaks=peaks, shares=np.exp(peaks - log_sum_exp(scores)))


def _logprobs(decoding: Decoding, tokens: np.ndarray) -> np.ndarray:
    logits = decoding.logits
    values: np.ndarray = logits[np.arange(len(tokens)), tokens] - log_sum_exp(logits)[:, 0]
    return values
