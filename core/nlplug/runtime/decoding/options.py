"""The options of decoding, as the decoding loops use them.

`DecodingSettings` are those that a caller chooses. A task's options extend them, so that a call
validates them once. `DecodingOptions` add the tokens of one model and the callbacks of one call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from typing import Annotated, Any, Self

import numpy as np
from pydantic import (
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from nlplug.errors import OptionError
from nlplug.runtime.decoding import processors as p
from nlplug.runtime.decoding.history import Stopping, StopWhen
from nlplug.runtime.decoding.sampling import Sampler
from nlplug.runtime.decoding.settings import DecodingSettings

Allowed = Callable[[int, np.ndarray], Sequence[int]]
"""From the number of a prompt and all tokens of a row to the tokens that may follow."""

_Sequences = tuple[Annotated[tuple[int, ...], Field(min_length=1)], ...]


class DecodingOptions(DecodingSettings):
    """The settings of a call with the tokens of a model, as the decoding loops use them. Immutable.

    `of` makes them from settings that were validated with the call and validates nothing again.

    Raises:
        OptionError: A value is out of its bounds, or two contradict each other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    eos: tuple[int, ...] = ()
    """Tokens that end a text."""
    stop_sequences: _Sequences = ()
    """Sequences of tokens that end a text."""
    stop_when: StopWhen | None = None
    """Called with the number of a text (that of its prompt, with one text per prompt) and its new
    token; True ends the text. See `text.TextStream` for stop strings."""
    bad_words: _Sequences = ()
    """Sequences of tokens that are banned."""
    suppress_tokens: tuple[int, ...] = ()
    """Tokens that are banned."""
    begin_suppress_tokens: tuple[int, ...] = ()
    """Tokens that are banned as the first new token, or as the first one after ``forced_bos``."""
    forced_bos: int | None = None
    """The token after a prompt of one token; see `processors.ForcedFirst`."""
    forced_eos: int | None = None
    """The last token if ``max_new_tokens`` is reached."""
    allowed_tokens: Allowed | None = None
    """See `processors.PrefixConstraint`."""
    logprobs: bool = False
    """Whether to return the log-probability of each token, before penalties and filters."""
    cancelled: Callable[[], bool] | None = None
    """Called before each step; True ends the decoding with `concurrent.futures.CancelledError`."""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            first = error.errors()[0]
            own = first.get("ctx", {}).get("error")
            if isinstance(own, OptionError):  # raised by a validator
                raise own from None
            name = str(first["loc"][0])
            raise OptionError(
                f"{name} is {values.get(name)}. {first['msg']}.", hint="Correct this option."
            ) from None

    @classmethod
    def of(cls, settings: DecodingSettings, more: Mapping[str, Any]) -> DecodingOptions:
        """From settings that are valid.

        Args:
            settings: Those of a call.
            more: Values of the fields that `DecodingOptions` adds.
        """
        values = {name: value for name, value in settings if name in DecodingSettings.model_fields}
        return cls.model_construct(**{**values, **more})

    def check_tokens(self, vocabulary: int) -> None:
        """Refuse tokens that a model does not have.

        Raises:
            OptionError: A banned or forced token is not below ``vocabulary``.
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
                        hint="Remove it, or take it from the model's own tokenizer.",
                    )

    def stopping(self, context: int) -> Stopping:
        """The conditions that end a text; the time limit begins now.

        Args:
            context: Maximum number of positions of the model.
        """
        return Stopping(
            self.max_new_tokens,
            context,
            self.eos,
            self.stop_sequences,
            self.stop_when,
            None if self.max_time is None else time.monotonic() + self.max_time,
        )

    def raise_if_cancelled(self) -> None:
        """Raise if the texts are no longer wanted.

        Raises:
            CancelledError: ``cancelled`` returns True.
        """
        if self.cancelled is not None and self.cancelled():
            raise CancelledError

    def processors(self) -> list[p.Processor]:
        """The processors of these options, in the order of transformers."""
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
        """The sampler of these options."""
        return Sampler(self.temperature, self.top_k, self.top_p, self.min_p, self.typical_p)

    @model_validator(mode="after")
    def _check_beams(self) -> Self:
        """Refuse what a beam search does not have."""
        stops = self.stop_sequences or self.stop_when is not None
        if self.num_beams > 1 and (stops or self.logprobs):
            raise OptionError(
                "stop_sequences, stop_when and logprobs cannot be combined with beams.",
                hint="Leave them out, or set num_beams to 1.",
            )
        return self
