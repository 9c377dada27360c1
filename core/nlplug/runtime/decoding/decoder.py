"""What decoding needs of a model, whatever its graph looks like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nlplug.errors import InputError
from nlplug.runtime.session import build_session, session_options, thread_count

if TYPE_CHECKING:
    import numpy as np

    from nlplug.runtime.decoding.spec import DecoderSpec


class Decoding(Protocol):
    """Rows that grow token by token."""

    @property
    def rows(self) -> int:
        """How many sequences are decoded."""

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row in the cache, int32 of shape (rows,)."""

    @property
    def logits(self) -> np.ndarray:
        """After the last token of each row: float32 of shape (rows, vocabulary).

        The next step may write to the same memory.
        """

    @property
    def next_tokens(self) -> np.ndarray:
        """The likeliest token of each row, int64 of shape (rows,); likewise."""

    def step(self, tokens: np.ndarray) -> None:
        """Append a token to each row and run it.

        Args:
            tokens: int64 of shape (rows,); may be ``next_tokens`` itself.

        Raises:
            InputError: The context is full.
        """

    def keep(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Go on with some of the rows alone.

        Args:
            rows: Numbers of the rows, in rising order.

        Returns:
            The same numbers in the order in which the rows stand now.
        """

    def follow(self, parents: np.ndarray) -> None:
        """Let each row continue what the row ``parents[row]`` holds, before the next step."""


class Decoder(Protocol):
    """A model that decodes; several decodings may go on in it at once."""

    @property
    def spec(self) -> DecoderSpec:
        """Its shape."""

    def beginnings(self, prompts: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
        """What the text of each prompt begins with: itself, where the text goes on from it."""

    def start(
        self, prompts: Sequence[Sequence[int]], *, room: int = 0, copies: int = 1
    ) -> Decoding:
        """Run the prompts; the answer's logits and tokens are those after their last tokens.

        Args:
            prompts: Token ids, of any lengths from 1 up.
            room: New tokens to make room for at once; more are made room for as they come.
            copies: Rows that each prompt continues in, side by side.

        Raises:
            InputError: A prompt is empty or longer than the context, or no token of the model.
        """


def check_prompts(spec: DecoderSpec, prompts: Sequence[Sequence[int]]) -> None:
    """Refuse what a model cannot take.

    Raises:
        InputError: There is no prompt, or one is empty, too long, or of another vocabulary.
    """
    if not prompts:
        raise InputError("There is no prompt.", hint="Give at least one.")
    for prompt in prompts:
        if not len(prompt):
            raise InputError("A prompt has no tokens.", hint="Give at least one token.")
        if len(prompt) > spec.context:
            raise InputError(
                f"A prompt has {len(prompt)} tokens; the model's context is {spec.context}.",
                hint="Shorten it, or cut it from the left.",
            )
        for token in (min(prompt), max(prompt)):
            if not 0 <= token < spec.vocabulary:
                raise InputError(
                    f"A prompt has the token {token}; the model's tokens are "
                    f"0 to {spec.vocabulary - 1}.",
                    hint="The tokenizer belongs to another model.",
                )


def check_room(spec: DecoderSpec, filled: int) -> None:
    """Refuse a step for which there is no position left.

    Raises:
        InputError: The context is full.
    """
    if filled >= spec.context:
        raise InputError(
            f"The text has reached the model's context of {spec.context} tokens.",
            hint="Give a shorter prompt or a smaller max_new_tokens.",
        )


def open_session(path: Path, threads: int | None) -> Any:
    """An ``InferenceSession`` on the CPU, set up for decoding.

    Args:
        path: The ``.onnx`` file.
        threads: Threads within a step; None for the CPUs that the process may use.

    Raises:
        MissingExtra: No ONNX Runtime is installed.
        BundleError: The file is no graph that ONNX Runtime can load.
        OptionError: ``threads`` is below 1.
    """
    options = session_options(thread_count(threads))
    # Lengths change with every step: there is no pattern to remember.
    options.enable_mem_pattern = False
    return build_session(path, options)
