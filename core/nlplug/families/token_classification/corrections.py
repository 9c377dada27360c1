"""Corrections of entities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

from nlplug.data.annotated import SPAN_COLUMNS, TAG_COLUMNS, annotated, tagged_tokens, tokens_column
from nlplug.data.corrections import Corrections, Kind, span_of, text_value
from nlplug.data.rows import DataRow
from nlplug.data.tags import label_single_tokens, type_of
from nlplug.errors import DataError, InputError
from nlplug.families.token_classification.options import label_of


class SpanCorrections(Corrections):
    """Spans with a label; an empty list says that the text has no entity."""

    kind: ClassVar[Kind] = "spans"
    target: ClassVar[tuple[str, ...]] = tuple(dict.fromkeys((*SPAN_COLUMNS, *TAG_COLUMNS)))

    def names(self, labels: Sequence[str]) -> list[str]:
        """The types of entities, without the prefixes of tags."""
        return super().names([kind for kind in map(type_of, labels) if kind])

    def suggestion(self, answer: Any) -> Any:
        return [
            {"start": span["start"], "end": span["end"], "label": label_of(span)} for span in answer
        ]

    def row(self, item: Mapping[str, Any], value: Any) -> dict[str, Any]:
        text = text_value(item, "text")
        if not isinstance(value, list):
            raise InputError(f"{value!r} is not a list of spans.", hint="[] means no entity.")
        spans = [(*span_of(span, text), span.get("label")) for span in value]
        for _, _, label in spans:
            if not isinstance(label, str) or not label.strip():
                raise InputError(f"{label!r} is not a label.", hint="Choose or type a label.")
        spans.sort()
        for before, after in pairwise(spans):
            if after[0] < before[1]:
                raise InputError(
                    f"The spans {text[before[0] : before[1]]!r} and {text[after[0] : after[1]]!r} "
                    "overlap.",
                    hint="A character has at most one label; remove one of the spans.",
                )
        return _row(text, spans)

    def value(self, row: Mapping[str, Any]) -> Any:
        return row.get("entities", [])

    def item(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {"text": text_value(row, "text")}

    def rows(self, rows: Sequence[DataRow]) -> list[dict[str, Any]]:
        tagged = [row for row in rows if tokens_column(row)]
        tags = {tag for row in tagged for tag in tagged_tokens(row)[1]}
        if tagged and label_single_tokens(tags):
            raise DataError(
                f"{tagged[0].where}: the tags label single tokens, such as parts of speech.",
                hint="A workspace stores entities as spans. Train on this file with nlplug train.",
            )
        return [_row(found.text, found.spans) for found in map(annotated, rows)]

    def uncertainty(self, answer: Any) -> float:
        return 1 - min((float(span["score"]) for span in answer), default=0.5)


def _row(text: str, spans: Sequence[tuple[int, int, str]]) -> dict[str, Any]:
    marked = [{"start": start, "end": end, "label": label} for start, end, label in spans]
    return {"text": text, "entities": marked}
