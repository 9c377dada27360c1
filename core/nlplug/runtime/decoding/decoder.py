"""What decoding needs of a model: its shape, and the steps that it can run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from nlplug.errors import BundleError, InputError
from nlplug.json_text import parse_json
from nlplug.runtime.decoding.ranking import Ranking

METADATA_KEY = "nlplug.decoder"
"""The metadata entry of a fast causal graph that holds its `DecoderSpec`."""

ENCODER_DECODER_KEY = "nlplug.seq2seq"
"""The metadata entry of a text-to-text decoder graph that holds its `EncoderDecoderSpec`."""

NO_LIMIT = 1_000_000
"""The context of a model whose positions are unlimited or unknown."""

_TYPES = {"int": int, "bool": bool}
_MAY_BE_ZERO = ("one_thread", "lane_rows", "start")


@dataclass(frozen=True)
class DecoderSpec:
    """The shape of a decoder and of its cache.

    Attributes:
        layers: Number of layers.
        kv_heads: Number of key and value heads.
        head_size: Size of one head.
        vocabulary: Number of logits per position.
        context: Maximum number of positions.
        positions: Whether the graph has the input ``position_ids``.
        one_thread: Largest number of rows for which one thread is faster than several.
        lane_rows: Smallest number of rows per thread for which threads with their own rows are
            faster than all threads on all rows; 0 if that is never faster.
    """

    layers: int
    kv_heads: int
    head_size: int
    vocabulary: int
    context: int
    positions: bool
    one_thread: int = field(default=0, kw_only=True)
    lane_rows: int = field(default=0, kw_only=True)

    metadata_key: ClassVar[str] = METADATA_KEY

    def to_json(self) -> str:
        """The value of the graph's metadata entry."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str, graph: Path) -> Self:
        """Read what `to_json` wrote; keys of later versions are ignored.

        Args:
            text: The metadata entry.
            graph: The file that it comes from, for the message.

        Raises:
            BundleError: The text is not such JSON, or a key is missing or has another type.
        """
        where = f"{cls.metadata_key!r} of {graph}"
        try:
            values = parse_json(text)
        except ValueError as error:
            raise _unreadable(where, f"is not JSON: {error}") from error
        if not isinstance(values, dict):
            raise _unreadable(where, "is not a JSON object")
        found: dict[str, Any] = {}
        for item in fields(cls):
            if item.name in values:
                least = 0 if item.name in _MAY_BE_ZERO else 1
                expected = _TYPES[str(item.type)]
                if type(values[item.name]) is not expected:
                    value = f"{item.name!r} with the value {values[item.name]!r}"
                    raise _unreadable(where, f"has {value}; it must be {expected.__name__}")
                if expected is int and values[item.name] < least:
                    value = f"{item.name!r} with the value {values[item.name]}"
                    raise _unreadable(where, f"has {value}; it must be {least} or more")
                found[item.name] = values[item.name]
            elif item.default is MISSING:
                raise _unreadable(where, f"lacks the key {item.name!r}")
        return cls(**found)

    def check_graph(self, session: Any) -> None:
        """Compare with what a fast graph declares.

        Args:
            session: The session of the graph.

        Raises:
            BundleError: Something differs, so that the metadata belong to another graph.
        """
        inputs = {item.name: item.shape for item in session.get_inputs()}
        cache = [shape for name, shape in inputs.items() if name.startswith("past_key_values.")]
        first = cache[0] if cache and len(cache[0]) == 4 else [None] * 4
        logits = next((item.shape for item in session.get_outputs() if item.name == "logits"), None)
        declared = {
            "layers": len(cache) // 2,
            "kv_heads": first[1],
            "head_size": first[3],
            "vocabulary": logits[-1] if logits else None,
            "positions": "position_ids" in inputs,
        }
        for name, value in declared.items():
            own = getattr(self, name)
            if isinstance(value, int) and value != own:  # a free axis has a name instead of a size
                where = f"{self.metadata_key!r} of {session}"
                raise _unreadable(
                    where, f"has {name!r} with the value {own}; the graph has {value}"
                )


@dataclass(frozen=True)
class EncoderDecoderSpec(DecoderSpec):
    """The shape of an encoder and its decoder; the fields of `DecoderSpec` describe the decoder.

    Attributes:
        start: The token that every text of the decoder starts with.
        source_vocabulary: Number of tokens that a source may have.
        source_context: Maximum number of tokens in a source.
        fast: Whether the graphs are in the fast form.
    """

    start: int
    source_vocabulary: int
    source_context: int
    fast: bool

    metadata_key: ClassVar[str] = ENCODER_DECODER_KEY

    @cached_property
    def sources(self) -> DecoderSpec:
        """The same with the bounds of sources, to check them with `check_prompts`."""
        return replace(self, vocabulary=self.source_vocabulary, context=self.source_context)


