"""Putting rows of different lengths into small padded batches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from nlplug.task import TaskInput

Item = TypeVar("Item", bound=TaskInput)


def length(item: TaskInput) -> int:
    """Number of characters of the texts in an input, also of those in lists."""
    return sum(map(_characters, vars(item).values()))


def _characters(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return 0
    return sum(map(_characters, value))


def chunks(
    inputs: Iterable[Item], first: int, largest: int, *, characters: float = math.inf
) -> Iterator[list[Item]]:
    """Split a stream into chunks of growing size, so that the first answers come early.

    Args:
        inputs: The stream; it is read only as far as chunks are requested.
        first: Size of the first chunk; each later one may have four times as many inputs.
        largest: Largest size of a chunk.
        characters: A chunk ends early when its texts have this many characters.
    """
    size = first
    chunk: list[Item] = []
    held = 0
    for item in inputs:
        chunk.append(item)
        held += length(item)
        if len(chunk) >= size or held >= characters:
            yield chunk
            chunk, held = [], 0
            size = min(size * 4, largest)
    if chunk:
        yield chunk


def plan(
    lengths: Sequence[int], token_budget: int, *, rows: int | None = None, equal: bool = False
) -> list[list[int]]:
    """Group rows into batches of at most ``token_budget`` tokens, padding counted.

    Rows are taken longest first: neighbors have nearly the same length, so little is padding,
    and the short batches at the end even out the load of the workers.

    Args:
        lengths: Tokens of each row.
        token_budget: Maximum number of tokens per batch; a longer row is a batch by itself.
        rows: Most rows in a batch; None for any number.
        equal: Whether all rows of a batch must have the same length.

    Returns:
        Batches of indices into ``lengths``.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    batches: list[list[int]] = []
    width = room = 0
    for index in order:
        if batches and len(batches[-1]) < room and not (equal and lengths[index] < width):
            batches[-1].append(index)
        else:
            batches.append([index])
            width = max(1, lengths[index])
            room = min(token_budget // width, rows or len(lengths))
    return batches
