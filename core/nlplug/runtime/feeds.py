"""From rows of tokens to the inputs that a graph declares, whatever they are.

Graphs of the Hub differ: masks of int, bool or float; positions as an input; no mask at all; one
row per run; a fixed length. `GraphFeeds` reads this from the signature and plans batches after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nlplug.errors import BundleError
from nlplug.runtime.batching import plan

if TYPE_CHECKING:
    from nlplug.models.signature import Signature
    from nlplug.runtime.model import Row

_OTHER_NAMES = {"input_mask": "attention_mask", "segment_ids": "token_type_ids"}
"""The names of the TensorFlow BERT, which many graphs still have."""
_KNOWN = ("input_ids", "attention_mask", "token_type_ids", "position_ids")
_NUMBERS = frozenset({"int64", "int32"})
_MASKS = frozenset({*_NUMBERS, "bool", "float32", "float16", "float64"})


class GraphFeeds:
    """Makes the inputs of one graph.

    Args:
        signature: What the graph declares.
        pad_token_id: The token that ``input_ids`` are padded with; None where there is none.
        first_position: The position of a row's first token.
        pads: Whether the model's answers do not depend on padding.
        together: Whether rows may be run together.

    Attributes:
        names: What the graph is fed, by our names.
        rows: Rows that each run must have; None for any number.
        length: Tokens that each row must have; None for any number.
        pads: Whether rows of different lengths may be run together. They may not where padding
            changes the answer: without a mask that the graph reads, without a padding token, or
            where the model reads it nevertheless.

    Raises:
        BundleError: The graph has an input that cannot be fed; the message names it.
    """

    def __init__(
        self,
        signature: Signature,
        *,
        pad_token_id: int | None,
        first_position: int = 0,
        pads: bool = True,
        together: bool = True,
    ) -> None:
        self._source = signature.source
        self._pad = pad_token_id
        self._first = first_position
        self._together = together
        self._declared: dict[str, tuple[str, np.dtype[np.generic]]] = {}
        if signature.task.endswith("-generation"):
            raise signature.for_another_task("one run of it gives one token, not an answer")
        for name, info in signature.inputs.items():
            ours = _OTHER_NAMES.get(name, name)
            allowed = _MASKS if ours == "attention_mask" else _NUMBERS
            if ours not in _KNOWN:
                raise self._refusal(signature, f"{name} cannot be fed")
            if info.type not in allowed:
                raise self._refusal(signature, f"{name} is of the type {info.type}")
            if info.shape is not None and len(info.shape) != 2:
                raise self._refusal(signature, f"{name} has {len(info.shape)} axes instead of 2")
            self._declared[name] = ours, np.dtype(info.type)
        self.names = frozenset(ours for ours, _ in self._declared.values())
        if "input_ids" not in self.names:
            raise self._refusal(signature, "it has no input_ids")
        self.rows, self.length = (self._fixed(signature, axis) for axis in (0, 1))
        masks = {name for name, (ours, _) in self._declared.items() if ours == "attention_mask"}
        self.pads = pads and bool(masks - signature.unused) and pad_token_id is not None
        if self.length is not None and pad_token_id is None:
            raise self._refusal(
                signature,
                f"each row must have {self.length} tokens, and the repository names no token to "
                "pad with",
            )

    def _fixed(self, signature: Signature, axis: int) -> int | None:
        """The size of an axis that an input fixes, which is that of all inputs."""
        sizes = signature.fixed(axis)
        if len(sizes) > 1:
            listed = ", ".join(map(str, sorted(sizes)))
            raise self._refusal(signature, f"they fix {listed} as the size of axis {axis}")
        return sizes.pop() if sizes else None

    def plan(self, lengths: Sequence[int], token_budget: int) -> list[list[int]]:
        """Group rows into batches; see `batching.plan`.

        Args:
            lengths: Tokens of each row.
            token_budget: Most tokens a batch may hold, padding counted.

        Returns:
            Batches of indices into ``lengths``.
        """
        if self.length is not None:
            lengths = [self.length] * len(lengths)
        rows = self.rows if self._together else 1
        return plan(lengths, token_budget, rows=rows, equal=not self.pads)

    def collate(self, rows: Sequence[Row]) -> dict[str, np.ndarray]:
        """The inputs of one batch, padded to the longest row, or to the fixed length.

        Args:
            rows: At least one row; of one length where the graph does not pad.

        Returns:
            Name → array of shape (rows, tokens). A declared input that a row lacks
            (``token_type_ids`` of a single text) is zeros in it. Where the graph has a fixed number
            of rows, the last one is repeated.

        Raises:
            BundleError: A row is longer than the graph's fixed length.
        """
        if self.rows is not None:
            rows = [*rows, *[rows[-1]] * (self.rows - len(rows))]
        lengths = [len(row) for row in rows]
        width = max(lengths)
        if self.length is not None:
            if width > self.length:
                raise BundleError(
                    f"A row has {width} tokens; {self._source} takes {self.length}.",
                    hint="Export the model with a free length, or set a smaller model_max_length.",
                )
            width = self.length
        shape = len(rows), width
        even = min(lengths) == width
        feeds: dict[str, np.ndarray] = {}
        for name, (ours, dtype) in self._declared.items():
            if ours == "attention_mask" and even:
                feeds[name] = np.ones(shape, dtype)
            elif ours == "attention_mask":
                feeds[name] = (np.arange(width) < np.array(lengths)[:, None]).astype(dtype)
            elif ours == "position_ids":
                positions = np.arange(self._first, self._first + width, dtype=dtype)
                feeds[name] = np.tile(positions, (len(rows), 1))
            else:
                padding = self._pad or 0 if ours == "input_ids" else 0
                array = feeds[name] = np.full(shape, padding, dtype)
                for index, (row, length) in enumerate(zip(rows, lengths, strict=True)):
                    if ours in row.features:
                        array[index, :length] = row.features[ours]
        return feeds

    def _refusal(self, signature: Signature, reason: str) -> BundleError:
        return BundleError(
            f"The graph {self._source} needs the inputs {', '.join(sorted(signature.inputs))}; "
            f"{reason}.",
            hint="Export it with token ids and a mask as its inputs, as `nlplug export` does for "
            "BERT. A model that needs other inputs cannot be used.",
        )