class Decoding(Protocol):
    """Rows that grow by one token per step."""

    @property
    def rows(self) -> int:
        """Number of rows."""

    @property
    def lengths(self) -> np.ndarray:
        """Number of tokens of each row in the cache, int32 of shape (rows,)."""

    @property
    def logits(self) -> np.ndarray:
        """Logits after the last token of each row: float32 of shape (rows, vocabulary).

        The next step may overwrite this memory.
        """

    @property
    def next_tokens(self) -> np.ndarray:
        """The most likely token of each row, int64 of shape (rows,); may be overwritten too."""

    @property
    def sound(self) -> np.ndarray:
        """Whether no logit of a row is NaN or infinity, and some are numbers: bool, (rows,)."""

    @property
    def ranking(self) -> Ranking | None:
        """The most likely tokens after the last step; None if `rank` did not ask before it."""

    def rank(self, count: int) -> bool:
        """Have the graph rank ``count`` tokens from the next step on.

        Returns:
            Whether the graph can rank at all.
        """

    def step(self, tokens: np.ndarray) -> None:
        """Append one token to each row and run the graph.

        Args:
            tokens: int64 of shape (rows,); may be ``next_tokens`` itself.

        Raises:
            InputError: The context is full.
        """

    def keep(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Remove all rows but these.

        Args:
            rows: Row numbers in ascending order.

        Returns:
            The same numbers in the new order of the rows.
        """

    def follow(self, parents: np.ndarray) -> None:
        """Replace the tokens of each row with those of ``parents[row]``, a row of its prompt."""

    def close(self) -> None:
        """Leave the rows that other decodings run with; it has no further step."""


class Decoder(Protocol):
    """A model that decodes; several decodings may run in it at the same time."""

    @property
    def spec(self) -> DecoderSpec:
        """Its shape."""

    @property
    def path(self) -> Path:
        """The file of its graph, for messages."""

    def decoder_prompts(self, prompts: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
        """The tokens that the decoder starts from.

        These are the prompts of a causal model, and the start token of a text-to-text model.
        """

    def start(
        self, prompts: Sequence[Sequence[int]], *, room: int = 0, copies: int = 1
    ) -> Decoding:
        """Run the prompts; the logits of the result are those after their last tokens.

        Args:
            prompts: Token ids, each of length 1 or more.
            room: Number of new tokens to allocate memory for; the memory grows when needed.
            copies: Number of adjacent rows that continue each prompt.

        Raises:
            InputError: A prompt is empty, longer than the context, or of another vocabulary.
        """


def check_prompts(spec: DecoderSpec, prompts: Sequence[Sequence[int]]) -> None:
    """Refuse prompts that a model cannot take.

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
    """Refuse a step for which no position is left.

    Raises:
        InputError: The context is full.
    """
    if filled >= spec.context:
        raise InputError(
            f"The text has reached the model's context of {spec.context} tokens.",
            hint="Give a shorter prompt or a smaller max_new_tokens.",
        )


def check_logits(decoder: Decoder, sound: np.ndarray) -> None:
    """Refuse the logits of a broken graph; a token that a model excludes may have minus infinity.

    Args:
        decoder: The model.
        sound: See `Decoding.sound`.

    Raises:
        BundleError: Those of a row are no numbers.
    """
    if not sound.all():
        raise BundleError(
            f"The graph {decoder.path} gives logits that are NaN or infinite.",
            hint="Try another precision, or export the model again.",
        )


def padded(rows: Sequence[Sequence[int]], *, left: bool = False) -> np.ndarray:
    """Token ids as one array, padded with zeros on the right, or on the left.

    Returns:
        int64 of shape (rows, length of the longest row).
    """
    longest = max(len(row) for row in rows)
    ids = np.zeros((len(rows), longest), np.int64)
    for number, row in enumerate(rows):
        start = longest - len(row) if left else 0
        ids[number, start : start + len(row)] = row
    return ids


def _unreadable(where: str, what: str) -> BundleError:
    return BundleError(
        f"{where[0].upper()}{where[1:]} {what}.",
        hint="Export the model again with `nlplug export`.",
    )
