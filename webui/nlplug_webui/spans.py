"""Spans of a text: the parts of the text to show, their marks, and the table of all spans.

Entities are shown from the beginning of the text. Of a text that answers questions, each passage
is shown that has one of the best answers; blank lines separate passages. The number of characters,
marks and rows on a page is bounded.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from nlplug_webui.label_names import bare

MAX_CHARACTERS = 20_000
EXCERPT = 3_000
"""Characters around an answer."""
MAX_PASSAGES = 20
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
_BETWEEN = re.compile(r"\n[^\S\n]*\n\s*")


@dataclass(frozen=True)
class Marked:
    """Parts of a text with their spans marked.

    Attributes:
        segments: Pieces of the text, each with the name of its mark or None.
        colors: Colours by name.
        marks: For each row of the table the index of the mark that shows it, in the order of the
            text; a span that overlaps a better one is shown by the mark of that one. None: not
            shown.
        parts: Start and end of each part of the text, in characters.
        total: Number of characters of the whole text.
    """

    segments: list[tuple[str, str | None]]
    colors: dict[str, str]
    marks: list[int | None]
    parts: list[tuple[int, int]]
    total: int

    @property
    def shown(self) -> int:
        """Number of characters of the parts."""
        return sum(end - start for start, end in self.parts)


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
        """The parts of the text to show, with marks; of overlapping spans the first is marked.

        Args:
            labels: The labels of the model, so that each keeps its colour in all texts.
        """
        found: list[tuple[int, int, int]] = []
        over: dict[int, list[int]] = defaultdict(list)
        for place, row in self._order():
            start, end = int(row["start"]), int(row["end"])
            if not 0 <= start < end <= len(self.text):
                continue
            # Entities are in the order of the text, so comparing with the last one is enough.
            before = found if self.answers else found[-1:]
            over[place] = [of for first, last, of in before if first < end and start < last]
            if not over[place]:
                found.append((start, end, place))
        parts = self._parts([span[:2] for span in found])
        shown = [
            span
            for span in sorted(found)
            if any(first <= span[0] and span[1] <= last for first, last in parts)
        ]
        if len(shown) > MAX_MARKS:
            shown = shown[:MAX_MARKS]
            last = shown[-1][1]
            parts = [(start, min(end, last)) for start, end in parts if start < last]
        numbers = {place: number for number, (*_, place) in enumerate(shown)}
        named = [(*span, group(self.rows[span[2] - 1]) or str(span[2])) for span in shown]
        return Marked(
            segments=_segments(self.text, [(a, b, name) for a, b, _, name in named], parts),
            colors=_colors([name for *_, name in named], labels),
            marks=[
                numbers.get(place, next((numbers[of] for of in over[place] if of in numbers), None))
                for place in range(1, min(len(self.rows), MAX_ROWS) + 1)
            ],
            parts=parts,
            total=len(self.text),
        )

    def _order(self) -> list[tuple[int, Mapping[str, Any]]]:
        """The rows with their numbers: answers by rank, other spans by position."""
        placed = list(enumerate(self.rows, 1))
        if self.answers:
            return placed[:MAX_ROWS]
        return sorted(placed, key=lambda each: (int(each[1]["start"]), -int(each[1]["end"])))

    @cached_property
    def _passages(self) -> list[tuple[int, int]]:
        """Start and end of each passage of the text."""
        breaks = [match.span() for match in _BETWEEN.finditer(self.text.rstrip())]
        starts = [0, *(end for _, end in breaks)]
        return list(zip(starts, [*(start for start, _ in breaks), len(self.text)], strict=True))

    def _passage(self, start: int) -> int:
        """The number of the passage at this position, from 1."""
        return bisect(self._passages, start, key=lambda passage: passage[0])

    def _parts(self, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """The parts of the text to show around spans, the most important span first."""
        size = EXCERPT if self.answers else MAX_CHARACTERS
        if len(self.text) <= size:
            return [(0, len(self.text))]
        first = spans[0] if spans else (0, 0)
        if not self.answers or len(spans) < 2:
            return [self._window(*first, size)]
        windows = []
        for start, end in spans[:MAX_PASSAGES]:
            low, high = self._window(start, end, size)
            own, behind = self._passages[self._passage(start) - 1]
            windows.append((max(low, own), max(end, min(high, behind))))
        parts = [min(windows)]
        for low, high in sorted(windows)[1:]:
            if low <= parts[-1][1]:
                parts[-1] = parts[-1][0], max(high, parts[-1][1])
            else:
                parts.append((low, high))
        return parts

    def _window(self, start: int, end: int, size: int) -> tuple[int, int]:
        """The text around a span, cut between words if possible."""
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
            several = len(self._passages) > 1
            passage = self._passage(start) if row["answer"] else None
            return {
                "rank": place,
                "answer": row["answer"],
                **({"passage": passage} if several else {}),
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
    text: str, spans: Sequence[tuple[int, int, str]], parts: Sequence[tuple[int, int]]
) -> list[tuple[str, str | None]]:
    found: list[tuple[str, str | None]] = []
    waiting = ""
    for number, (first, last) in enumerate(parts):
        waiting += ("\n\n" if number else "") + (_GAP if first else "")
        at = first
        for start, end, name in spans:
            if first <= start and end <= last:
                found += [(waiting + text[at:start], None), (text[start:end], name)]
                at, waiting = end, ""
        waiting += text[at:last] + (f" {_GAP.strip()}" if last < len(text) else "")
    return [(part, name) for part, name in [*found, (waiting, None)] if part]


def _colors(names: Sequence[str], labels: Sequence[str]) -> dict[str, str]:
    order = list(dict.fromkeys(bare(name) for name in (*labels, *names) if name != "O"))
    return {name: COLORS[order.index(bare(name)) % len(COLORS)] for name in dict.fromkeys(names)}
