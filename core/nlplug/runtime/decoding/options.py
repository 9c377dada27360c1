"""How to decode."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from nlplug.errors import OptionError
from nlplug.runtime.decoding import processors as p
from nlplug.runtime.decoding.sampling import Sampler
from nlplug.runtime.decoding.stopping import StopWhen

Allowed = Callable[[int, np.ndarray], Sequence[int]]


@dataclass(frozen=True)
class DecodingOptions:
    """Named as in transformers, and with its meanings.

    Attributes:
        max_new_tokens: New tokens at most.
        min_new_tokens: No end before so many.
        eos: Tokens that end a text.
        stop_sequences: Tokens in a row that end a text.
        stop_when: Called with the number of a text (that of its prompt, where each has one) and
            its new token; ends the text by True. For stop strings, see `text.TextStream`.
        num_beams: Above 1, beam search.
        num_return_sequences: Texts for each prompt: beams, or draws.
        length_penalty: The sum of a beam's log-probabilities is divided by its length to the
            power of this.
        early_stopping: When a beam search ends: True, as soon as there are ``num_beams`` ended
            beams; False, when by a guess none better is to come; "never", when certainly none is.
        do_sample: Draw tokens instead of taking the likeliest.
        temperature: See `Sampler`, as for the next four.
        top_k: 0 for all tokens.
        top_p: 1 for all.
        min_p: 0 for all.
        typical_p: 1 for all.
        seed: For draws that can be repeated; None for others each time.
        repetition_penalty: See `processors.RepetitionPenalty`; 1 for none.
        frequency_penalty: See `processors.FrequencyPenalty`.
        presence_penalty: The same.
        no_repeat_ngram_size: 0 for no ban.
        bad_words: Sequences of tokens that never come.
        suppress_tokens: Tokens that never come.
        begin_suppress_tokens: Tokens that never come first, nor right after ``forced_bos``.
        forced_bos: See `processors.ForcedFirst`.
        forced_eos: The token that comes last when ``max_new_tokens`` is reached.
        allowed_tokens: See `processors.PrefixConstraint`.
        logprobs: Tell the log-probability of each token, as the model gives it before penalties
            and filters.
        cancelled: Asked before each step; once it says True, the decoding ends with a
            ``concurrent.futures.CancelledError``.

    Raises:
        OptionError: A value is out of its bounds, or two do not go together.
    """

    max_new_tokens: int = 64
    min_new_tokens: int = 0
    eos: tuple[int, ...] = ()
    stop_sequences: tuple[tuple[int, ...], ...] = ()
    stop_when: StopWhen | None = field(default=None, compare=False)
    num_beams: int = 1
    num_return_sequences: int = 1
    length_penalty: float = 1.0
    early_stopping: bool | Literal["never"] = False
    do_sample: bool = False
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    seed: int | None = None
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    no_repeat_ngram_size: int = 0
    bad_words: tuple[tuple[int, ...], ...] = ()
    suppress_tokens: tuple[int, ...] = ()
    begin_suppress_tokens: tuple[int, ...] = ()
    forced_bos: int | None = None
    forced_eos: int | None = None
    allowed_tokens: Allowed | None = field(default=None, compare=False)
    logprobs: bool = False
    cancelled: Callable[[], bool] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for name, low in _AT_LEAST.items():
            _need(getattr(self, name) >= low, name, getattr(self, name), f"Give {low} or more.")
        for name in _FINITE:
            value = getattr(self, name)
            _need(math.isfinite(value), name, value, "Give a finite number.")
        _need(self.seed is None or self.seed >= 0, "seed", self.seed, "Give 0 or more, or None.")
        for name in ("temperature", "repetition_penalty"):
            _need(getattr(self, name) > 0, name, getattr(self, name), "Give a number above 0.")
        for name in ("top_p", "typical_p"):
            _need(0 < getattr(self, name) <= 1, name, getattr(self, name), "Give above 0, up to 1.")
        _need(0 <= self.min_p <= 1, "min_p", self.min_p, "Give a number from 0 to 1.")
        for name in ("bad_words", "stop_sequences"):
            _need(all(getattr(self, name)), name, getattr(self, name), "Give no empty sequence.")
        self._check_together()

    def _check_together(self) -> None:
        if self.min_new_tokens > self.max_new_tokens:
            raise OptionError(
                f"min_new_tokens is {self.min_new_tokens}, above max_new_tokens, "
                f"{self.max_new_tokens}.",
                hint="Make one of them fit the other.",
            )
        if self.num_beams > 1:
            if self.do_sample:
                raise OptionError(
                    f"do_sample and num_beams={self.num_beams} do not go together.",
                    hint="Sample with num_beams=1, or search without do_sample.",
                )
            if self.num_return_sequences > self.num_beams:
                raise OptionError(
                    f"num_return_sequences is {self.num_return_sequences}, but there are "
                    f"{self.num_beams} beams.",
                    hint="Ask for at most num_beams.",
                )
            if self.stop_sequences or self.stop_when is not None or self.logprobs:
                raise OptionError(
                    "stop_sequences, stop_when and logprobs do not go together with beams.",
                    hint="Leave them out, or set num_beams=1.",
                )
        elif self.num_return_sequences > 1 and not self.do_sample:
            raise OptionError(
                f"num_return_sequences is {self.num_return_sequences}, but the likeliest token "
                "makes the same text each time.",
                hint="Set do_sample, or num_beams.",
            )

    def check_tokens(self, vocabulary: int) -> None:
        """Refuse tokens that a model does not have.

        Raises:
            OptionError: One that is banned or forced is not below ``vocabulary``.
        """
        named: dict[str, Sequence[int | None]] = {
            "eos": self.eos if self.min_new_tokens else (),
            "bad_words": [token for word in self.bad_words for token in word],
            "suppress_tokens": self.suppress_tokens,
            "begin_suppress_tokens": self.begin_suppress_tokens,
            "forced_bos": [self.forced_bos],
            "forced_eos": [self.forced_eos],
        }
        for name, tokens in named.items():
            for token in tokens:
                if token is not None and not 0 <= token < vocabulary:
                    raise OptionError(
                        f"{name} has the token {token}; the model's tokens are "
                        f"0 to {vocabulary - 1}.",
                        hint="Leave it out, or take it from the model's own tokenizer.",
                    )

    def go_on(self) -> None:
        """Do nothing, unless nobody wants the texts any more.

        Raises:
            CancelledError: So it is.
        """
        if self.cancelled is not None and self.cancelled():
            raise CancelledError

    def processors(self) -> list[p.Processor]:
        """What changes the scores, in the order of transformers."""
        made: list[p.Processor] = []
        if self.repetition_penalty != 1:
            made.append(p.RepetitionPenalty(self.repetition_penalty))
        if self.frequency_penalty or self.presence_penalty:
            made.append(p.FrequencyPenalty(self.frequency_penalty, self.presence_penalty))
        if self.no_repeat_ngram_size:
            made.append(p.NoRepeatNgram(self.no_repeat_ngram_size))
        if self.bad_words:
            ends = {(token,) for token in self.eos}
            made.append(p.BadWords(tuple(word for word in self.bad_words if word not in ends)))
        if self.min_new_tokens and self.eos:
            made.append(p.MinNewTokens(self.min_new_tokens, self.eos))
        if self.allowed_tokens is not None:
            made.append(p.PrefixConstraint(self.allowed_tokens))
        if self.forced_bos is not None:
            made.append(p.ForcedFirst(self.forced_bos))
        if self.forced_eos is not None:
            made.append(p.ForcedEnd(self.forced_eos, self.max_new_tokens))
        if self.suppress_tokens:
            made.append(p.SuppressTokens(self.suppress_tokens))
        if self.begin_suppress_tokens:
            forced = self.forced_bos is not None
            made.append(p.SuppressFirst(self.begin_suppress_tokens, forced))
        return made

    def sampler(self) -> Sampler:
        """What draws the tokens."""
        return Sampler(self.temperature, self.top_k, self.top_p, self.min_p, self.typical_p)


_AT_LEAST = {
    "max_new_tokens": 1,
    "min_new_tokens": 0,
    "num_beams": 1,
    "num_return_sequences": 1,
    "top_k": 0,
    "no_repeat_ngram_size": 0,
}
_FINITE = (
    "length_penalty",
    "temperature",
    "repetition_penalty",
    "frequency_penalty",
    "presence_penalty",
)


def _need(holds: bool, name: str, value: Any, hint: str) -> None:
    if not holds:
        raise OptionError(f"{name} is {value}.", hint=hint)
