"""Text-to-text decoding with graphs in the fast form.

The encoder reads each source once and returns the keys and values of all cross attentions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nlplug.runtime.decoding.decoder import EncoderDecoderSpec, check_prompts, padded
from nlplug.runtime.decoding.fast import FastDecoding
from nlplug.runtime.device import onnxruntime


class FastEncoderDecoder:
    """A text-to-text model whose graphs are in the fast form; made by `open_encoder_decoder`.

    Args:
        encoder: The ``InferenceSession`` of the encoder's graph.
        decoder: The ``InferenceSession`` of the decoder's graph.
        spec: The content of the decoder's metadata.
        path: The file of the decoder, for messages.
    """

    def __init__(self, encoder: Any, decoder: Any, spec: EncoderDecoderSpec, path: Path) -> None:
        self.path = path
        self.encoder = encoder
        self.session = decoder
        self.spec = spec

    def decoder_prompts(self, prompts: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
        """See `Decoder.decoder_prompts`: the start token."""
        return [(self.spec.start,)] * len(prompts)

    def start(
        self, prompts: Sequence[Sequence[int]], *, room: int = 0, copies: int = 1
    ) -> FastCrossDecoding:
        """See `Decoder.start`; prompts are sources."""
        check_prompts(self.spec.sources, prompts)
        return FastCrossDecoding(self, prompts, room=room, copies=copies)

    def encode(self, prompts: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
        """Read sources.

        Returns:
            Their lengths, int32 of shape (sources,), and the keys and values of each layer,
            float32 of shape (2 x layers, sources, heads, tokens, head size).
        """
        spec = self.spec
        lengths = np.array([len(prompt) for prompt in prompts], np.int32)
        ids = padded(prompts)
        shape = (2 * spec.layers, len(prompts), spec.kv_heads, ids.shape[1], spec.head_size)
        cross = np.empty(shape, np.float32)
        make = onnxruntime().OrtValue.ortvalue_from_numpy
        binding = self.encoder.io_binding()
        binding.bind_ortvalue_input("input_ids", make(ids))
        binding.bind_ortvalue_input("source_lengths", make(lengths))
        binding.bind_ortvalue_output("cross", make(cross))
        self.encoder.run_with_iobinding(binding)
        return lengths, cross


class FastCrossDecoding(FastDecoding):
    """Rows of equal length, each with a source; made by `FastEncoderDecoder.start`.

    Rows of the same source are adjacent and read its keys and values from the same memory.
    """

    def __init__(
        self, owner: FastEncoderDecoder, prompts: Sequence[Sequence[int]], *, room: int, copies: int
    ) -> None:
        self._source_lengths, self._cross = owner.encode(prompts)
        self._copies = copies
        rows = len(prompts) * copies
        super().__init__(owner.session, owner.spec, np.zeros(rows, np.int32), 1 + room)
        self.step(np.full(rows, owner.spec.start))

    def keep(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """See `Decoding.keep`."""
        order = self.cache.keep(np.asarray(rows), self.lengths)
        sources = order // self._copies
        groups = sources.reshape(-1, self._copies) if len(order) % self._copies == 0 else None
        if groups is not None and (groups == groups[:, :1]).all():
            sources = groups[:, 0]
            moved = np.flatnonzero(sources != np.arange(len(sources)))
            self._cross[:, moved] = self._cross[:, sources[moved]]
            # Within each layer, the sources that stay are still one block of memory.
            self._cross = self._cross[:, : len(sources)]
        else:  # a source has lost some of its rows: from now on each row has its own copy
            self._cross = self._cross[:, sources]
            self._copies = 1
        self._source_lengths = self._source_lengths[sources]
        self.select(order)
        return order

    def new_positions(self) -> np.ndarray:
        """The position of the next step's tokens, int64 of shape (1, 1): the same for all rows."""
        return super().new_positions()[:1]

    def step_inputs(self) -> dict[str, np.ndarray]:
        """See `FastDecoding.step_inputs`."""
        heads = self._spec.kv_heads * self._spec.head_size
        inputs = {
            "source_lengths": self._source_lengths,
            "by_source": np.array([len(self._source_lengths), self._copies, heads]),
        }
        for number, values in enumerate(self._cross):
            inputs[f"cross.{number // 2}.{('key', 'value')[number % 2]}"] = values
        return inputs
