"""Looking at a data set: search, filter, balance, repeated rows, and the most uncertain texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nlplug.data.corrections import Corrections
from nlplug.data.rows import DataRow
from nlplug.workspace.datasets import DataSet, Part, digest

if TYPE_CHECKING:
    from nlplug.pipelines import Pipeline

_MOST_RATED = 500
"""Unlabelled texts that are rated in one call."""


@dataclass(frozen=True)
class View:
    """Rows of one page of a table, and facts about the whole part.

    Attributes:
        rows: Each with ``place`` (from 0), ``digest``, ``fields`` (the columns of the input),
            ``value``, ``labels`` and ``repeated`` (whether its text occurs again).
        found: Number of rows that fit the search and the filter.
        total: Number of all rows.
        labels: Number of rows by label, most frequent first.
        repeated: Number of rows whose text occurs more than once.
    """

    rows: list[dict[str, Any]]
    found: int
    total: int
    labels: dict[str, int]
    repeated: int


def view(
    data: DataSet,
    corrections: Corrections,
    part: Part = "rows",
    *,
    search: str = "",
    label: str = "",
    repeated: bool = False,
    start: int = 0,
    count: int = 50,
) -> View:
    """One page of the rows of a data set.

    Args:
        data: The data set.
        corrections: How its rows are read.
        part: The part.
        search: Only rows with this text in a column of the input, in any case.
        label: Only rows with this label.
        repeated: Only rows whose text occurs more than once.
        start: Number of rows to skip.
        count: Number of rows to return.
    """
    rows = data.rows(part)
    texts = [_key(row, corrections) for row in rows]
    labels = [labels_of(row, corrections) for row in rows]
    times = Counter(texts)
    wanted = search.casefold()
    places = [
        place
        for place, text in enumerate(texts)
        if (not wanted or wanted in text)
        and (not label or label in labels[place])
        and (not repeated or times[text] > 1)
    ]
    return View(
        [
            shown(rows[place], place, corrections) | {"repeated": times[texts[place]] > 1}
            for place in places[start : start + count]
        ],
        len(places),
        len(rows),
        dict(Counter(name for names in labels for name in set(names)).most_common()),
        sum(times[text] > 1 for text in texts),
    )


def shown(row: DataRow, place: int, corrections: Corrections) -> dict[str, Any]:
    """One row for a page; see `View`."""
    return {
        "place": place,
        "digest": digest(row.values),
        "fields": {name: row.values.get(name) for name in corrections.fields},
        "value": corrections.value(row.values),
        "labels": labels_of(row, corrections),
    }


def labels_of(row: DataRow, corrections: Corrections) -> list[str]:
    """The labels of a row."""
    value = corrections.value(row.values)
    if isinstance(value, str):
        return [value] if corrections.kind == "label" else []
    if not isinstance(value, list):
        return []
    return [str(one["label"] if isinstance(one, dict) else one) for one in value]


def most_uncertain(
    data: DataSet, corrections: Corrections, pipeline: Pipeline, *, count: int = 20
) -> list[dict[str, Any]]:
    """The unlabelled rows whose answers are the most uncertain, most uncertain first.

    At most the first 500 rows are rated. Each row is as in `View.rows`, with the answer's proposal
    as ``value`` and ``uncertainty`` from 0 to 1. This is least-confidence sampling (Lewis and Gale,
    1994).

    Raises:
        NlplugError: The model cannot answer the rows.
    """
    rows = data.rows("unlabelled")[:_MOST_RATED]
    answers = pipeline.answers([corrections.item(row.values) for row in rows])
    rated = []
    for place, (row, answer) in enumerate(zip(rows, answers, strict=True)):
        rated.append(
            shown(row, place, corrections)
            | {
                "value": corrections.suggestion(answer),
                "uncertainty": round(corrections.uncertainty(answer), 4),
            }
        )
    return sorted(rated, key=lambda row: -row["uncertainty"])[:count]


def known_labels(data: DataSet, corrections: Corrections) -> list[str]:
    """All labels of a data set, sorted."""
    return sorted({label for row in data.rows() for label in labels_of(row, corrections)})


def _key(row: DataRow, corrections: Corrections) -> str:
    parts: Sequence[Any] = [row.values.get(name, "") for name in corrections.fields]
    return "\n".join(map(str, parts)).casefold()
