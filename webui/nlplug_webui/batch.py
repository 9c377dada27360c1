"""A file of inputs answered row by row: progress, a preview, and two files to download."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.data import DataFile, ReadLimits, RowReader, open_writer, read_rows
from nlplug.errors import DataError, InputError
from nlplug.inputs import InputRow, no_column, pick_columns, placed
from nlplug.results import answer_columns, answered_rows, free_name, to_rows
from nlplug.task import Display
from nlplug.validation import make_input
from nlplug_webui.fields import is_short
from nlplug_webui.render import summary

if TYPE_CHECKING:
    from nlplug.pipelines import Pipeline
    from nlplug.task import Task

LIMITS = ReadLimits(line=1 << 24, total=1 << 28)
"""Of an uploaded file: 16 Mi characters per line, 256 MiB after decompression."""
PREVIEW_ROWS = 100
_UPDATE_SECONDS = 0.25
_CELL = 240


@dataclass(frozen=True)
class FileLook:
    """What a first pass over a file found.

    Attributes:
        rows: How many rows there are.
        columns: Their names, in the order of the first row.
        picked: For each field of the task's input the column that holds it, or None.
        understood: One line on what was understood of the file.
    """

    rows: int
    columns: tuple[str, ...]
    picked: dict[str, str | None]
    understood: str = ""


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
    file = DataFile(source, limits=LIMITS)
    columns: tuple[str, ...] = ()
    for row in read_rows(file):
        columns = columns or tuple(map(str, row.values))
    if file.report.rows == 0:
        raise DataError(f"{source.name} holds no row.", hint="Add at least one row of input.")
    picked = _pick(task, columns, plain=file.kind == ".txt")
    # People know the file by its name, not by the folder that the server put it in.
    understood = replace(file.report, source=Path(source.name))
    return FileLook(file.report.rows, columns, picked, str(understood))


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
    stem = source.name.removesuffix(".gz").rsplit(".", 1)[0]
    csv_file, jsonl_file = folder / f"{stem}-{task.name}.csv", folder / f"{stem}-{task.name}.jsonl"
    now = Progress(0, total)
    started = shown = clock()

    inputs = _inputs(task, read_rows(DataFile(source, limits=LIMITS)), columns, same or {})
    answered = answered_rows(partial(pipeline.answers, **options), inputs)
    with ExitStack() as stack:
        table = stack.enter_context(open_writer(csv_file))
        lines = stack.enter_context(open_writer(jsonl_file))
        names: tuple[list[str], list[str]] | None = None
        for one, answer in answered:
            row = one.row
            rows = _rows(task, answer)
            names = names or ([*row.values], list(rows[0]) or answer_columns(task))
            for found in rows:
                table.write(_flat(row.values, found, *names))
            lines.write({**row.values, free_name("answer", row.values): answer})
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


def _inputs(
    task: Task, rows: RowReader, columns: Mapping[str, str | None], same: Mapping[str, Any]
) -> Iterator[InputRow]:
    """The rows of a file as inputs; what is no input is rejected."""
    for row in rows:
        values = {name: row.values.get(column) for name, column in columns.items() if column}
        filled = {**same, **{name: v for name, v in values.items() if v is not None}}
        try:
            for name, info in task.Input.model_fields.items():
                if info.is_required() and name not in same and not columns.get(name):
                    raise no_column(row, name, name)
            with placed(row.where):
                make_input(task, filled)
        except InputError as error:
            rows.reject(row, DataError(error.message, hint=error.hint))
            continue
        yield InputRow(filled, row)


def _pick(task: Task, columns: Sequence[str], *, plain: bool) -> dict[str, str | None]:
    """The column for each field: that of the same name, as the command has it, or None.

    The lines of plain text fill the field that holds documents rather than a question about them.
    """
    names = list(task.Input.model_fields)
    if plain:
        required = [name for name, info in task.Input.model_fields.items() if info.is_required()]
        first = min(required or names, key=is_short)
        return {name: "text" if name == first else None for name in names}
    picked = pick_columns(task, columns)
    return {name: picked.get(name) for name in names}


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
    return kept | {free_name(name, kept): answer.get(name) for name in more}
