"""Entity-level scores: an entity is right if its position and its type are exactly right.

The numbers equal those of conlleval and of seqeval's default mode.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from nlplug.data.tags import Span
from nlplug.evaluation.metrics import averages


def count_spans(found: Collection[Span], wanted: Collection[Span]) -> tuple[int, int, int]:
    """Number of entities that are right, that were found, and that are in the truth."""
    return len(set(found) & set(wanted)), len(found), len(wanted)


def f1_shares(counts: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """Each row's contribution to micro F1, shape (rows,); their mean is F1.

    F1 is a ratio of sums, ``2 hits / (found + wanted)``. The contribution of a row is the
    first-order approximation ``F1 + (2 hits_i - F1 size_i) / mean size`` (Fieller's linearization).
    So resampled means vary as F1 does, and a row without entities counts as an average row.

    Args:
        counts: The result of `count_spans` for each row.
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
    """Precision, recall and F1 by entity type, and their averages.

    Args:
        pairs: For each row the entities that were found, and those of the truth.

    Returns:
        See `nlplug.evaluation.metrics.averages`.
    """
    hits: Counter[str] = Counter()
    named: Counter[str] = Counter()
    true: Counter[str] = Counter()
    for found, wanted in pairs:
        named.update(label for _, _, label in found)
        true.update(label for _, _, label in wanted)
        hits.update(label for _, _, label in set(found) & set(wanted))
    types = sorted(named.keys() | true.keys())
    found_hits, found_named, found_true = (
        np.array([counter[name] for name in types]) for counter in (hits, named, true)
    )
    return averages(found_hits, found_named, found_true, types)


def error_kinds(
    pairs: Iterable[tuple[Collection[Span], Collection[Span]]],
) -> dict[str, int]:
    """The number of wrong entities by the kind of error.

    Each true entity that is not found exactly counts once: as ``boundary`` if an answer with its
    type overlaps it, else as ``type`` if an answer has its boundaries, else as ``both`` if any
    answer overlaps it, else as ``missed``. An answer that overlaps no true entity is ``invented``.

    Args:
        pairs: For each row the entities that were found, and those of the truth.
    """
    counts = dict.fromkeys(("boundary", "type", "both", "missed", "invented"), 0)
    for found, wanted in pairs:
        for span in set(wanted) - set(found):
            near = [other for other in found if _overlap(span, other)]
            if any(other[2] == span[2] for other in near):
                counts["boundary"] += 1
            elif any(other[:2] == span[:2] for other in near):
                counts["type"] += 1
            else:
                counts["both" if near else "missed"] += 1
        counts["invented"] += sum(
            not any(_overlap(span, other) for other in wanted) for span in set(found)
        )
    return counts


def _overlap(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]
