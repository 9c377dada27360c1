"""Putting rows of different lengths into small padded batches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from nlplug.runtime.model import Row
from nlplug.task import TaskInput

Item = TypeVar("Item", bound=TaskInput)


def chunks(
    inputs: Iterable[Item], first: int, largest: int, *, characters: float = math.inf
) -> Iterator[list[Item]]:
    """Chunks of a stream that grow from small to large, so that the first answers come early.

    Args:
        inputs: Read no further than the chunks that were asked for.
        first: Inputs of the first chunk; each later one may have four times as many.
        largest: Inputs of a chunk at most.
        characters: A chunk that has so many is cut short.
    """
    size = first
    chunk: list[Item] = []
    held = 0
    for item in inputs:
        chunk.append(item)
        held += sum(len(value) for value in vars(item).values() if isinstance(value, str))
        if len(chunk) >= size or held >= characters:
            yield chunk
            chunk, held = [], 0
            size = min(size * 4, largest)
    if chunk:
        yield chunk


def plan(lengths: Sequence[int], token_budget: int) -> list[list[int]]:
    """Group rows into batches of at most ``token_budget`` tokens, padding counted.

    Rows are taken longest first: neighbours have nearly the same length, so little is padding,
    and the short batches at the end even out the load of the workers.

    Args:
        lengths: Tokens of each row.
        token_budget: Most tokens a batch may hold; a row that alone exceeds it goes alone.

    Returns:
        Batches of indices into ``lengths``.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    batches: list[list[int]] = []
    width = 0
    for index in order:
        if batches and width * (len(batches[-1]) + 1) <= token_budget:
            batches[-1].append(index)
        else:
            batches.append([index])
            width = max(1, lengths[index])
    return batches


def collate(
    rows: Sequence[Row], names: frozenset[str], *, pad_token_id: int = 0
) -> dict[str, np.ndarray]:
    """Pad rows to the longest and stack them.

    Args:
        rows: At least one row.
        names: The feeds that the graph declares; others are left out.
        pad_token_id: What ``input_ids`` are padded with; everything else is padded with 0.

    Returns:
        Name → int64 array of shape (rows, longest). ``attention_mask`` is made from the lengths;
        a declared feed that the rows lack (``token_type_ids`` of a single text) is all zeros.
    """
    lengths = [len(row) for row in rows]
    shape = (len(rows), max(lengths))
    feeds: dict[str, np.ndarray] = {}
    for name in names:
        if name == "attention_mask":
            feeds[name] = (np.arange(shape[1]) < np.array(lengths)[:, None]).astype(np.int64)
            continue
        if name not in rows[0].features:
            feeds[name] = np.zeros(shape, dtype=np.int64)
            continue
        padding = pad_token_id if name == "input_ids" else 0
        array = np.full(shape, padding, dtype=np.int64)
        for index, (row, length) in enumerate(zip(rows, lengths, strict=True)):
            array[index, :length] = row.features[name]
        feeds[name] = array
    return feeds
