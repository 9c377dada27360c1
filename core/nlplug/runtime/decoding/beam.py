"""Beam search and beam sampling, with the scores, order and stopping rules of transformers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, fields, replace

import numpy as np

from nlplug.runtime.decoding.beam_candidates import Continuations, candidates
from nlplug.runtime.decoding.decoder import Decoder, check_logits
from nlplug.runtime.decoding.history import Finish, History, Stopping
from nlplug.runtime.decoding.options import DecodingOptions
from nlplug.runtime.decoding.processors import no_token_left

_FIRST_ROOM = 64
_NEVER = np.float32(-1e9)


@dataclass(frozen=True)
class Beam:
    """One text that was found.

    Attributes:
        tokens: The new tokens, including the one that ended the text.
        score: The sum of its log-probabilities, divided by the length penalty.
        finish: Why it ended.
    """

    tokens: list[int]
    score: float
    finish: Finish


def beam_search(
    session: Decoder, prompts: Sequence[Sequence[int]], options: DecodingOptions
) -> list[list[Beam]]:
    """Search with ``num_beams`` beams per prompt; finished prompts are no longer computed.

    Args:
        session: The model.
        prompts: Token ids.
        options: ``num_beams``, ``num_return_sequences``, ``length_penalty``, ``early_stopping``,
            and what changes the scores; a text ends at one of ``eos`` or at ``max_new_tokens``.
            With ``do_sample`` the continuations are sampled, and the best of them are kept.

    Returns:
        For each prompt its ``num_return_sequences`` best texts, the best first.

    Raises:
        InputError: A prompt is empty, too long, or of another vocabulary; or all tokens are banned.
        OptionError: A token of the options is not in the vocabulary.
        CancelledError: See `DecodingOptions.cancelled`.
        BundleError: The graph gives logits that are NaN or infinite.
    """
    options.check_tokens(session.spec.vocabulary)
    beams = options.num_beams
    room = min(options.max_new_tokens, _FIRST_ROOM)
    decoding = session.start(prompts, room=room, copies=beams)
    texts = session.decoder_prompts(prompts)
    history = History(texts, room, beams)
    stopping = options.stopping(session.spec.context)
    # The last token needs no position: nothing is computed after it.
    places = [session.spec.context + 1 - len(text) for text in texts]
    search = _Search(np.minimum(places, options.max_new_tokens), options)
    find = candidates(decoding, options, search.width)
    with closing(decoding):
        while True:
            options.raise_if_cancelled()
            check_logits(session, decoding.sound)
            parents, tokens = search.advance(find(decoding, history), stopping)
            alive = np.flatnonzero(~search.done)
            if not len(alive):
                return search.results
            decoding.follow(parents)
            history.follow(parents)
            history.append(tokens)
            if len(alive) < len(search.done):
                order = decoding.keep((alive[:, None] * beams + np.arange(beams)).ravel())
                history.select(order)
                # All beams of a prompt end together, so those of another prompt fill the gap.
                search.keep(order[::beams] // beams)
                tokens = tokens[order]
            decoding.step(tokens)


@dataclass
class _State:
    """The beams of some prompts, and the ended texts of each: arrays of shape (prompts, ...).

    Attributes:
        origin: The number of each prompt in the call, int64 of shape (prompts,).
        limits: Maximum number of new tokens of each prompt, of the same shape.
        tokens: The running beams, int64 of shape (prompts, beams, room).
        scores: The sums of their log-probabilities, float32 of shape (prompts, beams).
        ended: Whether an ended text is there, bool of shape (prompts, beams).
        ended_tokens: The ended texts, best first, int64 of shape (prompts, beams, room).
        ended_lengths: Their lengths, int64 of shape (prompts, beams).
        ended_scores: Their scores with the length penalty, float32 of shape (prompts, beams).
        done: Whether the search of a prompt has ended, bool of shape (prompts,).
    """

    origin: np.ndarray
    limits: np.ndarray
    tokens: np.ndarray
    scores: np.ndarray
    ended: np.ndarray
    ended_tokens: np.ndarray
    ended_lengths: np.ndarray
    ended_scores: np.ndarray
    done: np.ndarray

    @classmethod
    def initial(cls, limits: np.ndarray, beams: int) -> _State:
        """No text has ended, and all beams are equal, so only the first of each prompt counts."""
        prompts, room = len(limits), min(int(limits.max()), _FIRST_ROOM)
        scores = np.full((prompts, beams), _NEVER)
        scores[:, 0] = 0
        return cls(
            origin=np.arange(prompts),
            limits=limits,
            tokens=np.zeros((prompts, beams, room), np.int64),
            scores=scores,
            ended=np.zeros((prompts, beams), bool),
            ended_tokens=np.zeros((prompts, beams, room), np.int64),
            ended_lengths=np.zeros((prompts, beams), np.int64),
            ended_scores=np.full((prompts, beams), _NEVER),
            done=np.zeros(prompts, bool),
        )

    def with_room(self, length: int) -> _State:
        """The state with room for texts of this length."""
        room = self.tokens.shape[2]
        if length <= room:
            return self
        wider = ((0, 0), (0, 0), (0, room))
        return replace(
            self,
            tokens=np.pad(self.tokens, wider),
            ended_tokens=np.pad(self.ended_tokens, wider),
        )

    def select(self, prompts: np.ndarray) -> _State:
        """The state of these prompts, in this order."""
        return _State(**{item.name: vars(self)[item.name][prompts] for item in fields(self)})


class _Search:
    """The search over all prompts that are not done.

    Args:
        limits: Maximum number of new tokens of each prompt, int64 of shape (prompts,).
        options: See `beam_search`.

    Attributes:
        width: Number of continuations to compare per prompt.
        results: For each prompt that is done its best texts.
    """

    def __init__(self, limits: np.ndarray, options: DecodingOptions) -> None:
        self._options = options
        # Each end token may end each beam; enough continuations must be left.
        self.width = max(2, 1 + len(options.eos)) * options.num_beams
        self._generated = 0
        self._state = _State.initial(limits, options.num_beams)
        self.results: list[list[Beam]] = [[] for _ in limits]

    @property
    def done(self) -> np.ndarray:
        """Whether the search of each prompt has ended, bool of shape (prompts,)."""
        return self._state.done

    def advance(self, found: Continuations, stopping: Stopping) -> tuple[np.ndarray, np.ndarray]:
        """Continue each prompt with its best continuations.

        Args:
            found: The continuations of all beams, arrays of shape (prompts * beams, n).
            stopping: Says which tokens end a text.

        Returns:
            For each row the row that it continues, and its new token, each of shape
            (prompts * beams,).

        Raises:
            InputError: No beam of a prompt can continue, and no text of it has ended.
        """
        self._state = state = self._state.with_room(self._generated + 1)
        beams = self._options.num_beams
        prompts, count = len(state.origin), found.values.shape[1]
        totals = found.values.reshape(prompts, beams, count) + state.scores[:, :, None]
        totals = totals.reshape(prompts, -1)
        keys = totals if found.noise is None else totals + found.noise.reshape(prompts, -1)
        order = np.argsort(-keys, axis=1, kind="stable")[:, : self.width]
        each = np.arange(prompts)[:, None]
        totals = totals[each, order]
        lost = totals[:, 0] == -np.inf
        if (lost & ~state.ended.any(axis=1)).any():
            raise no_token_left()
        parents = order // count
        tokens = found.tokens.reshape(prompts, -1)[each, order]
        self._generated += 1
        if stopping.late:
            state.limits = np.full_like(state.limits, self._generated)
        hits = stopping.ended(tokens) | (self._generated >= state.limits)[:, None]
        some_end = bool(hits.any())
        if some_end:
            texts = state.tokens[each, parents]
            texts[:, :, self._generated - 1] = tokens
            self._add_ended(totals, texts, hits)
        if some_end or found.noise is not None:  # else they are in this order
            totals = totals + np.where(hits, _NEVER, np.float32(0))
            best = np.argsort(-totals, axis=1, kind="stable")
            totals, parents, tokens = (one[each, best] for one in (totals, parents, tokens))
        state.scores, parents, tokens = (one[:, :beams] for one in (totals, parents, tokens))
        state.tokens = state.tokens[each, parents]
        state.tokens[:, :, self._generated - 1] = tokens
        self._update_done(stopping)
        return (parents + each * beams).ravel(), tokens.ravel()

    def keep(self, prompts: np.ndarray) -> None:
        """Continue with these prompts, in this order."""
        self._state = self._state.select(prompts)

    def _add_ended(self, totals: np.ndarray, texts: np.ndarray, hits: np.ndarray) -> None:
        """Add texts that end now to the ended ones, if they are among the best ``num_beams``."""
        beams, state = self._options.num_beams, self._state
        ending = hits.copy()
        ending[:, beams:] = False
        if not ending.any():
            return
        scores = totals / self._penalty(self._generated)
        scores = np.where(ending, scores, scores + _NEVER)
        merged = np.concatenate([state.ended_scores, scores], axis=1)
        best = np.argsort(-merged, axis=1, kind="stable")[:, :beams]
        each = np.arange(len(best))[:, None]
        lengths = np.full(hits.shape, self._generated)
        state.ended_scores = merged[each, best]
        state.ended = np.concatenate([state.ended, ending], axis=1)[each, best]
        state.ended_lengths = np.concatenate([state.ended_lengths, lengths], axis=1)[each, best]
        state.ended_tokens = np.concatenate([state.ended_tokens, texts], axis=1)[each, best]

    def _update_done(self, stopping: Stopping) -> None:
        """End the search of prompts whose ended texts can no longer be improved."""
        options, state = self._options, self._state
        if self._generated < state.limits.min() and not state.ended.any():
            return
        # A running beam scores best at the longest length if longer texts are favoured.
        longest = options.early_stopping == "never" and options.length_penalty > 0
        lengths = state.limits[:, None] if longest else self._generated
        possible = state.scores[:, :1] / self._penalty(lengths)
        worst = np.where(state.ended, state.ended_scores.min(axis=1, keepdims=True), _NEVER)
        improvable = np.asarray((possible > worst).any(axis=1))
        full = state.ended.all(axis=1) & (options.early_stopping == "true")
        state.done = ~improvable | full | (self._generated >= state.limits)
        for prompt in np.flatnonzero(state.done).tolist():
            self.results[state.origin[prompt]] = [
                self._beam(prompt, number, stopping)
                for number in range(options.num_return_sequences)
            ]

    def _penalty(self, lengths: np.ndarray | int) -> np.ndarray:
        return (np.asarray(lengths, np.float64) ** self._options.length_penalty).astype(np.float32)

    def _beam(self, prompt: int, number: int, stopping: Stopping) -> Beam:
        state = self._state
        length = int(state.ended_lengths[prompt, number])
        tokens = state.ended_tokens[prompt, number, :length]
        ended = bool(stopping.ended(tokens[-1:]).any())
        score = float(state.ended_scores[prompt, number])
        return Beam(tokens.tolist(), score, "eos" if ended else "length")
