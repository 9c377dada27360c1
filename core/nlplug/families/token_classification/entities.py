"""Entity-level scores: an entity counts where its place and its type are exactly right.

The numbers are those of seqeval's default mode, and so of conlleval.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from nlplug.data.tags import Span


def count_spans(found: Collection[Span], wanted: Collection[Span]) -> tuple[int, int, int]:
    """Entities that are exactly right, those found, those wanted."""
    return len(set(found) & set(wanted)), len(found), len(wanted)


def f1_shares(counts: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """Each row's contribution to micro F1, shape (rows,); their mean is F1.

    F1 is a ratio of sums, ``2 hits / (found + wanted)``, of which a row's share is taken to first
    order: ``F1 + (2 hits_i - F1 size_i) / mean size``. So resampled means vary as F1 itself does
    (Fieller's linearization), and a row without entities counts as the average row.

    Args:
        counts: For each row what `count_spans` says.
    """
    if not counts:
        return np.zeros(0)
    hits, found, wanted = np.asarray(counts, dtype=np.float64).T
    sizes = found + wanted
    if not sizes.any():
        return np.zeros(len(counts))
    f1 = 2 * hits.sum() / sizes.sum()
    shares: np.ndarray = f1 + (2 * hits - f1 * sizes) / sizes.mean()
    return shares


def entity_scores(pairs: Iterable[tuple[Collection[Span], Collection[Span]]]) -> dict[str, Any]:
    """Precision, recall and F1 by type, and their averages; 0 where one is undefined.

    Args:
        pairs: For each row the entities found and those wanted.

    Returns:
        ``labels`` by type; ``micro``, which counts every entity alike; ``macro``, the plain mean
        over the types; ``weighted``, the mean weighted by support.
    """
    hits: Counter[str] = Counter()
    named: Counter[str] = Counter()
    true: Counter[str] = Counter()
    for found, wanted in pairs:
        named.update(label for _, _, label in found)
        true.update(label for _, _, label in wanted)
        hits.update(label for _, _, label in set(found) & set(wanted))
    types = sorted(named.keys() | true.keys())
    labels = {name: _ratios(hits[name], named[name], true[name]) for name in types}
    micro = _ratios(hits.total(), named.total(), true.total())
    columns = ("precision", "recall", "f1")
    weights = [true[name] / max(1, true.total()) for name in types]
    return {
        "labels": {name: {**scores, "support": true[name]} for name, scores in labels.items()},
        "micro": micro,
        "macro": {
            column: sum(labels[name][column] for name in types) / max(1, len(types))
            for column in columns
        },
        "weighted": {
            column: sum(labels[name][column] * w for name, w in zip(types, weights, strict=True))
            for column in columns
        },
    }


def _ratios(hits: int, named: int, true: int) -> dict[str, float]:
    return {
        "precision": hits / named if named else 0.0,
        "recall": hits / true if true else 0.0,
        "f1": 2 * hits / (named + true) if named + true else 0.0,
    }
