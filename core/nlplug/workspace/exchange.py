"""Writing the rows of a data set for other tools: doccano and Label Studio."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nlplug.data.corrections import Corrections
from nlplug.data.writers import open_writer
from nlplug.errors import OptionError
from nlplug.workspace.datasets import DataSet

FORMATS = ("jsonl", "csv", "tsv", "json", "doccano", "label-studio")
"""The formats of `export`; the first four are those of the readers."""


def export(data: DataSet, corrections: Corrections, file: Path, layout: str = "jsonl") -> int:
    """Write all rows that have an answer.

    Args:
        data: The data set.
        corrections: How its rows are read.
        file: The file; its name says the format for the readers' formats.
        layout: One of `FORMATS`.

    Returns:
        The number of rows.

    Raises:
        OptionError: There is no such format, or it cannot hold rows of this kind.
    """
    if layout not in FORMATS:
        raise OptionError(f"{layout!r} is not a format.", hint=f"Use {', '.join(FORMATS)}.")
    convert: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict
    if layout in ("doccano", "label-studio"):
        if not corrections.labelled:
            raise OptionError(
                f"{layout} holds labels and spans, but {data.name!r} has rows of another kind.",
                hint="Use jsonl.",
            )
        convert = _doccano(corrections) if layout == "doccano" else _label_studio(corrections)
    rows = data.rows()
    with open_writer(file) as writer:
        for row in rows:
            writer.write(convert(row.values))
    return len(rows)


def _doccano(corrections: Corrections) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """https://doccano.github.io/doccano: JSONL of text classification and sequence labelling."""

    def convert(row: Mapping[str, Any]) -> dict[str, Any]:
        value = corrections.value(row)
        if corrections.kind == "spans":
            label: Any = [[span["start"], span["end"], span["label"]] for span in value]
        else:
            label = value if isinstance(value, list) else [value]
        return {"text": row[corrections.marked], "label": label}

    return convert


def _label_studio(corrections: Corrections) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """https://labelstud.io/guide/tasks: a task with one annotation."""

    def convert(row: Mapping[str, Any]) -> dict[str, Any]:
        value = corrections.value(row)
        text = row[corrections.marked]
        place = {"from_name": "label", "to_name": "text"}
        if corrections.kind == "spans":
            result = [
                {
                    **place,
                    "type": "labels",
                    "value": {
                        "start": span["start"],
                        "end": span["end"],
                        "text": text[span["start"] : span["end"]],
                        "labels": [span["label"]],
                    },
                }
                for span in value
            ]
        else:
            choices = value if isinstance(value, list) else [value]
            result = [{**place, "type": "choices", "value": {"choices": choices}}]
        return {"data": {"text": text}, "annotations": [{"result": result}]}

    return convert
