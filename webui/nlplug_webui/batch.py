"""A file of inputs answered row by row: progress, a preview, and two files to download."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.data.readers import read_rows
from nlplug.data.rows import DataRow
from nlplug.data.writers import open_writer
from nlplug.errors import DataError, InputError
from nlplug.results import answer_columns, to_rows
from nlplug.task import Display
from nlplug.validation import make_input
from nlplug_webui.fields import is_short
from nlplug_webui.render import summary

if TYPE_CHECKING:
    from nlplug.pipelines import Pipeline
    from nlplug.task import Task

PREVIEW_ROWS = 100
_UPDATE_SECONDS = 0.25
_CELL = 240


@dataclass(frozen=True)
class FileLook:
    """What a first pass over a file found.

    Attributes:
        rows: How many rows there are.
        columns: Their names, in the order of the first row.
        picked: For each field of the task's input the column that seems to hold it, or None.
    """

    rows: int
    columns: tuple[str, ...]
    picked: dict[str, str | None]


@dataclass
class Progress:
    """How far a batch is.

    Attributes:
        done, total: Rows.
        seconds: Since the first row was asked for.
        preview: The first rows: line of the file, input, answer, shortened.
        csv, jsonl: The finished files; None while running.
    """

    done: int
    total: int
    seconds: float = 0.0
    preview: list[tuple[int, str, str]] = field(default_factory=list)
    csv: Path | None = None
    jsonl: Path | None = None


def look(task: Task, source: Path) -> FileLook:
    """Read a file through once, keeping nothing of it.

    Raises:
        DataError: It cannot be read, or holds no row; names the line.
    """
    columns: tuple[str, ...] = ()
    rows = 0
    for row in read_rows(source):
        if rows == 0:
            columns = tuple(map(str, row.values))
        rows += 1
    if rows == 0:
        raise DataError(f"{source.name} holds no row.", hint="Add at least one row of input.")
    return FileLook(rows, columns, _pick(task, columns))


def run_batch(
    pipeline: Pipeline,
    source: Path,
    columns: Mapping[str, str | None],
    options: Mapping[str, Any],
    folder: Path,
    *,
    total: int,
    same: Mapping[str, Any] | None = None,
    language: str = "en",
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[Progress]:
    """Answer a file; of its rows only those between reading and answering are in memory.

    Args:
        pipeline: What answers.
        source: The file.
        columns: Field of the task's input → column of the file; None leaves the field out.
        options: Options of the task.
        folder: Where the two files are written.
        total: Rows of the file, as `look` counted them.
        same: Fields that have the same value in every row, such as one question to many texts.
        language: Of the words in the preview.
        clock: Seconds.

    Yields:
        The progress, a few times a second; the last one holds the files.

    Raises:
        DataError: A row that cannot be read or is no input for the task; names the line.
    """
    task = pipeline.task
    waiting: deque[DataRow] = deque()
    stem = source.name.removesuffix(".gz").rsplit(".", 1)[0]
    csv_file, jsonl_file = folder / f"{stem}-{task.name}.csv", folder / f"{stem}-{task.name}.jsonl"
    now = Progress(0, total)
    started = shown = clock()

    def feed() -> Iterator[Any]:
        for row in read_rows(source):
            values = {name: row.values.get(column) for name, column in columns.items() if column}
            item = _input(task, row, {**(same or {}), **values})
            waiting.append(row)
            yield item

    with ExitStack() as stack:
        table = stack.enter_context(open_writer(csv_file))
        lines = stack.enter_context(open_writer(jsonl_file))
        names: tuple[list[str], list[str]] | None = None
        for answer in pipeline.answers(feed(), **options):
            row = waiting.popleft()
            rows = _rows(task, answer)
            names = names or ([*row.values], list(rows[0]) or answer_columns(task))
            for one in rows:
                table.write(_flat(row.values, one, *names))
            lines.write({**row.values, _free("answer", row.values): answer})
            now.done += 1
            if now.done <= PREVIEW_ROWS:
                text = " · ".join(str(row.values.get(c)) for c in columns.values() if c)
                now.preview.append((row.line, text[:_CELL], summary(answer, language)[:_CELL]))
            now.seconds = clock() - started
            if clock() - shown >= _UPDATE_SECONDS:
                shown = clock()
                yield now
    now.seconds, now.csv, now.jsonl = clock() - started, csv_file, jsonl_file
    yield now


def _input(task: Task, row: DataRow, values: Mapping[str, Any]) -> Any:
    try:
        return make_input(task, {name: v for name, v in values.items() if v is not None})
    except InputError as error:
        raise DataError(f"{row.where}: {error.message}", hint=error.hint) from None


def _pick(task: Task, columns: Sequence[str]) -> dict[str, str | None]:
    """The column for each field: of the same name, else, for required fields, one still free.

    Of several fields those that hold documents come first: a file with one column beside a
    question rather holds the texts that are asked.
    """
    folded = {column.strip().lower(): column for column in columns}
    picked = {name: folded.get(name.lower()) for name in task.Input.model_fields}
    free = [column for column in columns if column not in picked.values()]
    required = [name for name, info in task.Input.model_fields.items() if info.is_required()]
    for name in sorted(required, key=is_short):
        if picked[name] is None and free:
            likely = [c for c in free if c.lower() in ("text", "sentence", "review", "content")]
            picked[name] = likely[0] if likely else free[0]
            free.remove(picked[name] or "")
    return picked


def _rows(task: Task, answer: Any) -> list[dict[str, Any]]:
    """One answer as rows of the CSV file.

    Labels are told by the best one alone, as the form asks for several to draw its bars; of other
    lists each element has a row.
    """
    best = task.display is Display.LABEL and isinstance(answer, list)
    return to_rows(answer[:1] if best else answer)


def _flat(
    values: Mapping[str, Any],
    answer: Mapping[str, Any],
    columns: Sequence[str],
    more: Sequence[str],
) -> dict[str, Any]:
    """One row of the CSV file: the columns that were there, then the answer's."""
    kept = {name: values.get(name) for name in columns}
    return kept | {_free(name, kept): answer.get(name) for name in more}


def _free(name: str, taken: Mapping[str, Any]) -> str:
    while name in taken:
        name = f"predicted_{name}"
    return name
