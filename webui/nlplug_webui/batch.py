"""Runs a file of inputs row by row, with progress, a preview, a summary and files to download."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.data import (
    DataFile,
    DataRow,
    ReadLimits,
    RowReader,
    RowWriter,
    SkippedRow,
    open_writer,
    read_rows,
)
from nlplug.data.packed import packing
from nlplug.errors import DataError, InputError
from nlplug.inputs import InputRow, no_column, pick_columns, placed, value_of
from nlplug.results import answer_columns, answer_rows, answered_rows, free_name
from nlplug.server.containment import contained
from nlplug.task import Display
from nlplug.validation import make_input
from nlplug_webui.fields import is_short
from nlplug_webui.notices import Watched
from nlplug_webui.render import summary

if TYPE_CHECKING:
    from nlplug.pipelines import Pipeline
    from nlplug.task import Task

LIMITS = ReadLimits(line=1 << 24, total=1 << 28)
"""Limits of an uploaded file: 16 Mi characters per line, 256 MiB after decompression."""
PREVIEW_ROWS = 100
LOOK_ROWS = 5
"""Number of rows that are shown before a file is processed."""
_UPDATE_SECONDS = 0.25
_CELL = 240
_MOST_TEXTS = 10_000


@dataclass(frozen=True)
class FileLook:
    """The result of a first pass over a file.

    Attributes:
        rows: Number of rows.
        columns: Names of the columns of all rows, those of the first row first.
        picked: For each input field of the task its column, or None.
        understood: One line that reports how the file was read.
        first: The first rows, shortened: line in the file, and one text for each of the columns.
    """

    rows: int
    columns: tuple[str, ...]
    picked: dict[str, str | None]
    understood: str = ""
    first: tuple[tuple[int, tuple[str, ...]], ...] = ()


@dataclass
class Tally:
    """How often the labels and the marked texts of the answers occur.

    Attributes:
        labels: Label → number of answers, of classifications, or of marked texts.
        scores: Label → sum of the scores.
        bins: Number of scores in each tenth from 0 to 1; other numbers are no probabilities.
        texts: Marked text and its label → number.
    """

    labels: Counter[str] = field(default_factory=Counter)
    scores: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    bins: list[int] = field(default_factory=lambda: [0] * 10)
    texts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Count the rows of one answer; of 10,000 different texts only known ones are counted."""
        for row in rows:
            label = row.get("label") or row.get("entity_group")
            if not isinstance(label, str):
                continue
            self.labels[label] += 1
            score = float(row.get("score") or 0.0)
            self.scores[label] += score
            if 0.0 <= score <= 1.0:
                self.bins[min(int(score * 10), 9)] += 1
            key = (str(row.get("word") or ""), label)
            if key[0] and (key in self.texts or len(self.texts) < _MOST_TEXTS):
                self.texts[key] += 1


@dataclass
class Progress:
    """The progress of a batch.

    Attributes:
        done, total: Number of rows.
        seconds: Time since the start.
        preview: The first rows: line in the file, input and answer, shortened.
        csv, jsonl, excel: The finished files; None while running, and `excel` where the answers do
            not fit into a sheet.
        watched: What the answers so far are warned of.
        tally: The labels of the answers so far.
        skipped: Number of rows that cannot be answered.
        reasons: Line and reason of the first of them.
        rejected: The file of all of them; None if there are none, or while running.
        stopped: Whether the run was stopped before the end of the file.
    """

    done: int
    total: int
    seconds: float = 0.0
    preview: list[tuple[int, str, str]] = field(default_factory=list)
    csv: Path | None = None
    jsonl: Path | None = None
    excel: Path | None = None
    watched: Watched | None = None
    tally: Tally = field(default_factory=Tally)
    skipped: int = 0
    reasons: list[tuple[int, str]] = field(default_factory=list)
    rejected: Path | None = None
    stopped: bool = False

    @property
    def files(self) -> dict[str, str]:
        """Kind → name of each finished file."""
        found = {
            "csv": self.csv,
            "xlsx": self.excel,
            "jsonl": self.jsonl,
            "skipped": self.rejected,
        }
        return {kind: path.name for kind, path in found.items() if path is not None}

    @property
    def left(self) -> float | None:
        """Remaining time in seconds at the speed so far; None if no row is done."""
        over = self.done + self.skipped
        return self.seconds * (self.total - over) / over if over else None


def look(task: Task, source: Path) -> FileLook:
    """Read a file once, without keeping its rows.

    Raises:
        DataError: The file cannot be read, or has no row that can be; names the first line.
    """
    bad: list[SkippedRow] = []
    file = DataFile(source, limits=LIMITS, on_skip=lambda row: None if bad else bad.append(row))
    found: dict[str, None] = {}
    first: list[DataRow] = []
    for row in read_rows(file):
        found.update(dict.fromkeys(map(str, row.values)))
        if len(first) < LOOK_ROWS:
            first.append(row)
    columns = tuple(found)
    if bad and not file.report.rows:
        raise no_row(source, bad[0])
    if file.report.rows == 0:
        raise DataError(f"{source.name} has no rows.", hint="Add at least one row of input.")
    picked = _pick(task, columns, plain=file.kind == ".txt")
    # The visitor knows the name of the file, not the folder on the server.
    understood = replace(file.report, source=Path(source.name))
    cells = tuple((row.line, tuple(_cell(row.values.get(c)) for c in columns)) for row in first)
    return FileLook(file.report.rows, columns, picked, str(understood), cells)


def _cell(value: Any) -> str:
    """A value of a row for a table."""
    return "" if value is None else str(value)[:_CELL]


