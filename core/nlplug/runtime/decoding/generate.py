"""From prompts to new tokens: the loop of greedy decoding and sampling, and beam search."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from nlplug.errors import OptionError
from nlplug.runtime.decoding.beam import beam_search
from nlplug.runtime.decoding.decoder import Decoder, Decoding, check_logits
from nlplug.runtime.decoding.history import Finish, History
from nlplug.runtime.decoding.options import DecodingOptions
from nlplug.runtime.decoding.processors import (
    Processor,
    active_processors,
    max_banned,
    no_token_left,
    process_scores,
)
from nlplug.runtime.decoding.ranking import Ranking, log_sum_exp
from nlplug.runtime.decoding.sampling import generators

_FIRST_ROOM = 64
# Number of additional tokens to rank, because penalties may move tokens behind others.
_SPARE = 32


@dataclass
class Generated:
    """One text.

    Attributes:
        tokens: The new tokens, including the one that ended the text.
        finish: Why it ended.
        score: For a beam, the sum of its log-probabilities divided by the length penalty.
        logprobs: The log-probability of each token, if ``logprobs`` is set.
    """

    tokens: list[int] = field(default_factory=list)
    finish: Finish = "length"
    score: float | None = None
    logprobs: list[float] | None = None


class Token(NamedTuple):
    """One new token of a stream.

    Attributes:
        prompt: The number of its prompt.
        sequence: The number of its text among those of the prompt.
        token: Its id.
        finish: Why the text ends with it, or None.
        logprob: Its log-probability, if ``logprobs`` is set.
    """

    prompt: int
    sequence: int
    token: int
    finish: Finish | None = None
    logprob: float | None = None


class Step(NamedTuple):
    """The new tokens of one step, one per row that has not ended.

    Attributes:
        slots: The number of the text of each row, int64 of shape (rows,): text ``i`` of prompt
            ``n`` has the number ``n * num_return_sequences + i``.
        tokens: int64 of shape (rows,).
        finish: For each row why it ends with this token, or None.
        logprobs: float32 of shape (rows,), if ``logprobs`` is set.
    """

    slots: np.ndarray
    tokens: np.ndarray
    finish: list[Finish | None]
    logprobs: np.ndarray | None = None


def stream(
    session: Decoder, prompts: Sequence[Sequence[int]], options: DecodingOptions
) -> Generator[Token, None, None]:
    """Decode greedily or by sampling, and yield each token as soon as it is computed.

    Closing the iterator ends the decoding.

    Args:
        session: The model.
        prompts: Token ids, of any lengths from 1 up.
        options: With ``num_beams`` 1.

    Yields:
        The tokens of each step, in the order of the prompts.

    Raises:
        InputError: A prompt is empty, too long, or of another vocabulary.
        OptionError: ``num_beams`` is above 1, where no token is final before the end; or a token
            of the options is not in the vocabulary.
    """
    if options.num_beams > 1:
        raise OptionError(
            f"num_beams is {options.num_beams}: beams cannot be streamed.", hint="Set it to 1."
        )
    copies = options.num_return_sequences
    with closing(decode(session, prompts, options)) as steps:
        for step in steps:
            slots, tokens = step.slots.tolist(), step.tokens.tolist()
            logprobs = [None] * len(slots) if step.logprobs is None else step.logprobs.tolist()
            for row in sorted(range(len(slots)), key=slots.__getitem__):
                prompt, sequence = divmod(slots[row], copies)
                yield Token(prompt, sequence, tokens[row], step.finish[row], logprobs[row])


def generate(
    session: Decoder, prompts: Sequence[Sequence[int]], options: DecodingOptions
) -> list[list[Generated]]:
    """Decode to the end.

    Args:
        session: The model.
        prompts: Token ids, of any lengths from 1 up.
        options: How to decode.

    Returns:
        For each prompt its ``num_return_sequences`` texts; beams are ordered, the best first.

    Raises:
        InputError: A prompt is empty, too long, or of another vocabulary.
        OptionError: A token of the options is not in the vocabulary.
        CancelledError: See `DecodingOptions.cancelled`.
        BundleError: The graph gives logits that are NaN or infinite.
    """
    if options.num_beams > 1:
        return [
            [Generated(beam.tokens, beam.finish, score=beam.score) for beam in beams]
            for beams in beam_search(session, prompts, options)
        ]
    copies = options.num_return_sequences
    texts = [Generated() for _ in range(len(prompts) * copies)]
    for step in decode(session, prompts, options):
        slots = step.slots.tolist()
        for slot, token, finish in zip(slots, step.tokens.tolist(), step.finish, strict=True):
            text = texts[slot]
            text.tokens.append(token)
            if finish is not None:
                text.finish = finish
        if step.logprobs is not None:
            for slot, logprob in zip(slots, step.logprobs.tolist(), strict=True):
                text = texts[slot]
                if text.logprobs is None:
                    text.logprobs = []
                text.logprobs.append(logprob)
    return [texts[first : first + copies] for first in range(0, len(texts), copies)]


def decode(
    session: Decoder, prompts: Sequence[Sequence[int]], options: DecodingOptions
) -> Generator[Step, None, None]:
    """Decode greedily or by sampling until all rows have ended; ended rows are removed.

    Args:
        session: The model.
        prompts: Token ids.
        options: ``num_beams`` has no effect.

    Yields:
        The tokens of each step.

    Raises:
        InputError: A prompt is empty, too long, or of another vocabulary; or all tokens are banned.
        OptionError: A token of the options is not in the vocabulary.
        CancelledError: See `DecodingOptions.cancelled`.
    """
    options.check_tokens(session.spec.vocabulary)
    copies = options.num_return_sequences
    room = min(options.max_new_tokens, _FIRST_ROOM)
    decoding = session.start(prompts, room=room, copies=copies)
    history = History(session.decoder_prompts(prompts), room, copies)
    stopping = options.stopping(session.spec.context)
    choose = _TokenChoice(options, decoding)
    with closing(decoding):
        while True:
            options.raise_if_cancelled()
            check_logits(session, decoding.sound)
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


class _TokenChoice:
    """Chooses the next tokens, from the graph's ranking if it is still valid at this step."""

    def __init__(self, options: DecodingOptions, decoding: Decoding) -> None:
        self._processors = options.processors()
        self._sampler = options.sampler() if options.samples else None
        copies = options.num_return_sequences
        prompts = decoding.rows // copies
        self._generators = generators(options.seed, prompts, copies) if options.samples else []
        vocabulary = decoding.logits.shape[1]
        # With top-k, a ranking is enough even if processors change its order.
        self._top_k = self._sampler is not None and 0 < self._sampler.top_k < vocabulary
        size = self._sampler.ranking_size(vocabulary) if self._sampler else 1
        if size:
            size += max_banned(self._processors)
        if size and self._top_k and any(process.bans() is None for process in self._processors):
            size += _SPARE
        self._ranks = 0 < size <= vocabulary and decoding.rank(size)

    def __call__(self, decoding: Decoding, history: History) -> np.ndarray:
        active, banned = active_processors(self._processors, history)
        best: np.ndarray
        if self._sampler is None and not active:
            best = decoding.next_tokens.copy()
            return best
        ranking = decoding.ranking if self._ranks else None
        if self._sampler is None:
            if ranking is not None and banned:
                return ranking.without(banned).tokens[:, 0]
            scores = process_scores(decoding.logits, active, history)
            best = scores.argmax(axis=1)
            if (scores[np.arange(len(best)), best] == -np.inf).any():
                raise no_token_left()
            return best
        scores = process_scores(decoding.logits, active, history)
        if ranking is not None and active:
            ranking = self._ranked_again(ranking, active, banned, scores)
        chances = [self._generators[slot] for slot in history.slots]
        return self._sampler.sample(scores, chances, ranking)

    def _ranked_again(
        self,
        ranking: Ranking,
        active: Sequence[Processor],
        banned: tuple[int, ...] | None,
        scores: np.ndarray,
    ) -> Ranking | None:
        """The ranking of processed scores, if it follows from the ranking of the logits."""
        if self._top_k:
            # Sampling a single row from all its scores is as fast.
            lowered = len(scores) > 1 and all(process.only_lowers() for process in active)
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
