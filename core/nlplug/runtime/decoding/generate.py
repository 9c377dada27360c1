"""From prompts to new tokens, by any of the ways to decode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from nlplug.errors import OptionError
from nlplug.runtime.decoding.beam import beam_search
from nlplug.runtime.decoding.decoder import Decoder
from nlplug.runtime.decoding.greedy import decode
from nlplug.runtime.decoding.options import DecodingOptions
from nlplug.runtime.decoding.stopping import Finish


@dataclass
class Generated:
    """One text.

    Attributes:
        tokens: The new tokens, the one that ended it included.
        finish: Why it ended.
        score: Of a beam: the sum of its log-probabilities by the length penalty.
        logprobs: Of each token, if they were asked for.
    """

    tokens: list[int] = field(default_factory=list)
    finish: Finish = "length"
    score: float | None = None
    logprobs: list[float] | None = None


class Token(NamedTuple):
    """One new token, as it comes.

    Attributes:
        prompt: Which prompt it belongs to.
        sequence: Which of the texts of this prompt.
        token: Its id.
        finish: Why the text ends with it, or None.
        logprob: Its log-probability, if asked for.
    """

    prompt: int
    sequence: int
    token: int
    finish: Finish | None = None
    logprob: float | None = None


def stream(
    session: Decoder, prompts: Sequence[Sequence[int]], options: DecodingOptions
) -> Iterator[Token]:
    """Decode greedily or by sampling, each token as soon as it is there.

    To cancel, stop asking: closing the iterator ends the decoding.

    Args:
        session: The model.
        prompts: Token ids, of any lengths from 1 up.
        options: Without beams.

    Yields:
        Tokens, those of one step together in the order of the prompts.

    Raises:
        InputError: A prompt is empty, too long, or not of this model.
        OptionError: Beams were asked for, of which nothing is certain before the end; or a token
            of the options is none of the model's.
    """
    if options.num_beams > 1:
        raise OptionError(
            f"num_beams is {options.num_beams}: beams cannot be streamed.", hint="Set it to 1."
        )
    copies = options.num_return_sequences
    for step in decode(session, prompts, options):
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
        options: How.

    Returns:
        For each prompt its ``num_return_sequences`` texts; of beams, the best first.

    Raises:
        InputError: A prompt is empty, too long, or not of this model.
        OptionError: A token of the options is none of the model's.
        CancelledError: As `DecodingOptions.cancelled` says.
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
