"""``nlplug evaluate``: evaluate a model on labelled data."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from nlplug.cli._options import reading_options


class _Evaluate(click.Command):
    """The command, with the options of the data file."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += reading_options("--data-format")


@click.command(cls=_Evaluate)
@click.argument("model", required=False)
@click.option("--task", help="Name of the task.  [default: the task of MODEL]")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    required=True,
    help="File with labelled rows: .csv, .tsv, .jsonl, .json, .conll, .bio (also .gz), .parquet.",
)
@click.option(
    "--precision", default="auto", show_default=True, help="Precision to run, such as fp32 or int8."
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="Device to run on: auto, cpu, cuda or cuda:N.",
)
@click.option("--threads", type=int, help="Number of CPU threads.  [default: all available]")
@click.option("--limit", type=click.IntRange(1), help="Score only this number of rows.")
@click.option("--text-column", help="Column with the text.  [default: text]")
@click.option(
    "--label-column", help="Column with the label.  [default: label or labels; depends on the task]"
)
@click.option(
    "--format",
    "shape",
    type=click.Choice(["table", "json", "markdown"]),
    default="table",
    show_default=True,
    help="Output format.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Folder to write report.html, report.md, report.json and plots to.",
)
@click.pass_context
def evaluate(
    ctx: click.Context,
    model: str | None,
    task: str | None,
    data: Path,
    precision: str,
    device: str,
    threads: int | None,
    limit: int | None,
    text_column: str | None,
    label_column: str | None,
    shape: str,
    output: Path | None,
    cli_format: str | None,
    cli_delimiter: str | None,
    cli_encoding: str | None,
) -> None:
    """Evaluate a model on labelled data.

    MODEL is a folder, the name of an installed model, or a Hub id. Without MODEL, the default model
    of --task is evaluated.

    \b
    nlplug evaluate --task sentiment --data dev.jsonl
    nlplug evaluate out/ --data dev.csv --precision int8 --output report/
    """
    from nlplug.data.formats import DataFile
    from nlplug.evaluation import report
    from nlplug.evaluation.run import evaluate as run
    from nlplug.pipelines import pipeline

    columns = {
        name: value
        for name, value in (("text", text_column), ("label", label_column))
        if value is not None
    }
    file = DataFile(
        data,
        format=cli_format,
        delimiter=cli_delimiter,
        encoding=cli_encoding,
        label_column=label_column,
    )
    with pipeline(
        task,
        model,
        precision=precision,
        device=device,
        threads=threads,
        host=ctx.meta.get("nlplug.host"),
    ) as pipe:
        show = _counter() if sys.stderr.isatty() else None
        result = run(pipe, file, limit=limit, progress=show, **columns)
    if show is not None:
        click.echo("\r\033[K", nl=False, err=True)
    click.echo(str(file.report), err=True)
    printers = {
        "table": report.as_text,
        "json": report.as_json,
        "markdown": report.as_markdown,
    }
    click.echo(printers[shape](result).rstrip())
    if output is not None:
        click.echo(f"Report: {report.write_report(result, output)}", err=True)


def _counter() -> Callable[[int], None]:
    def show(rows: int) -> None:
        if rows % 64 == 0:
            click.echo(f"\r{rows:,} rows", nl=False, err=True)

    return show
