"""Answers as rows of files: flat ones of a table, and nested ones of JSON Lines."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nlplug.errors import InputError, NlplugError, OptionError, warn
from nlplug.explanations.result import is_explained

if TYPE_CHECKING:
    from nlplug.inputs import InputRow
    from nlplug.task import Task


def to_rows(answer: Any) -> list[dict[str, Any]]:
    """One answer as rows of a table.

    A dict is one row. A list of dicts (entities, labels, n-best answers) is one row per element; an
    empty list one row without columns, so that the input it belongs to is not lost. A list of lists
    is joined. Anything else is under ``result``.
    """
    if isinstance(answer, Mapping):
        return [dict(answer)]
    if answer and isinstance(answer, list) and all(isinstance(one, list) for one in answer):
        answer = [element for one in answer for element in one]
    if isinstance(answer, list) and all(isinstance(element, Mapping) for element in answer):
        return [dict(element) for element in answer] or [{}]
    return [{"result": answer}]


def answer_rows(task: Task, answer: Any) -> list[dict[str, Any]]:
    """One answer of a task as rows of a table; an explanation is in the column ``explanation``.

    The first row of an explained answer has the explanation, the others None.
    """
    if not is_explained(answer):
        return to_rows(task.tabular(answer))
    first, *others = to_rows(task.tabular(answer["answer"]))
    column = "explanation"
    return [first | {column: answer["explanation"]}, *(one | {column: None} for one in others)]


def _columns(task: Task, row: Mapping[str, Any]) -> list[str]:
    """The columns of a row; where the answer is empty, those that the task declares."""
    named = [name for name in row if name != "explanation"]
    return [*(named or answer_columns(task)), *(name for name in row if name not in named)]


def to_record(answer: Any) -> dict[str, Any]:
    """One answer as fields of one JSON object: a dict's own, anything else under ``result``."""
    return dict(answer) if isinstance(answer, Mapping) else {"result": answer}


def free_name(name: str, taken: Collection[str], prefix: str = "predicted") -> str:
    """A name for a new column that hides no column of the row, such as ``predicted_label``.

    Names that differ only in case are the same one in spreadsheets and databases.
    """
    folded = {str(other).casefold() for other in taken}
    while name.casefold() in folded:
        name = f"{prefix}_{name}"
    return name


def records(answered: Iterable[tuple[Mapping[str, Any], Any]]) -> Iterator[dict[str, Any]]:
    """Rows with the fields of their answers, under names that hide no column of the row."""
    for row, answer in answered:
        yield {**row, **{free_name(k, row): v for k, v in to_record(answer).items()}}


def table_rows(
    task: Task, answered: Iterable[tuple[Mapping[str, Any], Any]]
) -> Iterator[dict[str, Any]]:
    """Rows with their answers, as rows that all have the same columns: those of the first one.

    Warns once about each column that only later rows have.

    Args:
        task: What answered; its output says the columns where the first answer is empty.
        answered: Rows with answers.
    """
    columns: list[str] | None = None
    known: set[str] = set()
    names: dict[str, str] = {}
    for row, answer in answered:
        found = answer_rows(task, answer)
        if columns is None:
            columns, known = list(row), set(row)
            names = {name: free_name(name, row) for name in _columns(task, found[0])}
        if more := row.keys() - known:
            known |= more
            named = ", ".join(repr(name) for name in row if name in more)
            warn(
                f"The table lacks the column {named} of a later row: the first row has the "
                "columns. An output that ends in .jsonl keeps all of them.",
                UserWarning,
            )
        for one in found:
            kept = {column: row.get(column) for column in columns}
            yield kept | {at: one.get(name) for name, at in names.items()}


def answered_rows(
    answer: Callable[[Iterable[Mapping[str, Any]]], Iterator[Any]],
    rows: Iterable[InputRow],
    *,
    reject: Callable[[InputRow, InputError], None] | None = None,
) -> Iterator[tuple[InputRow, Any]]:
    """Each input with its answer, in bounded memory.

    An error of the source is raised when all rows before it were answered. Where the model cannot
    take one of the rows that are being answered together, these are answered one by one, so that
    only that one is rejected.

    Args:
        answer: Answers a stream of inputs, such as a pipeline's ``map``.
        rows: The inputs.
        reject: Called with a row that the model cannot take; None: it is an error.

    Raises:
        InputError: A row that cannot be answered; the message names its file and line.
    """
    source = iter(rows)
    waiting: deque[InputRow] = deque()
    ended: list[NlplugError] = []

    def feed() -> Iterator[Mapping[str, Any]]:
        try:
            for row in source:
                waiting.append(row)
                yield row.values
        except NlplugError as error:
            ended.append(error)

    while True:
        try:
            for result in answer(feed()):
                yield waiting.popleft(), result
            break
        except OptionError:
            raise
        except InputError:
            if not waiting:
                raise
        while waiting:
            row = waiting.popleft()
            try:
                result = next(iter(answer([row.values])))
            except InputError as error:
                _reject(row, error, reject)
                continue
            yield row, result
    if ended:
        raise ended[0]


def _reject(
    row: InputRow,
    error: InputError,
    reject: Callable[[InputRow, InputError], None] | None,
) -> None:
    named = error.at(row.row.where)
    if reject is None:
        raise named from None
    reject(row, named)


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
