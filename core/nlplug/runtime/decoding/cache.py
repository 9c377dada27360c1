"""Keys and values of what was decoded so far, in memory that numpy and ONNX Runtime share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nlplug.runtime.device import onnxruntime

if TYPE_CHECKING:
    from nlplug.runtime.decoding.spec import DecoderSpec

_STEP = 32


class Cache:
    """The cache of some rows, one block of memory for all layers.

    The graph writes new keys and values straight into it: what is bound as its past is bound as
    its present too. It grows with what is generated, by half its size at a time, so that all
    copying together stays within three times the last size.

    Args:
        spec: The decoder.
        rows: Sequences.
        capacity: Tokens of a row to make room for at first.
    """

    def __init__(self, spec: DecoderSpec, rows: int, capacity: int) -> None:
        self._spec = spec
        self._memory = self._allocate(rows, min(_rounded(capacity), spec.context))
        # For each two rows, how many tokens from the start they hold the same keys and values of.
        self._common = np.zeros((rows, rows), np.int64)

    @property
    def rows(self) -> int:
        """How many sequences."""
        return int(self._memory.shape[2])

    @property
    def capacity(self) -> int:
        """Tokens of a row that there is room for."""
        return int(self._memory.shape[4])

    @property
    def nbytes(self) -> int:
        """Bytes it takes."""
        return self._memory.nbytes

    def bind(self, binding: Any) -> None:
        """Make it past and present of a graph's binding."""
        ort = onnxruntime()
        for layer in range(self._spec.layers):
            for part, name in enumerate(("key", "value")):
                value = ort.OrtValue.ortvalue_from_numpy(self._memory[layer, part])
                binding.bind_ortvalue_input(f"past_key_values.{layer}.{name}", value)
                binding.bind_ortvalue_output(f"present.{layer}.{name}", value)

    def reserve(self, tokens: int, filled: int) -> bool:
        """Make room for ``tokens`` tokens a row, of which ``filled`` are there and are kept.

        Returns:
            Whether the memory is another one now, which has to be bound again.
        """
        if tokens <= self.capacity:
            return False
        wanted = max(tokens, self.capacity + self.capacity // 2)
        grown = self._allocate(self.rows, min(_rounded(wanted), self._spec.context))
        grown[:, :, :, :, :filled] = self._memory[:, :, :, :, :filled]
        self._memory = grown
        return True

    def repeat(self, copies: int, lengths: np.ndarray) -> None:
        """Let each row stand ``copies`` times side by side; bind the memory again.

        Args:
            copies: How many times.
            lengths: Tokens that each row holds, as for the other methods.
        """
        filled = int(lengths.max())
        index = np.repeat(np.arange(self.rows), copies)
        kept = self._allocate(len(index), self.capacity)
        kept[:, :, :, :, :filled] = self._memory[:, :, index, :, :filled]
        self._memory = kept
        self._pick(index, lengths)

    def keep(self, rows: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Keep some of the rows, given in rising order; bind the memory again.

        The gaps are filled from the end, so that no more is copied than was given up.

        Returns:
            The same rows in the order in which they stand now.
        """
        order = np.arange(len(rows))
        gaps = np.setdiff1d(order, rows)
        order[gaps] = rows[len(rows) - len(gaps) :]
        filled = int(lengths.max())
        self._memory[:, :, gaps, :, :filled] = self._memory[:, :, order[gaps], :, :filled]
        # Within each layer rows come first: those that stay are still one block of memory.
        self._memory = self._memory[:, :, : len(rows)]
        self._pick(order, lengths)
        return order

    def follow(self, parents: np.ndarray, lengths: np.ndarray) -> None:
        """Let each row hold what the row ``parents[row]`` holds; the memory stays the same.

        Beams that part and meet share most of what they hold, and rows know how much, so only what
        came after the last common token is copied: a few tokens a step, where a ``Gather`` in the
        graph would copy the whole cache.
        """
        changed = np.flatnonzero(parents != np.arange(len(parents)))
        if not len(changed):
            return
        sources = parents[changed]
        starts = self._common[changed, sources]
        starts[starts == lengths[sources]] = -1  # they hold the same
        copies = []
        for start in np.unique(starts[starts >= 0]):
            same = starts == start
            span = slice(int(start), int(lengths[sources[same]].max()))
            values = self._memory[:, :, sources[same], :, span]
            copies.append((changed[same], span, values))
        for rows, span, values in copies:  # after all is read: a row may be parent and child
            self._memory[:, :, rows, :, span] = values
        self._pick(parents, lengths)

    def _pick(self, rows: np.ndarray, lengths: np.ndarray) -> None:
        np.fill_diagonal(self._common, lengths)
        self._common = self._common[np.ix_(rows, rows)]

    def _allocate(self, rows: int, capacity: int) -> np.ndarray:
        spec = self._spec
        # Pages that nobody has written to yet take no memory.
        return np.zeros((spec.layers, 2, rows, spec.kv_heads, capacity, spec.head_size), np.float32)


def _rounded(tokens: int) -> int:
    return -(-tokens // _STEP) * _STEP
