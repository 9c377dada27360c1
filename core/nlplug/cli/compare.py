"""``nlplug compare``: two models, or two precisions of one, on the same rows."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nlplug.cli._options import named_options
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
from nlplug.errors import OptionError

if TYPE_CHECKING:
    from nlplug.pipelines import Pipeline


@click.command(cls=ScoringCommand)
@click.argument("first")
@click.argument("second")
@click.option("--task", help="Name of the task.  [default: the task of FIRST]")
@data_option
@click.option(
    "--unlabelled",
    is_flag=True,
    help="The rows have no right answers, as in a file for nlplug run: show how often both models "
    "give the same answer, and the rows where they do not.",
)
@device_option
@threads_option
@click.option("--limit", type=click.IntRange(1), help="Compare only this number of rows.")
@text_column_option
@label_column_option
@shape_option
@click.option(
    "--option",
    "options",
    metavar="NAME=VALUE",
    multiple=True,
    help="Option of the task for both models, such as candidate_labels=news,sport. Repeat it for "
    "several options, and for the values of a list. nlplug run TASK --help lists the options.",
)
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
    unlabelled: bool,
    device: str,
    threads: int | None,
    limit: int | None,
    text_column: str | None,
    label_column: str | None,
    shape: str,
    options: tuple[str, ...],
    output: Path | None,
    cli_format: str | None,
    cli_delimiter: str | None,
    cli_encoding: str | None,
) -> None:
    """Compare two models on the same rows.

    FIRST and SECOND are folders, names of installed models, or Hub ids. MODEL@PRECISION selects a
    precision, so a model can be compared with itself.

    \b
    nlplug compare old/ new/ --data dev.csv
    nlplug compare out@fp32 out@int8 --data dev.csv --output report/
    nlplug compare old/ new/ --data texts.txt --unlabelled
    nlplug compare old/ new/ --data texts.txt --unlabelled --option top_k=3

    The comparison has the scores, the difference with its 95 % interval (paired bootstrap),
    McNemar's test, the share of rows with the same answer, the rows with different answers (most
    confident first), and size and speed.
    """
    from nlplug.evaluation import agreement, compare
    from nlplug.evaluation.document import check_target
    from nlplug.pipelines import pipeline
    from nlplug.plugins.isolation import stdout_to_stderr

    if output is not None:
        check_target(output)  # before the work, which may take long
    if unlabelled and label_column is not None:
        raise OptionError(
            "--label-column names right answers, and --unlabelled says that there are none.",
            hint="Leave one of them out.",
        )
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
        first_pipe, second_pipe = pipes
        scored = first_pipe.definition
        own = named_options(scored.Options, options, ctx)
        if unlabelled:
            page = agreement.document(
                agreement.agreement(
                    first_pipe,
                    second_pipe,
                    file,
                    limit=limit,
                    text_column=text_column,
                    options=own,
                )
            )
        elif scored.family.scoring:
            page = compare.document(
                compare.compare(first_pipe, second_pipe, file, limit=limit, options=own, **columns)
            )
        else:
            raise OptionError(
                f"Answers of the task {scored.name!r} cannot be scored.",
                hint="Compare without right answers: --unlabelled",
            )
    click.echo(str(file.report), err=True)
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
