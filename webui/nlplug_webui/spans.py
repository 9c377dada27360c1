"""Spans of a text: the part of the text to show, its marks, and the table of all spans.

Entities are shown from the beginning of the text, answers to a question in the text around the
best one. The number of characters, marks and rows on a page is bounded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_CHARACTERS = 20_000
EXCERPT = 3_000
MAX_MARKS = 1_000
MAX_ROWS = 500

# Dark enough for the white text of a label; the span itself has a lighter background.
COLORS = (
    "#0d766c",
    "#9a5b13",
    "#4453b8",
    "#b0365a",
    "#6b7213",
    "#7a3fa8",
    "#1a6fa0",
    "#7d5138",
)
_GAP = "… "


@dataclass(frozen=True)
class Marked:
    """A part of a text with its spans marked.

    Attributes:
        segments: Pieces of the text, each with the name of its mark or None.
        colors: Colours by name.
        start, end: The part of the text, in characters.
        total: Number of characters of the whole text.
    """

    segments: list[tuple[str, str | None]]
    colors: dict[str, str]
    start: int
    end: int
    total: int

    @property
    def whole(self) -> bool:
        """Whether the part is the whole text."""
        return self.end - self.start == self.total


@dataclass(frozen=True)
class Spans:
    """The spans of an answer.

    Attributes:
        text: The text to which the positions refer.
        rows: The elements of the answer: entities in their order, or answers, best first.
        answers: Whether the rows are answers to a question, which have ranks and no types.
    """

    text: str
    rows: Sequence[Mapping[str, Any]]
    answers: bool = field(default=False)

    def table(self) -> list[dict[str, Any]]:
        """One row per span: first the fields of interest, then all others."""
        return [self._row(place, row) for place, row in enumerate(self.rows[:MAX_ROWS], 1)]

    def every(self) -> list[dict[str, Any]]:
        """As `table`, for all spans."""
        return [self._row(place, row) for place, row in enumerate(self.rows, 1)]

    def mark(self, labels: Sequence[str] = ()) -> Marked:
        """The part of the text to show, with marks; of overlapping spans the first one is marked.

        Args:
            labels: The labels of the model, so that each keeps its colour in all texts.
        """
        found: list[tuple[int, int, str]] = []
        taken: list[tuple[int, int]] = []
        for place, row in self._order():
            start, end = int(row["start"]), int(row["end"])
            if not 0 <= start < end <= len(self.text):
                continue
            # Entities are in the order of the text, so comparing with the last one is enough.
            before = taken if self.answers else taken[-1:]
            if all(end <= first or start >= last for first, last in before):
                taken.append((start, end))
                found.append((start, end, group(row) or str(place)))
        focus = found[0][:2] if found else (0, 0)
        first, last = self._window(*focus)
        shown = sorted(span for span in found if span[0] >= first and span[1] <= last)
        if len(shown) > MAX_MARKS:
            shown = shown[:MAX_MARKS]
            last = shown[-1][1]
        return Marked(
            segments=_segments(self.text, shown, first, last),
            colors=_colors([name for *_, name in shown], labels),
            start=first,
            end=last,
            total=len(self.text),
        )

    def _order(self) -> list[tuple[int, Mapping[str, Any]]]:
        """The rows with their numbers: answers by rank, other spans by position."""
        placed = list(enumerate(self.rows, 1))
        if self.answers:
            return placed[:MAX_ROWS]
        return sorted(placed, key=lambda each: (int(each[1]["start"]), -int(each[1]["end"])))

    def _window(self, start: int, end: int) -> tuple[int, int]:
        """The part of the text around a span to show, cut between words if possible."""
        size = EXCERPT if self.answers else MAX_CHARACTERS
        if len(self.text) <= size:
            return 0, len(self.text)
        first = 0 if end <= size // 2 else max(0, start - size // 3)
        last = min(len(self.text), max(first + size, end))
        if first:
            gap = self.text.find(" ", first, first + 80)
            first = gap + 1 if 0 <= gap < start else first
        if last < len(self.text):
            gap = self.text.rfind(" ", last - 80, last)
            last = gap if gap >= end else last
        return first, last

    def _row(self, place: int, row: Mapping[str, Any]) -> dict[str, Any]:
        start, end = int(row["start"]), int(row["end"])
        text = self.text[start:end]
        score = row.get("score")
        if self.answers:
            return {
                "rank": place,
                "answer": row["answer"],
                "start": start,
                "end": end,
                "score": score,
            }
        fields = {"type": group(row), "text": text, "start": start, "end": end, "score": score}
        known = {*fields, "entity", "entity_group", "label", "word"}
        return fields | {name: value for name, value in row.items() if name not in known}


def group(row: Mapping[str, Any]) -> str:
    """The type of a span, or an empty text."""
    return str(row.get("entity_group") or row.get("entity") or row.get("label") or "")


def _segments(
    text: str, spans: Sequence[tuple[int, int, str]], first: int, last: int
) -> list[tuple[str, str | None]]:
    parts: list[tuple[str, str | None]] = [(_GAP, None)] if first else []
    at = first
    for start, end, name in spans:
        if start > at:
            parts.append((text[at:start], None))
        parts.append((text[start:end], name))
        at = end
    tail = text[at:last] + (f" {_GAP.strip()}" if last < len(text) else "")
    return [*parts, (tail, None)] if tail else parts


def _colors(names: Sequence[str], labels: Sequence[str]) -> dict[str, str]:
    order = list(dict.fromkeys(_bare(name) for name in (*labels, *names) if name != "O"))
    return {name: COLORS[order.index(_bare(name)) % len(COLORS)] for name in dict.fromkeys(names)}


def _bare(label: str) -> str:
    """A label without the prefix of its tagging scheme: ``B-PER`` and ``I-PER`` are ``PER``."""
    return label[2:] if label[:2] in {"B-", "I-", "E-", "S-", "L-", "U-"} else label
