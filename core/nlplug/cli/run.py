"""``nlplug run TASK``: answer texts, files or standard input on the command line."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlplug.cli._context import host_of
from nlplug.cli._options import reading_options
from nlplug.errors import InputError, NlplugError, OptionError

if TYPE_CHECKING:
    from nlplug.data.formats import DataFile
    from nlplug.data.report import SkippedRow
    from nlplug.data.writers import RowWriter
    from nlplug.inputs import InputRow
    from nlplug.pipelines import Pipeline
    from nlplug.task import Task


class _Tasks(click.Group):
    """One subcommand a task; only the plugin of the task that is run gets imported."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return host_of(ctx).task_names()

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return _command(host_of(ctx).task(cmd_name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        names = self.list_commands(ctx)
        with formatter.section("Tasks"):
            formatter.write_text(", ".join(names) or "none installed")
            formatter.write_text("`nlplug run TASK --help` shows the options of a task.")


@click.group(cls=_Tasks, subcommand_metavar="TASK [TEXT]... [OPTIONS]")
def run() -> None:
    """Answer texts, a file, or standard input with a task."""


def _command(task: Task) -> click.Command:
    from nlplug.cli._options import model_options
    from nlplug.task import localize

    first = next(iter(task.Input.model_fields))
    taken = {option.name for option in _COMMON}
    inputs = [option for option in model_options(task.Input) if option.name not in taken]
    for option in inputs:
        option.help = f"{option.help}  @FILE reads it from a file.".strip()
    return click.Command(
        task.name,
        params=[
            click.Argument(["cli_texts"], nargs=-1, metavar=f"[{first.upper()}]..."),
            *inputs,
            *model_options(task.Options),
            *([_STREAM] if task.streams else []),
            *_COMMON,
        ],
        callback=lambda **values: _run(task, values),
        help=f"{localize(task.description)}\n\n{_usage(task)} {_printed(task)}",
    )


def _printed(task: Task) -> str:
    line = "Prints one line of JSON an input"
    return f"{line}; on a terminal the new text as it is made." if task.streams else f"{line}."


def _usage(task: Task) -> str:
    first, *others = _required(task)
    text = f"Without {first.upper()} and --input, lines of standard input are answered."
    if not others:
        return text
    flags = f"{', '.join(map(_flag, [first, *others[:-1]]))} and {_flag(others[-1])}"
    return (
        f"{text} What {flags} give holds for all inputs; texts, lines and the lines of a .txt file "
        "fill the first field that none of them gives."
    )


def _required(task: Task) -> list[str]:
    """The fields that an input cannot lack; at least its first one."""
    fields = task.Input.model_fields
    names = [name for name, info in fields.items() if info.is_required()]
    return names or list(fields)[:1]


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


_COMMON: list[click.Parameter] = [
    click.Option(["--model"], help="Folder, packaged name or Hub id.  [default: the embedded one]"),
    click.Option(["--precision"], default="auto", help="fp32, fp16, int8 …  [default: auto]"),
    click.Option(["--device"], default="auto", help="auto, cpu, cuda, cuda:N.  [default: auto]"),
    click.Option(["--threads"], type=int, help="CPU threads.  [default: all usable]"),
    click.Option(
        ["--input", "cli_input"],
        type=click.Path(path_type=Path),
        help="A .txt, .csv, .tsv, .jsonl or .parquet file (also .gz); - for standard input.",
    ),
    *reading_options("--format"),
    click.Option(
        ["--text-column", "cli_text_column"],
        help="Column that fills the task's first field.  [default: the column of its name]",
    ),
    click.Option(
        ["--on-error", "cli_on_error"],
        type=click.Choice(["stop", "skip"]),
        default="stop",
        help="What happens at a row that cannot be read or answered. stop: the error names the "
        "row, and answers before it are kept. skip: the row is left out; skipped rows are counted "
        "and written beside --output, to a file .skipped.jsonl.  [default: stop]",
    ),
    click.Option(
        ["--output", "cli_output"],
        type=click.Path(path_type=Path),
        help="Write rows with their answers to a .jsonl, .csv or .tsv file (also .gz); in tables "
        "an answer that is a list has a row for each of its elements. All columns of the input are "
        "kept; an answer's column whose name is taken is called predicted_NAME.",
    ),
]

_STREAM = click.Option(
    ["--stream/--no-stream", "cli_stream"],
    default=None,
    help="Print the new text alone, as it is made.  [default: on a terminal]",
)


def _run(task: Task, values: dict[str, Any]) -> None:
    from nlplug.cli._options import given
    from nlplug.pipelines import pipeline
    from nlplug.results import answered_rows

    texts: tuple[str, ...] = values.pop("cli_texts")
    source: Path | None = values.pop("cli_input")
    target: Path | None = values.pop("cli_output")
    stream: bool | None = values.pop("cli_stream", None)
    text_column: str | None = values.pop("cli_text_column")
    reading = {name: values.pop(f"cli_{name}") for name in ("format", "delimiter", "encoding")}
    skips = _Skips(target) if values.pop("cli_on_error") == "skip" else None
    setup = {name: values.pop(name) for name in ("model", "precision", "device", "threads")}
    arguments = given(values)
    fields = {
        name: _from_file(name, value)
        for name, value in arguments.items()
        if name in task.Input.model_fields
    }
    options = {name: value for name, value in arguments.items() if name not in fields}
    if texts and source:
        raise OptionError("Both texts and --input were given.", hint="Give one of the two.")
    file = None if texts else _file(task, source, fields, reading, skips)
    rows = _rows(task, texts, file, fields, text_column)
    if stream and target is not None:
        raise OptionError("Both --stream and --output were given.", hint="Give one of the two.")
    if stream is None:
        stream = None if task.streams and target is None and sys.stdout.isatty() else False
    with ExitStack() as stack:
        stack.callback(_report, file)
        if skips is not None:
            stack.enter_context(closing(skips))
        pipe = stack.enter_context(pipeline(task.name, host=host_of(), **setup))
        _checked(pipe, options)
        first = next(rows, None)
        if first is None:
            raise _nothing(task, source, fields)
        rows = chain([first], rows)
        if stream is not False and (stream or _tellable(pipe, first.values, options)):
            return _tell(pipe, (row.values for row in rows), options)
        reject = None if skips is None else partial(_rejected, file, skips)
        answered = answered_rows(partial(pipe.map, **options), rows, reject=reject)
        if target is None:
            for _, answer in answered:
                click.echo(json.dumps(answer, ensure_ascii=False))
        else:
            _write(task, target, ((row.row.values, answer) for row, answer in answered))


def _report(file: DataFile | None) -> None:
    """Print what was understood of a file; of lines of standard input there is nothing to say."""
    if file is not None and file.report.rows and (file.stream is None or file.kind != ".txt"):
        click.echo(str(file.report), err=True)


class _Skips:
    """Takes the rows that are skipped: writes them beside the output, or names them."""

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
        """Finish the file, and say where it is."""
        if self._writer is not None:
            self._writer.__exit__(None, None, None)
            click.echo(f"Skipped rows ({self._count:,}) are in {self._target}.", err=True)


def _rejected(file: DataFile | None, skips: _Skips, row: InputRow, error: InputError) -> None:
    """Count a row as skipped that the model cannot take."""
    from nlplug.data.report import SkippedRow

    source = row.row
    reason = error.message.removeprefix(f"{source.where}: ")
    if file is not None:
        file.report.rows -= 1
        file.report.skipped[reason[:120].rstrip(".")] += 1
    skips(SkippedRow(source.source, source.line, reason, source.values))


def _tell(pipe: Pipeline, rows: Iterator[Mapping[str, Any]], options: Mapping[str, Any]) -> None:
    """Print each answer while it is made; where Ctrl-C breaks it off, click ends the line."""
    for row in rows:
        with closing(pipe.stream(row, **options)) as texts:
            try:
                for text in texts:
                    click.echo(text, nl=False)
            except NlplugError:
                click.echo()
                raise
            click.echo()


def _tellable(pipe: Pipeline, row: Mapping[str, Any], options: Mapping[str, Any]) -> bool:
    """Whether the new text says all that is asked for, and can be had as it is made."""
    from nlplug.task import only_whole

    if any(options.get(name) for name in only_whole(pipe.task.Options)):
        return False
    try:
        pipe.stream(row, **options).close()
    except OptionError:  # where it is wrong in itself, the whole answer says so too
        return False
    return True


def _write(task: Task, target: Path, answered: Iterator[tuple[Mapping[str, Any], Any]]) -> None:
    from nlplug.data.formats import data_format
    from nlplug.data.writers import open_writer
    from nlplug.results import records, table_rows

    flat = data_format(target) in (".csv", ".tsv")
    writer = open_writer(target, keep=True)
    try:
        with writer:
            for row in table_rows(task, answered) if flat else records(answered):
                writer.write(row)
    finally:
        if writer.kept is not None:
            click.echo(f"Rows answered before the error: {writer.count:,}, {writer.kept}", err=True)


def _checked(pipe: Pipeline, options: Mapping[str, Any]) -> None:
    """Find a wrong option before a file is opened or standard input is waited for."""
    from nlplug.validation import make_options

    make_options(pipe.task, pipe.defaults | dict(options))


def _from_file(name: str, value: Any) -> Any:
    """A field's value, or the content of the file that ``@FILE`` names."""
    if not isinstance(value, str) or not value.startswith("@") or value.startswith("@@"):
        return value[1:] if isinstance(value, str) and value.startswith("@@") else value
    path = Path(value[1:])
    try:
        return path.read_text(encoding="utf-8-sig").removesuffix("\n")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InputError(
            f"{_flag(name)} {value}: {path} cannot be read ({why}).",
            hint="Write @@ where the text itself begins with @.",
        ) from None


def _file(
    task: Task,
    source: Path | None,
    fields: Mapping[str, Any],
    reading: Mapping[str, Any],
    skips: _Skips | None,
) -> DataFile | None:
    """The file to read, or standard input; None where options give a whole input.

    Raises:
        OptionError: Standard input is a terminal, or a setting of the reader is wrong.
    """
    from nlplug.data.formats import DataFile
    from nlplug.inputs import first_field

    if source is not None and str(source) != "-":
        return DataFile(source, **reading, on_skip=skips)
    if not [name for name in _required(task) if name not in fields]:
        return None
    first = first_field(task, fields)
    if source is None and sys.stdin.isatty():
        raise OptionError(
            f"Nothing to answer: no {first}, no --input, and standard input is a terminal.",
            hint=f'nlplug run {task.name} "…", or pipe lines into it.',
        )
    buffer = sys.stdin.buffer
    raw: Any = buffer.raw if isinstance(buffer, io.BufferedReader) else buffer
    stream = io.BufferedReader(raw, 1 << 18)
    kind = reading["format"] or ("jsonl" if _begins_with_object(stream) else "txt")
    return DataFile(
        Path("standard input"), **{**reading, "format": kind}, stream=stream, on_skip=skips
    )


def _begins_with_object(stream: io.BufferedReader) -> bool:
    """Whether the first line that is not blank is a JSON object."""
    head = stream.peek().lstrip().split(b"\n")[0]
    try:
        return isinstance(json.loads(head), dict)
    except (ValueError, RecursionError):
        return False


def _rows(
    task: Task,
    texts: tuple[str, ...],
    file: DataFile | None,
    fields: Mapping[str, Any],
    text_column: str | None,
) -> Iterator[InputRow]:
    """The inputs, with the fields that options give in each of them.

    Raises:
        OptionError: Nothing is given, or something twice, or a field is left out.
    """
    from nlplug.data.rows import DataRow
    from nlplug.inputs import InputRow, first_field, read_inputs

    needed = [name for name in _required(task) if name not in fields]
    first = first_field(task, fields)
    if texts and not needed:
        raise OptionError(
            f"Both a text and {_flag(_required(task)[0])} were given.",
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
    """An input with the fields that options give, which have columns of their own in the output."""
    from nlplug.data.rows import DataRow
    from nlplug.inputs import InputRow
    from nlplug.results import free_name

    own = row.row
    added = {free_name(name, own.values, "given"): value for name, value in fields.items()}
    return InputRow(
        {**row.values, **fields}, DataRow({**added, **own.values}, own.source, own.line)
    )


def _nothing(task: Task, source: Path | None, fields: Mapping[str, Any]) -> InputError:
    """What is wrong where there is not a single input."""
    from nlplug.inputs import first_field

    first = first_field(task, fields)
    if source is not None and str(source) != "-":
        return InputError(
            f"Nothing to answer: there is no {first} in {source}.",
            hint=f"Give a file with a {first} in at least one of its rows.",
        )
    given = "".join(f' {_flag(name)} "…"' for name in fields)
    return InputError(
        f"Nothing to answer: no {first} is given, and standard input has none.",
        hint=f'nlplug run {task.name} "…"{given}, or pipe lines into it.',
    )


def _check_others(task: Task, first: str, needed: Sequence[str]) -> None:
    """Texts and lines fill one field alone; the others have to be given."""
    missing = [name for name in needed if name != first]
    if missing:
        parts = " ".join(f'{_flag(name)} "…"' for name in missing)
        raise OptionError(
            f"The task {task.name!r} needs a {missing[0]} beside the {first}.",
            hint=f'nlplug run {task.name} "…" {parts}, or a file with the columns '
            f"{', '.join(_required(task))}.",
        )
