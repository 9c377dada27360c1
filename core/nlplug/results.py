"""Answers as columns of a table, for files and for the UI's batch page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nlplug.pipelines import Pipeline


def to_columns(answer: Any) -> dict[str, Any]:
    """One answer as flat columns.

    A dict, or a list of one dict, gives its fields; anything else stands as JSON under ``result``.
    """
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    if isinstance(answer, Mapping):
        return {key: _cell(value) for key, value in answer.items()}
    return {"result": _cell(answer)}


def answered_rows(
    pipe: Pipeline, rows: Iterable[Mapping[str, Any]], **options: Any
) -> Iterator[tuple[Mapping[str, Any], Any]]:
    """Each input row with its answer, in bounded memory.

    Args:
        pipe: The pipeline.
        rows: Inputs as dicts.
        **options: Options of the call.
    """
    # The pipeline reads ahead of the answers by a chunk or two; what it has read waits here.
    waiting: list[Mapping[str, Any]] = []

    def remember() -> Iterator[Mapping[str, Any]]:
        for row in rows:
            waiting.append(row)
            yield row

    position = 0
    for answer in pipe.map(remember(), **options):
        yield waiting[position], answer
        position += 1
        if position == len(waiting) or position >= 4096:
            del waiting[:position]
            position = 0


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return json.dumps(value, ensure_ascii=False)
