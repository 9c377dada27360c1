"""Rows of JSON and JSON Lines files, in the layouts of SQuAD and of annotation tools too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nlplug.data.exports import is_rejected, tool_row
from nlplug.data.formats import DataFile
from nlplug.data.lines import LineReader, check_decoded
from nlplug.data.rows import DataRow
from nlplug.data.squad import squad_rows
from nlplug.data.unusable import Unusable
from nlplug.errors import DataError
from nlplug.json_text import json_fault, json_shown, parse_json

_ARRAY = "A .json file holds one array of objects; one object per line is .jsonl."

_REJECTED = "rejected or ignored in Prodigy"


def json_rows(file: DataFile) -> Iterator[DataRow | Unusable]:
    """The rows of a file of JSON, whether it holds one value or one object per line.

    Raises:
        DataError: A file of one value that is no array of rows; names what was found.
    """
    lines = LineReader(file, guess=False)
    filled = [line.strip() for line in lines.sample if line.strip()]
    first = filled[0] if filled else ""
    if file.kind == ".jsonl":
        by_line = not (first == "[" or (first[:1] == "[" and first[1:].lstrip()[:1] in ("{", "[")))
    else:
        by_line = len(filled) > 1 and _is_json(first)
    file.report.format = "JSON Lines" if by_line else "JSON"
    yield from _lines(lines, file) if by_line else _values(file, lines)


def _is_json(text: str) -> bool:
    try:
        parse_json(text)
    except json.JSONDecodeError:
        return False
    return True


def _lines(lines: LineReader, file: DataFile) -> Iterator[DataRow | Unusable]:
    for number, line in lines:
        if not line.strip():
            continue
        try:
            check_decoded(line, f"{file.path}:{number}")
            value = _parsed(line, file.path, number)
            if is_rejected(value):
                file.report.skip(_REJECTED)
                continue
            row = _object(value, file.path, number)
        except DataError as error:
            yield Unusable(number, {"text": line.rstrip("\r\n")}, error)
            continue
        yield row


def _parsed(text: str, path: Path, number: int) -> Any:
    try:
        return parse_json(text, unique_keys=True)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}:{number}: not JSON ({json_fault(error)}).",
            hint="Each line of a .jsonl file is one JSON object.",
        ) from None


def _values(file: DataFile, lines: LineReader) -> Iterator[DataRow | Unusable]:
    path = file.path
    parts = []
    for number, line in lines:
        check_decoded(line, f"{path}:{number}")
        parts.append(line)
    text = "".join(parts)
    try:
        values = parse_json(text, unique_keys=True)
    except json.JSONDecodeError as error:
        place = f"{path}:{error.lineno}" if error.doc else path
        raise DataError(f"{place}: not JSON ({json_fault(error)}).", hint=_ARRAY) from None
    if isinstance(values, dict):
        values = [values] if "paragraphs" in values else _inside(values, file)
    if not isinstance(values, list):
        raise DataError(
            f"{path}:1: the file is {json_shown(values)}; it should be an array of objects.",
            hint=_ARRAY,
        )
    if values and all(isinstance(value, dict) and "paragraphs" in value for value in values):
        file.report.format = "SQuAD"
        values = list(squad_rows(values, path))
    for number, value in enumerate(values, start=1):
        if is_rejected(value):
            file.report.skip(_REJECTED)
            continue
        try:
            row = _object(value, path, number)
        except DataError as error:
            yield Unusable(number, {"value": value}, error)
            continue
        yield row


def _inside(values: dict[str, Any], file: DataFile) -> Any:
    """The rows within an object: SQuAD's articles, or the one array of rows that it holds.

    Raises:
        DataError: It holds no array of rows, or several.
    """
    data = values.get("data")
    if isinstance(data, list) and not all(map(_is_flat, data)):
        file.report.format = "SQuAD"
        return list(squad_rows(data, file.path))
    rows = values.get("rows")
    if isinstance(rows, list) and rows and all(map(_is_of_viewer, rows)):
        file.report.note("rows of the data set viewer of the Hub")
        return [row["row"] for row in rows]
    found = {
        name: value
        for name, value in values.items()
        if isinstance(value, list)
        and value
        and all(isinstance(v, dict | list | None) for v in value)
    }
    if len(found) == 1:
        [(name, rows)] = found.items()
        file.report.note(f"rows under {name!r}")
        return [row for row in rows if row is not None]
    if isinstance(data, list) and not data:
        return data
    if found:
        raise DataError(
            f"{file.path}:1: holds several arrays: {', '.join(map(repr, found))}.",
            hint="Write the rows of one of them to a separate file.",
        )
    if values and all(isinstance(value, list | dict) for value in values.values()):
        raise DataError(
            f"{file.path}:1: holds the columns {', '.join(map(repr, list(values)[:10]))}, not an "
            "array of objects.",
            hint='Write rows instead, with pandas: to_json(file, orient="records").',
        )
    names = ", ".join(map(repr, list(values)[:10]))
    raise DataError(
        f"{file.path}:1: holds {f'an object with {names}' if names else 'an empty object'}, not an "
        "array of objects.",
        hint=_ARRAY,
    )


def _is_of_viewer(value: Any) -> bool:
    return isinstance(value, dict) and "row_idx" in value and isinstance(value.get("row"), dict)


def _is_flat(value: Any) -> bool:
    """Whether an element of ``data`` is a row by itself, and no article of SQuAD."""
    return isinstance(value, list) or (
        isinstance(value, dict) and bool(value.keys() - {"title"}) and "paragraphs" not in value
    )


def _object(values: Any, path: Path, number: int) -> DataRow:
    values = tool_row(values, f"{path}:{number}")
    if not isinstance(values, dict):
        raise DataError(
            f"{path}:{number}: the row is {json_shown(values)}; it should be an object.",
            hint='A row looks like {"text": "…", "label": "…"}.',
        )
    return DataRow(values, path, number)
