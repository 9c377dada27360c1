"""Keys and values of all tokens so far, in memory that numpy and ONNX Runtime share."""

from __future__ import annotations

import math
import mmap
from typing import Any

import numpy as np

from nlplug.errors import OptionError
from nlplug.runtime.decoding.decoder import DecoderSpec
from nlplug.runtime.device import onnxruntime

_STEP = 32
_SMALL = 1 << 20


class Cache:
    """The cache of some rows, one block of memory for all layers.

    The graph writes new keys and values directly into it: the same memory is bound as its past and
    as its present. It grows by half its size at a time, so all copying together stays below three
    times the final size.

    Args:
        spec: The shape of the decoder.
        rows: Number of rows.
        capacity: Number of tokens per row to allocate memory for.
    """

    def __init__(self, spec: DecoderSpec, rows: int, capacity: int) -> None:
        self._spec = spec
        # All rows that there is memory for; those in use are the first of them.
        self._block = self._memory = self._allocate(rows, min(_rounded(capacity), spec.context))
        # For each two rows, the number of leading tokens with the same keys and values.
        self._common = np.zeros((rows, rows), np.int64)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self._memory.shape[2])

    @property
    def capacity(self) -> int:
        """Number of tokens per row that memory is allocated for."""
        return int(self._memory.shape[4])

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return self._memory.nbytes

    def bind(self, binding: Any) -> None:
        """Bind it as past and present of a graph."""
        ort = onnxruntime()
        for layer in range(self._spec.layers):
            for part, name in enumerate(("key", "value")):
                value = ort.OrtValue.ortvalue_from_numpy(self._memory[layer, part])
                binding.bind_ortvalue_input(f"past_key_values.{layer}.{name}", value)
                binding.bind_ortvalue_output(f"present.{layer}.{name}", value)

    def reserve(self, tokens: int, filled: int) -> bool:
        """Make room for ``tokens`` tokens per row, and keep the first ``filled`` of them.

        Returns:
            Whether the memory was replaced and has to be bound again.
        """
        if tokens <= self.capacity:
            return False
        wanted = max(tokens, self.capacity + self.capacity // 2)
        self._move(self._block.shape[2], min(_rounded(wanted), self._spec.context), filled)
        return True

    def repeat(self, copies: int, lengths: np.ndarray) -> None:
        """Replace each row with ``copies`` adjacent copies; bind the memory again.

        Args:
            copies: Number of copies.
            lengths: Number of tokens in each row, int of shape (rows,); so in all methods.
        """
        filled = int(lengths.max())
        index = np.repeat(np.arange(self.rows), copies)
        kept = self._allocate(len(index), self.capacity)
        kept[:, :, :, :, :filled] = self._memory[:, :, index, :, :filled]
        self._block = self._memory = kept
        self._select(index, lengths)

    def add(self, other: Cache, lengths: np.ndarray, other_lengths: np.ndarray) -> None:
        """Add the rows of another cache behind these; bind the memory again.

        Memory for twice the rows is allocated when there is too little, so that adding rows one by
        one copies a row a few times and not at each addition.

        Args:
            other: A cache for the same decoder; not changed.
            lengths: Number of tokens in each row of this cache.
            other_lengths: Number of tokens in each row of the other one.
        """
        before, rows = self.rows, self.rows + other.rows
        filled, added = int(lengths.max()), int(other_lengths.max())
        self.reserve(added, filled)
        if rows > self._block.shape[2]:
            self._move(max(rows, 2 * before), self.capacity, filled)
        self._memory = self._block[:, :, :rows]
        self._memory[:, :, before:, :, :added] = other._memory[:, :, :, :, :added]
        common = np.zeros((rows, rows), np.int64)
        common[:before, :before] = self._common
        common[before:, before:] = other._common
        self._common = common

    def take(self, rows: np.ndarray, lengths: np.ndarray) -> Cache:
        """A cache of its own with a copy of some rows."""
        filled = int(lengths[rows].max())
        taken = Cache(self._spec, len(rows), filled + 1)
        taken._memory[:, :, :, :, :filled] = self._memory[:, :, rows, :, :filled]
        taken._common = self._common[np.ix_(rows, rows)]
        return taken

    def keep(self, rows: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Remove all rows but these, given in ascending order; bind the memory again.

        The gaps are filled with rows from the end, so no more rows are copied than were removed.

        Returns:
            The same row numbers in the new order of the rows.
        """
        order = np.arange(len(rows))
        gaps = np.setdiff1d(order, rows)
        order[gaps] = rows[len(rows) - len(gaps) :]
        filled = int(lengths.max())
        self._memory[:, :, gaps, :, :filled] = self._memory[:, :, order[gaps], :, :filled]
        # Rows are the first axis within each layer, so those that stay are one block of memory.
        self._memory = self._memory[:, :, : len(rows)]
        self._select(order, lengths)
        return order

    def follow(self, parents: np.ndarray, lengths: np.ndarray) -> None:
        """Replace the content of each row with that of ``parents[row]``, in the same memory.

        Beams share most of their tokens, and the number of common leading tokens of each two rows
        is known. So only later tokens are copied: a few per step, where a ``Gather`` in the graph
        would copy the whole cache.
        """
        own = np.arange(len(parents))
        if (parents == own).all():
            return
        # Lists: for so few numbers they are faster than arrays.
        sources, ends = parents.tolist(), lengths.tolist()
        children: dict[int, list[int]] = {}
        for row, start in enumerate(self._common[own, parents].tolist()):
            if sources[row] != row and start < ends[sources[row]]:
                children.setdefault(start, []).append(row)
        copies = []
        for start, rows in children.items():
            span = slice(start, max(ends[sources[row]] for row in rows))
            copies.append((rows, span, self._memory[:, :, parents[rows], :, span]))
        for rows, span, values in copies:  # all reads come first: a row may be parent and child
            self._memory[:, :, rows, :, span] = values
        self._select(parents, lengths)

    def _select(self, rows: np.ndarray, lengths: np.ndarray) -> None:
        np.fill_diagonal(self._common, lengths)
        self._common = self._common[rows][:, rows]

    def _move(self, rows: int, capacity: int, filled: int) -> None:
        """Move the first ``filled`` tokens of all rows to a larger block of memory."""
        used = self.rows
        block = self._allocate(rows, capacity)
        block[:, :, :used, :, :filled] = self._memory[:, :, :, :, :filled]
        self._block, self._memory = block, block[:, :, :used]

    def _allocate(self, rows: int, capacity: int) -> np.ndarray:
        spec = self._spec
        shape = (spec.layers, 2, rows, spec.kv_heads, capacity, spec.head_size)
        size = 4 * math.prod(shape)
        if size < _SMALL:
            return np.zeros(shape, np.float32)
        # Straight from the system: pages that were never written to take no memory, and all of it
        # is given back. The allocator keeps freed blocks, and clears them when it uses them again.
        try:
            block = mmap.mmap(-1, size)
        except (OSError, OverflowError):
            raise OptionError(
                f"The keys and values of {rows:,} rows with {capacity:,} tokens take "
                f"{size / 1e9:,.1f} GB, more memory than is available.",
                hint="Lower num_beams, num_return_sequences or max_new_tokens, or give fewer "
                "inputs at a time.",
            ) from None
        return np.frombuffer(block, np.float32).reshape(shape)


def _rounded(tokens: int) -> int:
    return -(-tokens // _STEP) * _STEP
