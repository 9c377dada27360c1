"""Decoding with graphs in the fast form: they read and write the same memory at every step."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import partial
from typing import Any, Self

import numpy as np

from nlplug.runtime.decoding.cache import Cache
from nlplug.runtime.decoding.decoder import (
    DecoderSpec,
    Decoding,
    check_prompts,
    check_room,
    padded,
)
from nlplug.runtime.decoding.ranking import Ranking
from nlplug.runtime.decoding.sessions import Sessions
from nlplug.runtime.device import onnxruntime


class FastDecoder:
    """A causal model whose graph is in the fast form; made by `open_decoder`.

    Args:
        sessions: The sessions of the graph.
        spec: The content of the graph's metadata.
    """

    def __init__(self, sessions: Sessions, spec: DecoderSpec) -> None:
        self.sessions = sessions
        self.path = sessions.path
        self.spec = spec
        sessions.plan(spec.one_thread, spec.lane_rows)

    @property
    def session(self) -> Any:
        """The ``InferenceSession`` over all threads, for other work than decoding."""
        return self.sessions.open(self.sessions.threads)

    def decoder_prompts(self, prompts: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
        """See `Decoder.decoder_prompts`."""
        return prompts

    def start(
        self, prompts: Sequence[Sequence[int]], *, room: int = 0, copies: int = 1
    ) -> Decoding:
        """See `Decoder.start`."""
        check_prompts(self.spec, prompts)
        start = partial(FastCausalDecoding, spec=self.spec, room=room, copies=copies)
        return self.sessions.start(prompts, copies, start)


class Outputs:
    """Arrays that a fast graph writes its logits and its ranking to.

    The graph always ranks: the first token of the ranking is the greedy choice.

    Args:
        vocabulary: Number of logits per row.

    Attributes:
        count: Number of tokens to rank, from the next `bind` on.
    """

    def __init__(self, vocabulary: int) -> None:
        self.count = 1
        self._vocabulary = vocabulary
        self._arrays: dict[str, np.ndarray] = {}

    @property
    def logits(self) -> np.ndarray:
        """float32 of shape (rows, vocabulary)."""
        return self._arrays["logits"]

    @property
    def next_tokens(self) -> np.ndarray:
        """The most likely token of each row, int64 of shape (rows,)."""
        return self._arrays["top_tokens"][:, 0]

    @property
    def sound(self) -> np.ndarray:
        """See `Decoding.sound`: one NaN or infinity makes all probabilities NaN."""
        sound: np.ndarray = self._arrays["top_share"][:, 0] > 0
        return sound

    @property
    def ranking(self) -> Ranking | None:
        """The most likely tokens; None if fewer than ``count`` were bound."""
        logits, tokens = self._arrays["top_logits"], self._arrays["top_tokens"]
        if tokens.shape[1] < self.count:
            return None
        return Ranking(logits, tokens, self._arrays["top_share"], logits[:, :1])

    def bind(self, binding: Any, rows: int) -> None:
        """Allocate arrays for ``rows`` rows and bind them as outputs of the graph."""
        shape = (rows, self.count)
        self._arrays = {
            "logits": np.empty((rows, self._vocabulary), np.float32),
            "top_logits": np.empty(shape, np.float32),
            "top_tokens": np.empty(shape, np.int64),
            "top_share": np.empty((rows, 1), np.float32),
        }
        # A bound value is only a pointer: the arrays must live as long as the binding is used.
        self._top = np.array([self.count])
        make = onnxruntime().OrtValue.ortvalue_from_numpy
        binding.bind_ortvalue_input("top", make(self._top))
        for name, values in self._arrays.items():
            binding.bind_ortvalue_output(name, make(values))

    def select(self, rows: np.ndarray) -> None:
        """Continue with these rows, in this order; `bind` again before the next step."""
        self._arrays = {name: values[rows] for name, values in self._arrays.items()}


class FastDecoding:
    """Base of decodings with a fast graph; see `Decoding`.

    Inputs, cache and outputs are bound once and stay bound from step to step; they are bound again
    when rows end, the cache grows or another number of tokens is to be ranked.

    Args:
        session: The ``InferenceSession`` of the decoder's graph.
        spec: Its shape.
        lengths: Number of tokens of each row in the cache, int32 of shape (rows,).
        room: Number of tokens per row to allocate memory for.
    """

    _positions: np.ndarray

    def __init__(self, session: Any, spec: DecoderSpec, lengths: np.ndarray, room: int) -> None:
        self._session = session
        self._spec = spec
        self._binding: Any = None
        self._outputs = Outputs(spec.vocabulary)
        self.lengths, self._longest = lengths, int(lengths.max())
        self.cache = Cache(spec, len(lengths), room)

    @property
    def rows(self) -> int:
        """See `Decoding.rows`."""
        return len(self.lengths)

    @property
    def room(self) -> int:
        """Number of tokens that the longest row can still take."""
        return self._spec.context - self._longest

    @property
    def logits(self) -> np.ndarray:
        """See `Decoding.logits`."""
        return self._outputs.logits

    @property
    def next_tokens(self) -> np.ndarray:
        """See `Decoding.next_tokens`."""
        return self._outputs.next_tokens

    @property
    def sound(self) -> np.ndarray:
        """See `Decoding.sound`."""
        return self._outputs.sound

    @property
    def ranking(self) -> Ranking | None:
        """See `Decoding.ranking`."""
        return self._outputs.ranking

    def rank(self, count: int) -> bool:
        """See `Decoding.rank`."""
        if count != self._outputs.count:
            self._outputs.count, self._binding = count, None
        return True

    def run_in(self, session: Any) -> None:
        """Run the next steps in another session of the same graph."""
        if session is not self._session:
            self._session, self._binding = session, None

    def close(self) -> None:
        """See `Decoding.close`."""

    def step(self, tokens: np.ndarray) -> None:
        """See `Decoding.step`."""
        filled = self._longest
        check_room(self._spec, filled)
        if self.cache.reserve(filled + 1, filled) or self._binding is None:
            self._bind_step()
        self._ids[:, 0] = tokens
        self._total[...] = filled + 1
        self._session.run_with_iobinding(self._binding)
        # The graph reads lengths and positions as they are before a step.
        self.lengths += 1
        self._positions += 1
        self._longest = filled + 1

    def follow(self, parents: np.ndarray) -> None:
        """See `Decoding.follow`; parents have the same prompt."""
        self.cache.follow(parents, self.lengths)

    def select(self, rows: np.ndarray) -> None:
        """Continue with these rows of all arrays but the cache, in this order."""
        self.lengths = self.lengths[rows]
        self._longest = int(self.lengths.max())
        self._outputs.select(rows)
        self._binding = None

    def step_inputs(self) -> dict[str, np.ndarray]:
        """The inputs of a step that only one kind of graph has; overridden."""
        return {}

    def new_positions(self) -> np.ndarray:
        """The positions of the next step's tokens, int64 of shape (rows, 1)."""
        return self.lengths[:, None].astype(np.int64)

    def bind(self, inputs: dict[str, np.ndarray]) -> Any:
        """Bind arrays as they are in memory: the graph sees what is written to them later."""
        self._inputs = inputs  # a bound value is only a pointer, see `Outputs.bind`
        make = onnxruntime().OrtValue.ortvalue_from_numpy
        binding = self._session.io_binding()
        for name, values in inputs.items():
            binding.bind_ortvalue_input(name, make(values))
        self.cache.bind(binding)
        self._outputs.bind(binding, self.rows)
        return binding

    def _bind_step(self) -> None:
        self._ids = np.zeros((self.rows, 1), np.int64)
        self._positions = self.new_positions()
        self._total = np.zeros((), np.int32)
        inputs = {
            "input_ids": self._ids,
            "seqlens_k": self.lengths,
            "total_sequence_length": self._total,
            **self.step_inputs(),
        }
        if self._spec.positions:
            inputs["position_ids"] = self._positions
        self._binding = self.bind(inputs)


