"""Corrections of answers to questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from nlplug.data.corrections import Corrections, Kind, span_of, text_value
from nlplug.data.rows import DataRow
from nlplug.data.squad import answer_spans, text_of


class AnswerCorrections(Corrections):
    """A span of the context, or no answer."""

    kind: ClassVar[Kind] = "answer"
    marked: ClassVar[str] = "context"
    fields: ClassVar[tuple[str, ...]] = ("question", "context")
    target: ClassVar[tuple[str, ...]] = ("answers", "answer", "is_impossible")

    def suggestion(self, answer: Any) -> Any:
        first = answer[0] if isinstance(answer, list) and answer else answer
        if not first or first["start"] >= first["end"]:
            return None
        return {"start": first["start"], "end": first["end"]}

    def row(self, item: Mapping[str, Any], value: Any) -> dict[str, Any]:
        context = text_value(item, "context")
        spans = [] if value is None else [span_of(value, context)]
        return _row(text_value(item, "question"), context, spans)

    def value(self, row: Mapping[str, Any]) -> Any:
        answers = row.get("answers", {})
        if not answers.get("text"):
            return None
        start = answers["answer_start"][0]
        return {"start": start, "end": start + len(answers["text"][0])}

    def item(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {name: text_value(row, name) for name in ("question", "context")}

    def rows(self, rows: Sequence[DataRow]) -> list[dict[str, Any]]:
        return [
            _row(text_of(row, "question"), text_of(row, "context"), answer_spans(row))
            for row in rows
        ]

    def uncertainty(self, answer: Any) -> float:
        first = answer[0] if isinstance(answer, list) and answer else answer
        return 1 - min(1.0, float(first["score"])) if first else 1.0


def _row(question: str, context: str, spans: Sequence[tuple[int, int]]) -> dict[str, Any]:
    answers = {
        "text": [context[start:end] for start, end in spans],
        "answer_start": [start for start, _ in spans],
    }
    return {"question": question, "context": context, "answers": answers}
