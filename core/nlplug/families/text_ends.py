"""Why a generated text ended, in an answer."""

from __future__ import annotations

from typing import Literal, cast

from typing_extensions import TypedDict

FinishReason = Literal["length", "eos_token", "stop_sequence"]
_REASONS = {"eos": "eos_token", "stop": "stop_sequence", "length": "length"}


class TextEnd(TypedDict):
    """Why a text ended, how many tokens were generated for it, and the seed of the call."""

    finish_reason: FinishReason
    generated_tokens: int
    seed: int | None


def finish_reason(finish: str) -> FinishReason:
    """The name of a reason of decoding (``eos``, ``stop``, ``length``) in answers."""
    return cast("FinishReason", _REASONS[finish])


def text_end(finish: str, tokens: int, seed: int | None) -> TextEnd:
    """The end of a text for an answer; ``finish`` is that of decoding."""
    return TextEnd(finish_reason=finish_reason(finish), generated_tokens=tokens, seed=seed)
