"""Beam search, with the scores, the order and the end of the one in transformers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nlplug.runtime.decoding.decoder import Decoder, Decoding
from nlplug.runtime.decoding.history import History
from nlplug.runtime.decoding.numeric import log_softmax, top_sorted
from nlplug.runtime.decoding.options import DecodingOptions
from nlplug.runtime.decoding.processors import (
    Processor,
    at_work,
    changed,
    most_banned,
    none_left,
)
from nlplug.runtime.decoding.ranking import have_ranked, ranked_here
from nlplug.runtime.decoding.stopping import Finish, Stopping

_FIRST_ROOM = 64
_NEVER = np.float32(-1e9)


@dataclass(frozen=True)
class Beam:
    """One text that was found.

    Attributes:
        tokens: The new tokens, the one that ended it included.
        score: The sum of its log-probabilities by the length penalty.
        finish: Why it ended.
    """

    tokens: list[int]
    score: float
    finish: Finish


def beam_search(
    session: Decoder, prompts: Sequence[Sequence[int]], options: DecodingOptions
) -> list[list[Beam]]:
    """Search with ``num_beams`` beams a prompt; prompts that are done are no longer computed.

    Args:
        session: The model.
        prompts: Token ids.
        options: ``num_beams``, ``num_return_sequences``, ``length_penalty``, ``early_stopping``,
            and what changes the scores; a text ends at one of ``eos`` or at ``max_new_tokens``.

    Returns:
        For each prompt its best texts, the best first.

    Raises:
        InputError: A prompt is empty, too long, or not of this model; or no token may follow.
        OptionError: A token of the options is none of the model's.
        CancelledError: As `DecodingOptions.cancelled` says.
    """
    options.check_tokens(session.spec.vocabulary)
    beams = options.num_beams
    room = min(options.max_new_tokens, _FIRST_ROOM)
    decoding = session.start(prompts, room=room, copies=beams)
    texts = session.beginnings(prompts)
    history = History(texts, room, beams)
    stopping = Stopping(options.max_new_tokens, session.spec.context, options.eos)
    longest = max(len(text) for text in texts)
    # Beams of one search end together: where the context is full for one prompt, it is for all.
    limit = min(options.max_new_tokens, session.spec.context + 1 - longest)
    search = _Search(len(prompts), options, limit)
    candidates = _Candidates(decoding, options.processors(), search.width)
    while True:
        options.go_on()
        values, places = candidates(decoding, history)
        parents, tokens = search.advance(values, places, stopping)
        alive = np.flatnonzero(~search.done)
        if not len(alive):
            return search.results()
        decoding.follow(parents)
        history.select(parents)
        history.append(tokens)
        if len(alive) < len(search.done):
            order = decoding.keep((alive[:, None] * beams + np.arange(beams)).ravel())
            history.select(order)
            # What is given up are all beams of a prompt, so those of another fill the gap.
            search.keep(order[::beams] // beams)
            tokens = tokens[order]
        decoding.step(tokens)


class _Candidates:
    """The best log-probabilities of each row, and their tokens."""

    def __init__(self, decoding: Decoding, processors: Sequence[Processor], width: int) -> None:
        self._processors = processors
        self._vocabulary = decoding.logits.shape[1]
        self._width = min(width, self._vocabulary)
        self._ranked = have_ranked(decoding, self._width + most_banned(processors))

    def __call__(self, decoding: Decoding, history: History) -> tuple[np.ndarray, np.ndarray]:
        working, banned = at_work(self._processors, history)
        if banned is None or len(banned) == self._vocabulary:
            return top_sorted(changed(log_softmax(decoding.logits), working, history), self._width)
        ranking = None if self._ranked is None else self._ranked.ranking
        if ranking is None:
            count = min(self._width + len(banned), self._vocabulary)
            ranking = ranked_here(decoding.logits, count)
        best = ranking.without(banned)
        values = best.logits[:, : self._width] - best.log_sums
        return values, best.tokens[:, : self._width]


class _Search:
    """The beams of all prompts that are not done: arrays of shape (prompts, beams, ...)."""

    def __init__(self, prompts: int, options: DecodingOptions, limit: int) -> None:
        self._options = options
        self._limit = limit
        beams = options.num_beams
        # Of each beam a token may end it: as many again must be left to go on with.
        self.width = max(2, 1 + len(options.eos)) * beams
        self._origin = np.arange(prompts)
        self._generated = 0
        self._tokens = np.zeros((prompts, beams, limit), np.int64)
        # All beams start alike: only the first counts, or all would find the same.
        self._scores = np.full((prompts, beams), _NEVER)
        self._scores[:, 0] = 0
        self._ended_tokens = np.zeros((prompts, beams, limit), np.int64)
        self._ended_lengths = np.zeros((prompts, beams), np.int64)
        self._ended_scores = np.full((prompts, beams), _NEVER)
        self._ended = np.zeros((prompts, beams), bool)
        self._improvable = np.ones(prompts, bool)
        self._results: list[list[Beam]] = [[] for _ in range(prompts)]
        self.done = np.zeros(prompts, bool)

    def advance(
        self, values: np.ndarray, places: np.ndarray, stopping: Stopping
    ) -> tuple[np.ndarray, np.ndarray]:
        """Take the best continuations.

        Args:
            values: Log-probabilities, shape (prompts * beams, n).
            places: The tokens they belong to.
            stopping: Which tokens end a text.

        Returns:
            For each row the row it goes on from, and its new token, each of shape
            (prompts * beams,).

        Raises:
            InputError: No beam of a prompt can go on, and none has ended.
        """
        beams = self._options.num_beams
        prompts = len(self._origin)
        count = values.shape[1]
        totals = (values.reshape(prompts, beams, count) + self._scores[:, :, None]).reshape(
            prompts, -1
        )
        order = np.argsort(-totals, axis=1, kind="stable")[:, : self.width]
        each = np.arange(prompts)[:, None]
        totals = totals[each, order]
        if totals[:, 0].min() == -np.inf:
            lost = totals[:, 0] == -np.inf
            if (lost & ~self._ended.any(axis=1)).any():
                raise none_left()
        parents = order // count
        tokens = places.reshape(prompts, -1)[each, order]
        texts = self._tokens[each, parents]
        texts[:, :, self._generated] = tokens
        self._generated += 1
        hits = stopping.ended(tokens) | (self._generated >= self._limit)

        running = totals + np.where(hits, _NEVER, np.float32(0))
        best = np.argsort(-running, axis=1, kind="stable")[:, :beams]
        self._scores = running[each, best]
        self._tokens = texts[each, best]
        self._end(totals, texts, hits)
        self._judge(stopping)
        return (parents[each, best] + each * beams).ravel(), tokens[each, best].ravel()

    def keep(self, prompts: np.ndarray) -> None:
        """Go on with these prompts, in this order."""
        for name in (
            "_origin", "_tokens", "_scores", "_ended_tokens", "_ended_lengths", "_ended_scores",
            "_ended", "_improvable", "done",
        ):  # fmt: skip
            setattr(self, name, getattr(self, name)[prompts])

    def results(self) -> list[list[Beam]]:
        """For each prompt its best texts."""
        return self._results

    def _end(self, totals: np.ndarray, texts: np.ndarray, hits: np.ndarray) -> None:
        """Put texts that end now, if they are among the best beams, among the ended ones."""
        options, beams = self._options, self._options.num_beams
        ending = hits.copy()
        ending[:, beams:] = False
        if not ending.any():
            return
        scores = totals / np.float32(float(self._generated) ** options.length_penalty)
        full = self._ended.all(axis=1) & (options.early_stopping is True)
        open_to = ending & (~full & self._improvable)[:, None]
        scores = np.where(open_to, scores, scores + _NEVER)
        merged = np.concatenate([self._ended_scores, scores], axis=1)
        best = np.argsort(-merged, axis=1, kind="stable")[:, :beams]
        each = np.arange(len(best))[:, None]
        lengths = np.full(hits.shape, self._generated)
        self._ended_scores = merged[each, best]
        self._ended = np.concatenate([self._ended, ending], axis=1)[each, best]
        self._ended_lengths = np.concatenate([self._ended_lengths, lengths], axis=1)[each, best]
        self._ended_tokens = np.concatenate([self._ended_tokens, texts], axis=1)[each, best]

    def _judge(self, stopping: Stopping) -> None:
        """Which prompts are done, because nothing better can come."""
        options = self._options
        hopeful = options.early_stopping == "never" and options.length_penalty > 0
        length = self._limit if hopeful else self._generated
        possible = self._scores[:, :1] / np.float32(float(length) ** options.length_penalty)
        worst = np.where(self._ended, self._ended_scores.min(axis=1, keepdims=True), _NEVER)
        self._improvable &= (possible > worst).any(axis=1)
        full = self._ended.all(axis=1) & (options.early_stopping is True)
        self.done = ~self._improvable | full | (self._generated >= self._limit)
        for prompt in np.flatnonzero(self.done).tolist():
            self._results[self._origin[prompt]] = [
                self._beam(prompt, number, stopping)
                for number in range(options.num_return_sequences)
            ]

    def _beam(self, prompt: int, number: int, stopping: Stopping) -> Beam:
        length = int(self._ended_lengths[prompt, number])
        tokens = self._ended_tokens[prompt, number, :length]
        ended = bool(stopping.ended(tokens[-1:]).any())
        score = float(self._ended_scores[prompt, number])
        return Beam(tokens.tolist(), score, "eos" if ended else "length")