class FastCausalDecoding(FastDecoding):
    """Rows of a causal model, started by running their prompts; made by `FastDecoder`."""

    def __init__(
        self,
        session: Any,
        prompts: Sequence[Sequence[int]],
        *,
        spec: DecoderSpec,
        room: int,
        copies: int,
    ) -> None:
        lengths = np.array([len(prompt) for prompt in prompts], np.int32)
        super().__init__(session, spec, lengths, int(lengths.max()) + room)
        session.run_with_iobinding(self.bind(prompt_inputs(spec, prompts, lengths)))
        if copies > 1:
            self.cache.repeat(copies, lengths)
            self.select(np.repeat(np.arange(len(prompts)), copies))

    def keep(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """See `Decoding.keep`."""
        order = self.cache.keep(np.asarray(rows), self.lengths)
        self.select(order)
        return order

    def add(self, other: FastCausalDecoding) -> None:
        """Add the rows of another decoding of the model behind these; the next call is `step`."""
        self.cache.add(other.cache, self.lengths, other.lengths)
        self.lengths = np.concatenate([self.lengths, other.lengths])
        self._longest = max(self._longest, other._longest)
        self._binding = None

    def take(self, rows: np.ndarray) -> Self:
        """A decoding of its own with a copy of some rows."""
        taken = copy(self)
        taken.cache = self.cache.take(rows, self.lengths)
        taken._outputs = copy(self._outputs)
        taken.select(rows)
        return taken

    def step_inputs(self) -> dict[str, np.ndarray]:
        """See `FastDecoding.step_inputs`."""
        return {"logits_at": np.arange(self.rows)}


def prompt_inputs(
    spec: DecoderSpec,
    prompts: Sequence[Sequence[int]],
    lengths: np.ndarray,
    logits_at: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """The inputs of a run over whole prompts, which are padded on the right.

    Args:
        spec: The shape of the graph.
        prompts: Token ids.
        lengths: Their lengths, int32 of shape (rows,).
        logits_at: Positions to compute logits for, counted over all rows of the padded ids; None
            for the last token of each row.
    """
    ids = padded(prompts)
    rows, longest = ids.shape
    if logits_at is None:
        logits_at = np.arange(rows) * longest + lengths - 1
    inputs = {
        "input_ids": ids,
        "seqlens_k": lengths - 1,
        "total_sequence_length": np.array(longest, np.int32),
        "logits_at": logits_at,
    }
    if spec.positions:
        inputs["position_ids"] = np.tile(np.arange(longest), (rows, 1))
    return inputs
