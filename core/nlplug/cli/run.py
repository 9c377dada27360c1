"""``nlplug run TASK``: answer texts, files or standard input on the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from nlplug.answer_values import numpy_as_json
from nlplug.cli._context import host_of
from nlplug.cli._inputs import (
    Skips,
    check_output,
    data_file,
    flag_of,
    from_file,
    input_rows,
    nothing_given,
    rejected,
    required_fields,
)
from nlplug.cli._options import reading_options
from nlplug.cli._tasks import TaskGroup
from nlplug.errors import NlplugError, OptionError

if TYPE_CHECKING:
    from nlplug.data.formats import DataFile
    from nlplug.pipelines import Pipeline
    from nlplug.task import Task


class _Tasks(TaskGroup):
    file_argument = "--input "

    def command_of(self, task: Task) -> click.Command:
        return _command(task)


class _OfTask(click.Command):
    """The command of a task, whose arguments are texts.

    It also has an option, not shown in its help, for each further argument that the task converts.
    """

    def __init__(self, task: Task, **attributes: Any) -> None:
        super().__init__(task.name, **attributes)
        self._task = task

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        from nlplug.cli._options import named_option
        from nlplug.validation import takes_argument

        try:
            return super().parse_args(ctx, [*args])
        except click.NoSuchOption as error:
            further = named_option(error.option_name)
            if takes_argument(self._task, further.name or ""):
                self.params.append(further)
                return self.parse_args(ctx, args)
            if not error.possibilities:
                hint = "Write -- before texts that begin with a hyphen."
                raise click.UsageError(f"{error.format_message()} {hint}", ctx) from None
            raise


@click.group(cls=_Tasks, subcommand_metavar="TASK [TEXT]... [OPTIONS]")
def run() -> None:
    """Answer texts, a file, or standard input with a task."""


def _command(task: Task) -> click.Command:
    from nlplug.cli._options import model_options
    from nlplug.task import localize

    first = next(iter(task.Input.model_fields))
    taken = {"model", *(option.name for option in _COMMON)}
    inputs = [option for option in model_options(task.Input) if option.name not in taken]
    for option in inputs:
        option.help = f"{option.help}  @FILE reads the value from a file.".strip()
    return _OfTask(
        task,
        params=[
            click.Argument(["cli_texts"], nargs=-1, metavar=f"[{first.upper()}]..."),
            *inputs,
            *model_options(task.Options, task.rules),
            *([_STREAM] if task.family.streams else []),
            model_option(task),
            *_COMMON,
        ],
        callback=lambda **values: _run(task, values),
        help=f"{localize(task.description)}\n\n{_usage(task)} {_printed(task)}",
    )


def _printed(task: Task) -> str:
    line = "Prints one line of JSON per input"
    return (
        f"{line}; on a terminal, prints the new text while it is generated."
        if task.family.streams
        else f"{line}."
    )


def _usage(task: Task) -> str:
    first, *others = required_fields(task)
    text = f"Without {first.upper()} and --input, reads lines from standard input."
    if not others:
        return text
    flags = f"{', '.join(map(flag_of, [first, *others[:-1]]))} and {flag_of(others[-1])}"
    return (
        f"{text} The values of {flags} apply to all inputs; texts and lines fill the first field "
        "that is not given as an option."
    )


def model_option(task: Task) -> click.Option:
    """The option ``--model`` of a command of a task."""
    default = "default: the embedded model" if task.default_model else "required"
    fit = f" Suitable: {', '.join(task.suggested_models)}." if task.suggested_models else ""
    return click.Option(
        ["--model"],
        help="Folder, name of a packaged model, or Hub id. auto: the installed models of the task; "
        f"the language of each text chooses one.{fit}  [{default}]",
    )


_COMMON: list[click.Parameter] = [
    click.Option(["--precision"], default="auto", help="fp32, fp16, int8 …  [default: auto]"),
    click.Option(
        ["--device"],
        default="auto",
        help="auto, cpu, cuda, cuda:N, openvino, openvino:gpu.  [default: auto]",
    ),
    click.Option(["--threads"], type=int, help="CPU threads.  [default: all usable]"),
    click.Option(
        ["--input", "cli_input"],
        type=click.Path(path_type=Path),
        help="A .txt, .csv, .tsv, .jsonl (also .gz, .bz2, .xz, .zip), .parquet or .xlsx file; - "
        "for standard input.",
    ),
    *reading_options("--format"),
    click.Option(
        ["--text-column", "cli_text_column"],
        help="Column for the first field of the task.  [default: the column of the same name]",
    ),
    click.Option(
        ["--on-error", "cli_on_error"],
        type=click.Choice(["stop", "skip"]),
        default="stop",
        help="What to do with a row that cannot be read or answered. stop: end with an error that "
        "names the row, and keep the answers before it. skip: continue; skipped rows are counted, "
        "and written to a file .skipped.jsonl next to --output.  [default: stop]",
    ),
    click.Option(
        ["--output", "cli_output"],
        type=click.Path(path_type=Path),
        help="Write the rows with their answers to a .jsonl, .csv or .tsv file (also .gz). In "
        "tables an answer that is a list becomes one row per element. All columns of the input are "
        "kept; a column of the answer whose name is already used is called predicted_NAME.",
    ),
]

_STREAM = click.Option(
    ["--stream/--no-stream", "cli_stream"],
    default=None,
    help="Print only the new text, while it is generated.  [default: on a terminal]",
)


def _run(task: Task, values: dict[str, Any]) -> None:
    from nlplug.cli._options import given
    from nlplug.pipelines import pipeline
    from nlplug.plugins.isolation import exit_as_error, stdout_to_stderr
    from nlplug.results import answered_rows

    output = sys.stdout  # only for answers; output of plugins goes to stderr
    texts: tuple[str, ...] = values.pop("cli_texts")
    source: Path | None = values.pop("cli_input")
    target: Path | None = values.pop("cli_output")
    stream: bool | None = values.pop("cli_stream", None)
    text_column: str | None = values.pop("cli_text_column")
    reading = {name: values.pop(f"cli_{name}") for name in ("format", "delimiter", "encoding")}
    skips = Skips(target) if values.pop("cli_on_error") == "skip" else None
    setup = {name: values.pop(name) for name in ("model", "precision", "device", "threads")}
    arguments = given(values)
    fields = {
        name: from_file(name, value)
        for name, value in arguments.items()
        if name in task.Input.model_fields
    }
    options = {name: value for name, value in arguments.items() if name not in fields}
    if texts and source:
        raise OptionError("Both texts and --input were given.", hint="Give one of the two.")
    check_output(source, target)
    file = None if texts else data_file(task, source, fields, reading, skips)
    rows = input_rows(task, texts, file, fields, text_column)
    if stream and target is not None:
        raise OptionError("Both --stream and --output were given.", hint="Give one of the two.")
    if stream is None:
        whole = target is not None or skips is not None or not (sys.stdout and sys.stdout.isatty())
        stream = None if task.family.streams and not whole else False
    with ExitStack() as stack:
        stack.callback(_report, file)
        if skips is not None:
            stack.enter_context(closing(skips))
        stack.enter_context(stdout_to_stderr())
        stack.enter_context(exit_as_error(task.name))
        pipe = stack.enter_context(pipeline(task.name, host=host_of(), **setup))
        stack.callback(_report_models, pipe)
        options = _checked(pipe, options)
        first = next(rows, None)
        if first is None:
            raise nothing_given(task, source, fields)
        rows = chain([first], rows)
        if stream is not False and (stream or _can_stream(pipe, first.values, options)):
            return _stream_answers(pipe, (row.values for row in rows), options, output)
        reject = None if skips is None else partial(rejected, file, skips)
        answered = answered_rows(partial(pipe.map, **options), rows, reject=reject)
        if target is None:
            for _, answer in answered:
                click.echo(_json_of(answer), file=output)
        else:
            _write(task, target, ((row.row.values, answer) for row, answer in answered))


def _json_of(answer: Any) -> str:
    return json.dumps(answer, ensure_ascii=False, allow_nan=False, default=numpy_as_json)


def _report(file: DataFile | None) -> None:
    """Print how a file was read, but not for plain lines of standard input in UTF-8."""
    if file is None or not file.report.rows:
        return
    if file.stream is None or file.kind != ".txt" or file.report.notes:
        click.echo(str(file.report), err=True)


def _report_models(pipe: Pipeline) -> None:
    """Print which models answered, where the language of each text chose one."""
    if pipe.answered:
        counts = (f"{name} ({count:,})" for name, count in pipe.answered.items())
        click.echo(f"Answered by {', '.join(counts)}", err=True)


def _stream_answers(
    pipe: Pipeline,
    rows: Iterator[Mapping[str, Any]],
    options: Mapping[str, Any],
    output: TextIO,
) -> None:
    """Print each answer while it is generated; after Ctrl-C, click ends the line."""
    for row in rows:
        with closing(pipe.stream(row, **options)) as texts:
            try:
                for text in texts:
                    click.echo(text, nl=False, file=output)
            except NlplugError:
                click.echo(file=output)
                raise
            click.echo(file=output)


def _can_stream(pipe: Pipeline, row: Mapping[str, Any], options: Mapping[str, Any]) -> bool:
    """Whether the new text is the whole result that was asked for, and can be streamed."""
    from nlplug.task import only_whole

    if any(options.get(name) for name in only_whole(pipe.definition.Options)):
        return False
    try:
        pipe.stream(row, **options).close()
    except OptionError:  # an invalid option raises again in the call for the whole answer
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


def _checked(pipe: Pipeline, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, converted and checked before a file is opened or standard input is read."""
    from nlplug.validation import make_options, merge_options

    task = pipe.definition
    adapted = task.adapt(options)
    make_options(task, merge_options(task, pipe.defaults, adapted))
    return adapted