def no_row(source: Path, first: SkippedRow) -> DataError:
    """The error for a file of which no row can be answered."""
    return DataError(
        f"{source.name}:{first.line}: {first.reason.rstrip('.')}.",
        hint="No row of the file can be used; this is the first one.",
    )


def run_batch(
    pipeline: Pipeline,
    source: Path,
    columns: Mapping[str, str | None],
    options: Mapping[str, Any],
    folder: Path,
    *,
    total: int,
    same: Mapping[str, Any] | None = None,
    kept: Sequence[str] = (),
    language: str = "en",
    stop: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[Progress]:
    """Answer the rows of a file, in bounded memory. Rows that cannot be answered are skipped.

    Args:
        pipeline: The pipeline.
        source: The file.
        columns: Field of the task's input → column of the file; None leaves the field out.
        options: Options of the task.
        folder: Folder for the result files.
        total: Number of rows, as counted by `look`.
        kept: Columns of the file for the tables, as `look` finds them; those of the first row come
            first.
        same: Fields with the same value in every row, such as one question about many texts.
        language: Language of the preview.
        stop: Whether to end before the next row; the rows before it are kept.
        clock: Returns the time in seconds.

    Yields:
        The progress, a few times per second; the last one has the files.

    Raises:
        DataError: The file cannot be read, or none of its rows can be answered.
        Exception: What the model or the file raised after some rows; the files of these rows were
            yielded before.
    """
    task = pipeline.definition
    plain = source.with_suffix("") if packing(source) else source
    stem = f"{plain.stem}-{task.name}"
    csv_file, jsonl_file = folder / f"{stem}.csv", folder / f"{stem}.jsonl"
    rejected_file = folder / f"{stem}.skipped.jsonl"
    watched = Watched(pipeline, options)
    now = Progress(0, total, watched=watched)
    failures: list[Exception] = []
    started = shown = clock()
    with ExitStack() as stack:
        rejects: list[RowWriter] = []
        first: list[SkippedRow] = []

        def skip(row: SkippedRow) -> None:
            if not rejects:
                first.append(row)
                rejects.append(stack.enter_context(open_writer(rejected_file)))
            rejects[0].write({"line": row.line, "reason": row.reason, "row": row.values})
            now.skipped += 1
            if now.skipped <= PREVIEW_ROWS:
                now.reasons.append((row.line, row.reason))

        rows = read_rows(DataFile(source, limits=LIMITS, on_skip=skip))

        answered = answered_rows(
            watched.answers,
            _inputs(task, rows, columns, same or {}),
            reject=lambda row, error: rows.reject(row.row, error),
        )
        table = stack.enter_context(open_writer(csv_file))
        lines = stack.enter_context(open_writer(jsonl_file))
        sheet = stack.enter_context(_Sheet(csv_file.with_suffix(".xlsx")))
        names: tuple[list[str], list[str]] | None = None
        for one, result in watched.counted(_until_failure(answered, failures)):
            row = one.row
            found = _rows(task, result)
            names = names or (
                [*dict.fromkeys([*row.values, *kept])],
                list(found[0]) or answer_columns(task),
            )
            for each in found:
                flat = _flat(row.values, each, *names)
                table.write(flat)
                sheet.write(flat)
            now.tally.add(found)
            lines.write({**row.values, free_name("answer", row.values): result})
            now.done += 1
            if now.done <= PREVIEW_ROWS:
                text = " · ".join(str(row.values.get(c)) for c in columns.values() if c)
                now.preview.append((row.line, text[:_CELL], summary(result, language)[:_CELL]))
            now.seconds = clock() - started
            if stop():
                now.stopped = now.done + now.skipped < total
                break
            if clock() - shown >= _UPDATE_SECONDS:
                shown = clock()
                yield now
        if failures and not now.done:
            raise failures[0]
        if first and not now.done:
            raise no_row(source, first[0])
    now.stopped = now.stopped or bool(failures)
    now.seconds = clock() - started
    now.csv, now.jsonl, now.excel = csv_file, jsonl_file, sheet.path
    now.rejected = rejected_file if first else None
    yield now
    if failures:
        raise failures[0]


def _until_failure(
    answered: Iterable[tuple[InputRow, Any]], failures: list[Exception]
) -> Generator[tuple[InputRow, Any], None, None]:
    """The answers before an error, which is added to ``failures``."""
    try:
        with contained(GeneratorExit):
            yield from answered
    except Exception as error:
        failures.append(error)


class _Sheet:
    """Writes rows into an Excel workbook, and gives it up where they do not fit into one.

    Attributes:
        path: The file; None once a row did not fit.
    """

    def __init__(self, path: Path) -> None:
        self.path: Path | None = path
        self._stack = ExitStack()
        self._writer = self._stack.enter_context(open_writer(path))

    def __enter__(self) -> _Sheet:
        return self

    def __exit__(self, *raised: Any) -> None:
        self._stack.__exit__(*raised)

    def write(self, row: Mapping[str, Any]) -> None:
        """Add a row."""
        if self.path is None:
            return
        with suppress(DataError), self._stack.pop_all() as kept:
            self._writer.write(row)
            self._stack = kept.pop_all()  # no error: the file stays open
            return
        self.path = None


def _inputs(
    task: Task, rows: RowReader, columns: Mapping[str, str | None], same: Mapping[str, Any]
) -> Iterator[InputRow]:
    """The rows of a file as inputs; invalid inputs are rejected."""
    for row in rows:
        values = {name: value_of(row, name, column) for name, column in columns.items() if column}
        filled = {**same, **{name: v for name, v in values.items() if v is not None}}
        for name, info in task.Input.model_fields.items():
            if info.is_required() and name not in same and not columns.get(name):
                missing = no_column(row, name, name)
                missing.hint = f"Choose the column on this page, or name it {name!r} in the file."
                raise missing
        try:
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
