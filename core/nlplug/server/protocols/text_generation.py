"""Text generation over HTTP: parameters, details and events.

The formats are those of Text Generation Inference, which `huggingface_hub.InferenceClient` and the
clients of that server use. Reference: https://huggingface.github.io/text-generation-inference/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nlplug.errors import InputError
from nlplug.families.text_ends import text_end
from nlplug.server.protocols.shapes import PLAIN, Shape

if TYPE_CHECKING:
    from nlplug.runtime.answers import TextPiece

# Parameters with these values have no effect; clients send them as defaults.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "adapter_id": (None,),
    "best_of": (None, 1),
    "decoder_input_details": (None, False),
    "grammar": (None,),
    "top_n_tokens": (None, 0),
    "watermark": (None, False),
}
# Each of these parameters implies sampling.
_DRAWING = ("temperature", "top_k", "top_p", "typical_p")


def accept(parameters: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the parameters of a request to options of the task.

    Args:
        parameters: The parameters without ``details``.
        known: Names of the task's options.
    """
    options = {
        name: value
        for name, value in parameters.items()
        if name in known or value not in _NEUTRAL.get(name, ())
    }
    if "stop_sequences" in options and "stop_sequences" not in known:
        options["stop"] = options.pop("stop_sequences")  # its name in older clients
    longest = options.pop("truncate", None)
    if longest is not None and "truncation" in known:
        options |= {"prompt_length": longest, "truncation": "left"}
    elif longest is not None:
        options["truncate"] = longest  # the task refuses it
    if "do_sample" in known and "do_sample" not in options:
        beams = options.get("num_beams") or 1
        if beams == 1 and any(options.get(name) is not None for name in _DRAWING):
            options["do_sample"] = True
    return options


def wants_details(parameters: dict[str, Any]) -> bool:
    """Remove ``details`` from the parameters and return it.

    Raises:
        InputError: The value is neither true nor false.
    """
    wanted = parameters.pop("details", None)
    if not isinstance(wanted, bool | None):
        raise InputError(
            f"parameters: details is {wanted!r}.", hint="Give true or false, or leave it out."
        )
    return bool(wanted)


class Telling:
    """Converts one streamed answer to events, and at the end to a reply.

    Args:
        before: Text before the new text in the full text, such as the prompt.
        seed: The seed for sampling, if the request has one.
    """

    def __init__(self, before: str = "", seed: int | None = None) -> None:
        self._text = before
        self._seed = seed
        self._index = 0
        self._finish: str | None = None
        self._tokens = 0

    @property
    def ended(self) -> bool:
        """Whether the last piece was received."""
        return self._finish is not None

    @property
    def tokens(self) -> int:
        """Number of tokens decoded so far."""
        return self._tokens

    def events(self, piece: TextPiece) -> list[dict[str, Any]]:
        """The events of the next piece, one per token.

        If several tokens form a piece, the last one has its text and the others have an empty text.
        A piece without tokens, such as a whole sentence, is one event with the id -1.
        """
        self._text += piece.text
        self._tokens = piece.tokens
        self._finish = piece.finish
        ids = piece.ids or (-1,)
        logprobs = piece.logprobs or (None,) * len(ids)
        *others, last = zip(ids, logprobs, strict=True)
        events = [self._event(token, logprob, "") for token, logprob in others]
        return [*events, self._event(*last, piece.text, ended=self.ended)]

    def reply(self) -> list[dict[str, Any]]:
        """The whole answer with its details, after the last piece."""
        details = {**self._details(), "prefill": [], "tokens": []}
        return [{"generated_text": self._text, "details": details}]

    def _event(
        self, token: int, logprob: float | None, text: str, *, ended: bool = False
    ) -> dict[str, Any]:
        self._index += 1
        return {
            "index": self._index,
            "token": {"id": token, "text": text, "logprob": logprob, "special": False},
            "generated_text": self._text if ended else None,
            "details": self._details() if ended else None,
        }

    def _details(self) -> dict[str, Any]:
        return {**text_end(self._finish or "length", self._tokens, self._seed)}


GENERATED = Shape(
    PLAIN.reply,
    presets={"return_full_text": False},  # the Hub does not include the prompt
    accept=accept,
    details=True,
)
"""As `PLAIN`, with details on request."""
