"""Putting rows of different lengths into small padded batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nlplug.task import Row


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
