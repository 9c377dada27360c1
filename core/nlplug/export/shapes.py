"""The float graph against PyTorch on batches of several shapes.

The gate's rows are batched by length, as in serving. A graph that was traced with a fixed size, or
that treats padding wrongly, can be right for these and wrong for others. So rows are compared alone
and in small batches, of few tokens up to the longest, with and without padding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nlplug.export.parity import FP32_TOLERANCE
from nlplug.runtime.feeds import GraphFeeds

if TYPE_CHECKING:
    from nlplug.runtime.executor import Executor
    from nlplug.runtime.model import Row, TaskModel

_BATCHES = (1, 2, 3, 5, 8)
_LONGEST = 256


def difference_by_shape(
    model: TaskModel[Any, Any], rows: Sequence[Row], reference: Executor, executor: Executor
) -> str | None:
    """The first shape for which the outputs differ, in words; None if there is none.

    Args:
        model: The task, bound to the model.
        rows: Encoded rows of the gate.
        reference: The PyTorch model.
        executor: The float32 graph.
    """
    feeds = GraphFeeds(executor.signature, pad_token_id=model.pad_token_id)
    for batch in _batches(rows):
        given = feeds.collate(batch)
        expected, found = reference.run(given), executor.run(given)
        lengths = [len(row) for row in batch]
        for name, value in expected.items():
            worst = _difference(value, found[name], lengths)
            if not worst <= FP32_TOLERANCE:
                padding = "without padding" if len(set(lengths)) == 1 else "with padding"
                return (
                    f"for {len(batch)} rows of up to {max(lengths)} tokens {padding}, by "
                    f"{worst:.1e} of the largest output"
                )
    return None


def _batches(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Batches of equal lengths by repetition, and of rows from the shortest to the longest."""
    ordered = sorted((row for row in rows if len(row) <= _LONGEST), key=len)
    if not ordered:
        return
    for size in _BATCHES:
        places = np.linspace(0, len(ordered) - 1, size).astype(np.int64)
        yield [ordered[place] for place in places]
    for row in (ordered[0], ordered[len(ordered) // 2], ordered[-1]):
        yield [row] * 3


def _difference(expected: np.ndarray, given: np.ndarray, lengths: Sequence[int]) -> float:
    """The largest difference, relative to the largest number; padding is left out."""
    largest = 1.0
    worst = 0.0
    for row, length in enumerate(lengths):
        one, two = expected[row], given[row]
        if one.ndim and one.shape[0] == max(lengths):
            one, two = one[:length], two[:length]
        largest = max(largest, float(np.abs(one).max()))
        worst = float(np.maximum(worst, np.abs(one - two).max()))
    return worst / largest
