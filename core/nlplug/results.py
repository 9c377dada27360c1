"""Answers as rows of files: flat ones of a table, and nested ones of JSON Lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nlplug.pipelines import Pipeline
    from nlplug.task import Task


def to_rows(answer: Any) -> list[dict[str, Any]]:
    """One answer as rows of a table.

    A dict is one row. A list of dicts (entities, labels, n-best answers) is one row an element; an
    empty list one row without columns, so that the input it belongs to is not lost. Anything else
    stands under ``result``.
    """
    if isinstance(answer, Mapping):
        return [dict(answer)]
    if isinstance(answer, list) and all(isinstance(element, Mapping) for element in answer):
        return [dict(element) for element in answer] or [{}]
    return [{"result": answer}]


def to_record(answer: Any) -> dict[str, Any]:
    """One answer as fields of one JSON object: a dict's own, anything else under ``result``."""
    return dict(answer) if isinstance(answer, Mapping) else {"result": answer}


def table_rows(
    task: Task, answered: Iterable[tuple[Mapping[str, Any], Any]]
) -> Iterator[dict[str, Any]]:
    """Inputs with their answers as rows that all have the same columns.

    Args:
        task: What answered; its output says the columns where the first answer is empty.
        answered: Inputs with answers, as `answered_rows` gives them.
    """
    names: Sequence[str] | None = None
    for row, answer in answered:
        found = to_rows(answer)
        if names is None:
            names = list(found[0]) or answer_columns(task)
        for one in found:
            yield {**row, **{name: one.get(name) for name in names}}


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


def answer_columns(task: Task) -> list[str]:
    """The fields of one element of a task's output."""
    from pydantic import TypeAdapter

    schema = TypeAdapter(task.Output).json_schema(mode="serialization")
    definitions = schema.get("$defs", {})

    def fields(part: Mapping[str, Any]) -> Iterator[str]:
        if "$ref" in part:
            yield from fields(definitions[str(part["$ref"]).rsplit("/", 1)[-1]])
        yield from part.get("properties", {})
        for inner in (part.get("items"), *part.get("anyOf", ())):
            if isinstance(inner, Mapping):
                yield from fields(inner)

    return list(dict.fromkeys(fields(schema)))
