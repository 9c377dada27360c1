"""``nlplug compare``: two models, or two precisions of one, on the same labelled rows."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from nlplug.pipelines import Pipeline


@click.command(cls=ScoringCommand)
@click.argument("first")
@click.argument("second")
@click.option("--task", help="Name of the task.  [default: the task of FIRST]")
@data_option
@device_option
@threads_option
@click.option("--limit", type=click.IntRange(1), help="Compare only this number of rows.")
@text_column_option
@label_column_option
@shape_option
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Folder to write report.html, report.md and report.json to.",
)
@click.pass_context
def compare(
    ctx: click.Context,
    first: str,
    second: str,
    task: str | None,
    data: Path,
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
    """Compare two models on the same labelled rows.

    FIRST and SECOND are folders, names of installed models, or Hub ids. MODEL@PRECISION selects a
    precision, so a model can be compared with itself.

    \b
    nlplug compare old/ new/ --data dev.csv
    nlplug compare out@fp32 out@int8 --data dev.csv --output report/

    The comparison has the scores, the difference with its 95 % interval (paired bootstrap),
    McNemar's test, the share of rows with the same answer, the rows with different answers (most
    confident first), and size and speed.
    """
    from nlplug.evaluation.compare import compare as run
    from nlplug.evaluation.compare import document
    from nlplug.pipelines import pipeline
    from nlplug.plugins.isolation import stdout_to_stderr

    file, columns = labelled_rows(
        data, text_column, label_column, cli_format, cli_delimiter, cli_encoding
    )
    host = ctx.meta.get("nlplug.host")
    with ExitStack() as stack:
        stack.enter_context(stdout_to_stderr())
        pipes: list[Pipeline] = []
        for model, precision in map(_named, (first, second)):
            name = task or (pipes[0].definition.name if pipes else None)
            made = pipeline(
                name, model, precision=precision, device=device, threads=threads, host=host
            )
            pipes.append(stack.enter_context(made))
        result = run(pipes[0], pipes[1], file, limit=limit, **columns)
    click.echo(str(file.report), err=True)
    page = document(result)
    shown = {"table": page.text, "json": page.json, "markdown": page.markdown}
    click.echo(shown[shape]().rstrip())
    if output is not None:
        click.echo(f"Report: {page.write(output)}", err=True)


def _named(model: str) -> tuple[str, str]:
    """The model and the precision of ``model@precision``; ``auto`` without one."""
    name, at, precision = model.rpartition("@")
    if not at or not name or "/" in precision or Path(model).exists():
        return model, "auto"
    return name, precision
