"""Corrections of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from nlplug.data.corrections import Corrections, Kind, text_value
from nlplug.data.labels import LABEL_COLUMNS, label_scheme
from nlplug.data.rows import DataRow
from nlplug.errors import InputError


class LabelCorrections(Corrections):
    """One label per text; rows that are read from a file may have several."""

    kind: ClassVar[Kind] = "label"
    target: ClassVar[tuple[str, ...]] = tuple(LABEL_COLUMNS)

    def suggestion(self, answer: Any) -> Any:
        return answer[0]["label"] if answer else None

    def row(self, item: Mapping[str, Any], value: Any) -> dict[str, Any]:
        if item.get("text_pair"):
            raise InputError(
                "A pair of texts cannot be stored as training data.",
                hint="Leave the second text empty.",
            )
        several = isinstance(value, list)
        names = value if several else [value]
        if (not names and not several) or not all(isinstance(n, str) and n.strip() for n in names):
            raise InputError(f"{value!r} is not a label.", hint="Choose or type a label.")
        label = [name.strip() for name in names] if several else value.strip()
        return {"text": text_value(item, "text"), "label": label}

    def value(self, row: Mapping[str, Any]) -> Any:
        return row.get("label")

    def item(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {"text": text_value(row, "text")}

    def rows(self, rows: Sequence[DataRow]) -> list[dict[str, Any]]:
        scheme = label_scheme(rows, other=("text",))
        found = []
        for row in rows:
            names = scheme.read(row)
            one = len(names) == 1 and not isinstance(row.nested("labels"), list)
            found.append({"text": row.text("text"), "label": names[0] if one else names})
        return found

    def uncertainty(self, answer: Any) -> float:
        return 1 - answer[0]["score"] if answer else 1.0
