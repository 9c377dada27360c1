"""``nlplug evaluate``: evaluate a model on labelled data."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click

from nlplug.cli._scoring import (
    ScoringCommand,
    data_option,
    device_option,
    label_column_option,
    labelled_rows,
    shape_option,
    text_column_option,
    threads_option,
)


@click.command(cls=ScoringCommand)
@click.argument("model", required=False)
@click.option("--task", help="Name of the task.  [default: the task of MODEL]")
@data_option
@click.option(
    "--precision", default="auto", show_default=True, help="Precision to run, such as fp32 or int8."
)
@device_option
@threads_option
@click.option("--limit", type=click.IntRange(1), help="Score only this number of rows.")
@text_column_option
@label_column_option
@shape_option
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
    from nlplug.evaluation import report
    from nlplug.evaluation.run import evaluate as run
    from nlplug.pipelines import pipeline
    from nlplug.plugins.isolation import stdout_to_stderr

    file, columns = labelled_rows(
        data, text_column, label_column, cli_format, cli_delimiter, cli_encoding
    )
    with (
        stdout_to_stderr(),
        pipeline(
            task,
            model,
            precision=precision,
            device=device,
            threads=threads,
            host=ctx.meta.get("nlplug.host"),
        ) as pipe,
    ):
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
