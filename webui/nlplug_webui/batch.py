"""Runs a file of inputs row by row, with progress, a preview and two files to download."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.data import DataFile, ReadLimits, RowReader, open_writer, read_rows
from nlplug.errors import DataError, InputError
from nlplug.inputs import InputRow, no_column, pick_columns, placed, value_of
from nlplug.results import answer_columns, answer_rows, answered_rows, free_name
from nlplug.task import Display
from nlplug.text.foreign import ForeignTexts
from nlplug.validation import make_input
from nlplug_webui.fields import is_short
from nlplug_webui.render import summary

if TYPE_CHECKING:
    from nlplug.pipelines import Pipeline
    from nlplug.task import Task

LIMITS = ReadLimits(line=1 << 24, total=1 << 28)
"""Limits of an uploaded file: 16 Mi characters per line, 256 MiB after decompression."""
PREVIEW_ROWS = 100
_UPDATE_SECONDS = 0.25
_CELL = 240


@dataclass(frozen=True)
class FileLook:
    """The result of a first pass over a file.

    Attributes:
        rows: Number of rows.
        columns: Names of the columns, in the order of the first row.
        picked: For each input field of the task its column, or None.
        understood: One line that reports how the file was read.
    """

    rows: int
    columns: tuple[str, ...]
    picked: dict[str, str | None]
    understood: str = ""


@dataclass
class Progress:
    """The progress of a batch.

    Attributes:
        done, total: Number of rows.
        seconds: Time since the start.
        preview: The first rows: line in the file, input and answer, shortened.
        csv, jsonl: The finished files; None while running.
        foreign: The rows so far in languages that the model does not know.
    """

    done: int
    total: int
    seconds: float = 0.0
    preview: list[tuple[int, str, str]] = field(default_factory=list)
    csv: Path | None = None
    jsonl: Path | None = None
    foreign: ForeignTexts = field(default_factory=ForeignTexts)


def look(task: Task, source: Path) -> FileLook:
    """Read a file once, without keeping its rows.

    Raises:
        DataError: The file cannot be read or has no rows; names the line.
    """
    file = DataFile(source, limits=LIMITS)
    columns: tuple[str, ...] = ()
    for row in read_rows(file):
        columns = columns or tuple(map(str, row.values))
    if file.report.rows == 0:
        raise DataError(f"{source.name} has no rows.", hint="Add at least one row of input.")
    picked = _pick(task, columns, plain=file.kind == ".txt")
    # The visitor knows the name of the file, not the folder on the server.
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
    """Answer the rows of a file, in bounded memory.

    Args:
        pipeline: The pipeline.
        source: The file.
        columns: Field of the task's input → column of the file; None leaves the field out.
        options: Options of the task.
        folder: Folder for the two result files.
        total: Number of rows, as counted by `look`.
        same: Fields with the same value in every row, such as one question about many texts.
        language: Language of the preview.
        clock: Returns the time in seconds.

    Yields:
        The progress, a few times per second; the last one has the files.

    Raises:
        DataError: A row cannot be read or is not a valid input of the task; names the line.
    """
    task = pipeline.task
    stem = source.name.removesuffix(".gz").rsplit(".", 1)[0]
    csv_file, jsonl_file = folder / f"{stem}-{task.name}.csv", folder / f"{stem}-{task.name}.jsonl"
    now = Progress(0, total)
    started = shown = clock()

    inputs = _inputs(task, read_rows(DataFile(source, limits=LIMITS)), columns, same or {})

    def answer(some: Iterable[Mapping[str, Any]]) -> Iterator[Any]:
        answers = pipeline.answers(some, **options)
        now.foreign = answers.foreign
        return answers

    answered = answered_rows(answer, inputs)
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
    """The rows of a file as inputs; invalid inputs are rejected."""
    for row in rows:
        values = {name: value_of(row, name, column) for name, column in columns.items() if column}
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
    """The column for each field: the one with the same name, as on the command line, or None.

    The lines of a plain text file fill the field of the document, not that of the question.
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

    Of a list of labels only the best one is written, because the form asks for several only to draw
    bars. Of other lists each element has a row.
    """
    rows = answer_rows(task, answer)
    return rows[:1] if task.display is Display.LABEL else rows


def _flat(
    values: Mapping[str, Any],
    answer: Mapping[str, Any],
    columns: Sequence[str],
    more: Sequence[str],
) -> dict[str, Any]:
    """One row of the CSV file: the columns of the input, then those of the answer."""
    kept = {name: values.get(name) for name in columns}
    return kept | {free_name(name, kept): answer.get(name) for name in more}
