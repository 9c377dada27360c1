"""The fast graph of a decoder: one block of memory is its past and its present."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nlplug.errors import BundleError
from nlplug.runtime.decoding.cache import Cache
from nlplug.runtime.decoding.decoder import Decoding, check_prompts, check_room
from nlplug.runtime.decoding.outputs import Outputs
from nlplug.runtime.decoding.ranking import Ranking
from nlplug.runtime.decoding.sessions import Sessions
from nlplug.runtime.decoding.spec import METADATA_KEY, DecoderSpec
from nlplug.runtime.device import onnxruntime


class DecoderSession:
    """A fast decoder graph, loaded; several decodings may go on in it at once.

    Args:
        path: The ``.onnx`` file.
        threads: Threads to use; None for the CPUs that the process may use.

    Raises:
        MissingExtra: No ONNX Runtime is installed.
        BundleError: The file is no fast decoder graph.
        OptionError: ``threads`` is below 1.
    """

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        self._sessions = Sessions(path, threads)
        described = self._sessions.metadata().get(METADATA_KEY)
        if described is None:
            raise BundleError(
                f"{path} is not a decoder in the fast form.", hint="Export the model again."
            )
        self.spec = DecoderSpec.from_json(described)
        self._sessions.plan(self.spec.one_thread, self.spec.lane_rows)

    @property
    def session(self) -> Any:
        """The ``InferenceSession`` over all threads, for other work than decoding."""
        return self._sessions.open(self._sessions.threads)

    def beginnings(self, prompts: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
        """See `Decoder.beginnings`."""
        return prompts

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
        check_prompts(self.spec, prompts)
        start = partial(SharedDecoding, spec=self.spec, room=room, copies=copies)
        return self._sessions.start(prompts, copies, start)


class SharedDecoding:
    """Rows that grow token by token; made by `DecoderSession.start`.

    Its cache, its tokens and its logits are memory that the graph reads and writes in place.
    """

    def __init__(
        self,
        session: Any,
        prompts: Sequence[Sequence[int]],
        *,
        spec: DecoderSpec,
        room: int,
        copies: int,
    ) -> None:
        self._session = session
        self._spec = spec
        self._binding: Any = None
        self._outputs = Outputs(self._spec.vocabulary)
        lengths = np.array([len(prompt) for prompt in prompts], np.int32)
        longest = int(lengths.max())
        self.lengths, self._longest = lengths, longest
        self._cache = Cache(self._spec, len(prompts), longest + room)
        self._prefill(prompts, longest)
        if copies > 1:
            self._cache.repeat(copies, lengths)
            self._pick(np.repeat(np.arange(len(prompts)), copies))

    @property
    def rows(self) -> int:
        """How many sequences are decoded."""
        return len(self.lengths)

    @property
    def room(self) -> int:
        """Tokens that the longest row can still take before the context ends."""
        return self._spec.context - self._longest

    @property
    def cache(self) -> Cache:
        """The keys and values."""
        return self._cache

    @property
    def logits(self) -> np.ndarray:
        """See `Decoding.logits`."""
        return self._outputs.logits

    @property
    def next_tokens(self) -> np.ndarray:
        """See `Decoding.next_tokens`."""
        return self._outputs.next_tokens

    @property
    def ranking(self) -> Ranking | None:
        """See `Ranked`."""
        return self._outputs.ranking

    def rank(self, count: int) -> None:
        """See `Ranked`."""
        if count != self._outputs.count:
            self._outputs.count, self._binding = count, None

    def step(self, tokens: np.ndarray) -> None:
        """Append a token to each row and run it.

        Args:
            tokens: int64 of shape (rows,); may be ``next_tokens`` itself.

        Raises:
            InputError: The context is full.
        """
        filled = self._longest
        check_room(self._spec, filled)
        if self._cache.reserve(filled + 1, filled) or self._binding is None:
            self._bind_step()
        self._ids[:, 0] = tokens
        self._total[...] = filled + 1
        self._session.run_with_iobinding(self._binding)
        # The graph reads both as what there is before a step.
        self.lengths += 1
        self._positions += 1
        self._longest = filled + 1

    def keep(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Go on with some of the rows alone.

        Args:
            rows: Numbers of the rows, in rising order.

        Returns:
            The same numbers in the order in which the rows stand now.
        """
        order = self._cache.keep(np.asarray(rows), self.lengths)
        self._pick(order)
        return order

    def follow(self, parents: np.ndarray) -> None:
        """Let each row continue what the row ``parents[row]`` holds, before the next step."""
        self._cache.follow(parents, self.lengths)
        lengths = self.lengths[parents]
        if (lengths != self.lengths).any():  # never so among rows of one prompt
            self.lengths, self._longest = lengths, int(lengths.max())
            self._binding = None

    def _pick(self, rows: np.ndarray) -> None:
        self.lengths = self.lengths[rows]
        self._longest = int(self.lengths.max())
        self._outputs.pick(rows)
        self._binding = None

    def _prefill(self, prompts: Sequence[Sequence[int]], longest: int) -> None:
        rows = len(prompts)
        ids = np.zeros((rows, longest), np.int64)
        for row, prompt in enumerate(prompts):
            ids[row, : len(prompt)] = prompt
        feeds: dict[str, np.ndarray] = {
            "input_ids": ids,
            "seqlens_k": self.lengths - 1,
            "total_sequence_length": np.array(longest, np.int32),
            "logits_at": np.arange(rows) * longest + self.lengths - 1,
        }
        if self._spec.positions:
            feeds["position_ids"] = np.tile(np.arange(longest), (rows, 1))
        self._session.run_with_iobinding(self._bind(feeds))

    def _bind_step(self) -> None:
        rows = self.rows
        self._ids = np.zeros((rows, 1), np.int64)
        self._positions = self.lengths[:, None].astype(np.int64)
        self._total = np.zeros((), np.int32)
        feeds: dict[str, np.ndarray] = {
            "input_ids": self._ids,
            "seqlens_k": self.lengths,
            "total_sequence_length": self._total,
            "logits_at": np.arange(rows),
        }
        if self._spec.positions:
            feeds["position_ids"] = self._positions
        self._binding = self._bind(feeds)

    def _bind(self, feeds: dict[str, np.ndarray]) -> Any:
        """Bind arrays as they lie in memory: what is written to them later, the graph sees."""
        ort = onnxruntime()
        binding = self._session.io_binding()
        for name, values in feeds.items():
            binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(values))
        self._cache.bind(binding)
        self._outputs.bind(binding, self.rows)
        return binding
