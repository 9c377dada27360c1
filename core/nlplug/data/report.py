"""The report of a reader: how a file was read, as one line."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nlplug.data.labels import label_text
from nlplug.data.rows import first_column

_MOST_LABELS = 1000
_SHOWN = 10
_CUT = 40
_LABEL_COLUMNS = ("label", "labels", "ner_tags", "tags", "entities", "spans")


@dataclass(frozen=True, slots=True)
class SkippedRow:
    """A row that was left out.

    Attributes:
        source: The file.
        line: 1-based line of the file.
        reason: Why, as one sentence.
        values: The row, or what could be read of it.
    """

    source: Path
    line: int
    reason: str
    values: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """As a row of a data file."""
        return {
            "source": str(self.source),
            "line": self.line,
            "reason": self.reason,
            "row": self.values,
        }


@dataclass(slots=True)
class ReadReport:
    """What was understood of a file so far; complete once all rows were read.

    Attributes:
        source: The file.
        format: The format with its details, such as ``CSV with ';'``.
        unit: What a row is called: ``rows`` or ``sentences``.
        rows: Rows that were given out.
        columns: Names of the columns of the first row.
        used: Field of the task → the column that fills it.
        labels: How often each label occurs, up to 1,000 different ones.
        first: Beginning of the first token, for files of tokens.
        skipped: Reason → number of rows that were left out for it.
        notes: What was noticed besides, each as a phrase.
    """

    source: Path
    format: str = ""
    unit: str = "rows"
    rows: int = 0
    columns: tuple[str, ...] = ()
    used: dict[str, str] = field(default_factory=dict)
    labels: Counter[str] = field(default_factory=Counter)
    first: str = ""
    skipped: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def add(self, values: dict[str, Any], label_column: str | None) -> None:
        """Count a row that was given out."""
        if not self.rows:
            self.columns = tuple(map(str, values))
            tokens = values.get("tokens")
            if isinstance(tokens, list) and tokens:
                self.first = str(tokens[0])
        self.rows += 1
        column = label_column or first_column(_LABEL_COLUMNS, values)
        if column is not None and len(self.labels) <= _MOST_LABELS:
            self.labels.update(_labels(values.get(column)))

    def skip(self, reason: str) -> None:
        """Count a row that was left out."""
        self.skipped[reason[:120].rstrip(".")] += 1

    def note(self, phrase: str) -> None:
        """Add a phrase about the file, once."""
        if phrase not in self.notes:
            self.notes.append(phrase)

    def __str__(self) -> str:
        """One line: ``a.csv: 20 rows, CSV with ';', cp1252; columns …; labels …; 1 skipped …``."""
        parts = [f"{self.source}: {self.rows:,} {self.unit[: -1 if self.rows == 1 else None]}"]
        if self.format:
            parts[0] += f", {self.format}"
        if self.used:
            parts.append(", ".join(f"{name} from column {at!r}" for name, at in self.used.items()))
        elif self.columns and not self.first:
            parts.append(f"columns {_listed(self.columns)}")
        if self.labels:
            names = sorted(self.labels)
            many = f"more than {_MOST_LABELS:,}" if len(names) > _MOST_LABELS else f"{len(names):,}"
            kind = "label" if not self.first else "tag"
            parts.append(f"{many} {kind}{'s' * (len(names) != 1)}: {_listed(names, quoted=False)}")
        if self.first:
            parts.append(f"first token {self.first[:_CUT]!r}")
        parts += self.notes
        if self.skipped:
            reasons = ", ".join(
                f"{reason} ({count:,})" for reason, count in self.skipped.most_common(3)
            )
            parts.append(f"{self.skipped.total():,} skipped: {reasons}")
        return "; ".join(parts) + "."


def _labels(value: Any) -> Iterable[str]:
    """The labels in a value of a row, as texts: names, ids, tags, or the labels of spans."""
    if isinstance(value, list):
        for item in value:
            if isinstance(item, dict):
                yield from _labels(
                    next((item[n] for n in ("label", "entity_group", "type") if n in item), None)
                )
            elif isinstance(item, list):
                yield from _labels(item[-1] if item else None)
            else:
                yield from _labels(item)
    elif isinstance(value, float) and math.isfinite(value):
        yield label_text(value) or str(value)
    elif name := label_text(value):
        yield name[:_CUT]


def _listed(names: Sequence[str], *, quoted: bool = True) -> str:
    shown = [repr(name) if quoted else name for name in names[:_SHOWN]]
    return ", ".join(shown) + (", …" if len(names) > _SHOWN else "")
