"""``nlplug run TASK``: answer texts, files or standard input on the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlplug.cli._context import host_of
from nlplug.errors import OptionError

if TYPE_CHECKING:
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

    first, *others = task.Input.model_fields
    inputs = [option for option in model_options(task.Input) if option.name in others]
    return click.Command(
        task.name,
        params=[
            click.Argument(["cli_texts"], nargs=-1, metavar=f"[{first.upper()}]..."),
            *inputs,
            *model_options(task.Options),
            *_COMMON,
        ],
        callback=lambda **values: _run(task, values),
        help=f"{localize(task.description)}\n\nWithout {first.upper()} and --input, lines of "
        "standard input are answered. Prints one line of JSON an input.",
    )


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
    click.Option(
        ["--output", "cli_output"],
        type=click.Path(path_type=Path),
        help="Write rows with their answers to a .jsonl, .csv or .tsv file (also .gz).",
    ),
]


def _run(task: Task, values: dict[str, Any]) -> None:
    from nlplug.cli._options import given
    from nlplug.pipelines import pipeline
    from nlplug.results import answered_rows, to_columns

    texts: tuple[str, ...] = values.pop("cli_texts")
    source: Path | None = values.pop("cli_input")
    target: Path | None = values.pop("cli_output")
    setup = {name: values.pop(name) for name in ("model", "precision", "device", "threads")}
    if texts and source:
        raise OptionError("Both texts and --input were given.", hint="Give one of the two.")
    arguments = given(values)
    fields = {name: value for name, value in arguments.items() if name in task.Input.model_fields}
    options = {name: value for name, value in arguments.items() if name not in fields}
    with pipeline(task.name, host=host_of(), **setup) as pipe:
        rows = ({**row, **fields} for row in _rows(task, texts, source))
        answered = answered_rows(_checked(pipe, options), rows, **options)
        if target is None:
            for _, answer in answered:
                click.echo(json.dumps(answer, ensure_ascii=False))
            return
        from nlplug.data.writers import open_writer

        with open_writer(target) as writer:
            for row, answer in answered:
                writer.write({**row, **to_columns(answer)})


def _checked(pipe: Pipeline, options: Mapping[str, Any]) -> Pipeline:
    """Find a wrong option before a file is opened or standard input is waited for."""
    from nlplug.validation import make_options

    make_options(pipe.task, options)
    return pipe


def _rows(task: Task, texts: tuple[str, ...], source: Path | None) -> Iterator[dict[str, Any]]:
    from nlplug.pipelines import read_inputs

    first = next(iter(task.Input.model_fields))
    if texts:
        yield from ({first: text} for text in texts)
    elif source is not None and str(source) != "-":
        yield from read_inputs(task, source)
    elif source is None and sys.stdin.isatty():
        raise OptionError(
            f"Nothing to answer: no {first}, no --input, and standard input is a terminal.",
            hint=f'nlplug run {task.name} "…", or pipe lines into it.',
        )
    else:
        for line in sys.stdin:
            if text := line.rstrip("\r\n"):
                yield {first: text}
