"""Corrections of texts that were generated from a text, such as translations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from nlplug.data.corrections import Corrections, Kind, text_value
from nlplug.data.pairs import pairs_of
from nlplug.data.rows import DataRow
from nlplug.errors import InputError


class TextCorrections(Corrections):
    """The right text for a source."""

    kind: ClassVar[Kind] = "text"
    marked: ClassVar[str] = "source"
    fields: ClassVar[tuple[str, ...]] = ("source",)
    target: ClassVar[tuple[str, ...]] = ("target", "translation")

    def suggestion(self, answer: Any) -> Any:
        first = answer[0] if isinstance(answer, list) and answer else answer
        if not isinstance(first, Mapping):
            return first or ""
        return next((value for name, value in first.items() if name.endswith("_text")), "")

    def row(self, item: Mapping[str, Any], value: Any) -> dict[str, Any]:
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"{value!r} is not a text.", hint="Give the right text.")
        return {"source": text_value(item, "text"), "target": value}

    def value(self, row: Mapping[str, Any]) -> Any:
        return row.get("target")

    def item(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {"text": text_value(row, "source")}

    def rows(self, rows: Sequence[DataRow]) -> list[dict[str, Any]]:
        return [
            {"source": pair.source, "target": pair.target}
            for row in rows
            for pair in pairs_of(row, "", ())[:1]
        ]

    def uncertainty(self, answer: Any) -> float:
        return 0.0
