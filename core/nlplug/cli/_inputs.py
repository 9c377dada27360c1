"""The inputs of ``nlplug run``: texts, a file or standard input; and skipped rows."""

from __future__ import annotations

import codecs
import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlplug.errors import InputError, OptionError

if TYPE_CHECKING:
    from nlplug.data.formats import DataFile
    from nlplug.data.report import SkippedRow
    from nlplug.data.writers import RowWriter
    from nlplug.inputs import InputRow
    from nlplug.task import Task


def required_fields(task: Task) -> list[str]:
    """The required fields of an input; if there are none, its first field."""
    fields = task.Input.model_fields
    names = [name for name, info in fields.items() if info.is_required()]
    return names or list(fields)[:1]


def flag_of(name: str) -> str:
    return f"--{name.replace('_', '-')}"


class Skips:
    """Receives skipped rows: writes them to a file next to the output, or prints them."""

    def __init__(self, target: Path | None) -> None:
        self._target = target
        self._writer: RowWriter | None = None
        self._count = 0

    def __call__(self, row: SkippedRow) -> None:
        from nlplug.data.writers import beside, open_writer

        self._count += 1
        if self._target is None:
            click.echo(f"Skipped {row.source}:{row.line}: {row.reason}", err=True)
            return
        if self._writer is None:
            self._target = beside(self._target, "skipped", kind=".jsonl")
            self._writer = open_writer(self._target).__enter__()
        self._writer.write(row.to_dict())

    def close(self) -> None:
        """Close the file and print its path."""
        if self._writer is not None:
            self._writer.__exit__(None, None, None)
            click.echo(f"Skipped rows ({self._count:,}) are in {self._target}.", err=True)


def rejected(file: DataFile | None, skips: Skips, row: InputRow, error: InputError) -> None:
    """Count a row that the model rejects as skipped."""
    from nlplug.data.report import SkippedRow

    source = row.row
    reason = error.message.removeprefix(f"{source.where}: ")
    if file is not None:
        file.report.rows -= 1
        file.report.skip(reason)
    skips(SkippedRow(source.source, source.line, reason, source.values))


def from_file(name: str, value: Any) -> Any:
    """The value of a field, or for ``@FILE`` the content of that file."""
    if not isinstance(value, str) or not value.startswith("@") or value.startswith("@@"):
        return value[1:] if isinstance(value, str) and value.startswith("@@") else value
    path = Path(value[1:])
    try:
        return path.read_text(encoding="utf-8-sig").removesuffix("\n")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InputError(
            f"{flag_of(name)} {value}: {path} cannot be read ({why}).",
            hint="If the text itself begins with @, write @@.",
        ) from None


def check_output(source: Path | None, target: Path | None) -> None:
    """Refuse an output that would take the place of the input.

    Raises:
        OptionError: ``target``, or a file of rows next to it, is ``source``.
    """
    if source is None or target is None:
        return
    from nlplug.data.writers import beside

    for path in (target, beside(target, "partial"), beside(target, "skipped", kind=".jsonl")):
        if path.exists() and source.exists() and path.samefile(source):
            raise OptionError(
                f"--output {target} would replace the input {source}.",
                hint="Name another file for the output.",
            )


def data_file(
    task: Task,
    source: Path | None,
    fields: Mapping[str, Any],
    reading: Mapping[str, Any],
    skips: Skips | None,
) -> DataFile | None:
    """The file to read, or standard input; None if options give the whole input.

    Raises:
        OptionError: Standard input is a terminal, or a setting of the reader is invalid.
    """
    from nlplug.data.formats import DataFile
    from nlplug.inputs import first_field

    # A named pipe can be read once, as standard input.
    pipe = source if source is not None and source.is_fifo() else None
    if source is not None and str(source) != "-" and pipe is None:
        return DataFile(source, **reading, on_skip=skips)
    if not [name for name in required_fields(task) if name not in fields]:
        return None
    first = first_field(task, fields)
    if source is None and sys.stdin.isatty():
        raise OptionError(
            f"Nothing to answer: no {first}, no --input, and standard input is a terminal.",
            hint=f'nlplug run {task.name} "…", or pipe lines into it.',
        )
    if pipe is None:
        buffer = sys.stdin.buffer
        raw: Any = buffer.raw if isinstance(buffer, io.BufferedReader) else buffer
    else:
        raw = pipe.open("rb", buffering=0)
    stream = io.BufferedReader(raw, 1 << 18)
    kind = reading["format"] or _kind_of(stream)
    return DataFile(
        pipe or Path("standard input"),
        **{**reading, "format": kind},
        stream=stream,
        on_skip=skips,
    )


def _kind_of(stream: io.BufferedReader) -> str:
    """The format by the first line that is not blank: rows of JSON, or one text per line."""
    head = stream.peek().removeprefix(codecs.BOM_UTF8).lstrip().split(b"\n")[0].strip()
    if head in (b"[", b"{", b"[{"):
        return "json"
    begun = head.startswith(b"[{") and not head.endswith(b"]")  # an array with a row per line
    try:
        value = json.loads(head[1:].rstrip(b", ") if begun else head)
    except (ValueError, RecursionError):
        return "txt"
    if isinstance(value, dict):
        return "json" if begun else "jsonl"
    rows = isinstance(value, list) and value and all(isinstance(row, dict) for row in value)
    return "json" if rows else "txt"


def input_rows(
    task: Task,
    texts: tuple[str, ...],
    file: DataFile | None,
    fields: Mapping[str, Any],
    text_column: str | None,
) -> Iterator[InputRow]:
    """The inputs, completed with the fields that are given as options.

    Raises:
        OptionError: No input is given, a field is given twice, or a field is missing.
    """
    from nlplug.data.rows import DataRow
    from nlplug.inputs import InputRow, first_field, read_inputs

    needed = [name for name in required_fields(task) if name not in fields]
    first = first_field(task, fields)
    if texts and not needed:
        raise OptionError(
            f"Both a text and {flag_of(required_fields(task)[0])} were given.",
            hint="Give one of the two.",
        )
    if texts or (file is not None and file.kind == ".txt"):
        _check_others(task, first, needed)
    if texts:
        found: Iterator[InputRow] = (
            InputRow({first: text}, DataRow({first: text}, Path("argument"), number))
            for number, text in enumerate(texts, start=1)
        )
    elif file is not None:
        found = read_inputs(task, file, fields, text_column=text_column)
    else:
        return iter([InputRow(dict(fields), DataRow(dict(fields), Path("options"), 1))])
    return (_with_fields(row, fields) for row in found)


def _with_fields(row: InputRow, fields: Mapping[str, Any]) -> InputRow:
    """An input with the fields given as options, which get their own columns in the output."""
    from nlplug.data.rows import DataRow
    from nlplug.inputs import InputRow
    from nlplug.results import free_name

    own = row.row
    added = {free_name(name, own.values, "given"): value for name, value in fields.items()}
    return InputRow(
        {**row.values, **fields}, DataRow({**added, **own.values}, own.source, own.line)
    )


def nothing_given(task: Task, source: Path | None, fields: Mapping[str, Any]) -> InputError:
    """The error if there is no input."""
    from nlplug.inputs import first_field

    first = first_field(task, fields)
    if source is not None and str(source) != "-":
        return InputError(
            f"Nothing to answer: there is no {first} in {source}.",
            hint=f"Give a file with a {first} in at least one of its rows.",
        )
    given = "".join(f' {flag_of(name)} "…"' for name in fields)
    return InputError(
        f"Nothing to answer: no {first} is given, and standard input has none.",
        hint=f'nlplug run {task.name} "…"{given}, or pipe lines into it.',
    )


def _check_others(task: Task, first: str, needed: Sequence[str]) -> None:
    """Texts and lines fill one field only; check that the others are given."""
    missing = [name for name in needed if name != first]
    if missing:
        parts = " ".join(f'{flag_of(name)} "…"' for name in missing)
        raise OptionError(
            f"The task {task.name!r} needs a {missing[0]} in addition to the {first}.",
            hint=f'nlplug run {task.name} "…" {parts}, or a file with the columns '
            f"{', '.join(required_fields(task))}.",
        )
