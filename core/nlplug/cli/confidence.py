"""``nlplug models confidence``: what held-out rows say about the scores of a model."""

from __future__ import annotations

import json
from pathlib import Path

import click

from nlplug.cli._changes import bundle_to_change
from nlplug.cli._context import host_of
from nlplug.cli._scoring import (
    ScoringCommand,
    data_option,
    label_column_option,
    labelled_rows,
    text_column_option,
    threads_option,
)


@click.command(cls=ScoringCommand)
@click.argument("model")
@data_option
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Folder of the new bundle.  [default: MODEL itself, if it is a folder]",
)
@click.option(
    "--temperature/--no-temperature",
    default=True,
    show_default=True,
    help="Whether to find a temperature; else that of the model is kept.",
)
@click.option("--task", help="Name of the task.  [default: the task of MODEL]")
@text_column_option
@label_column_option
@threads_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def confidence(
    model: str,
    data: Path,
    output: Path | None,
    temperature: bool,
    task: str | None,
    text_column: str | None,
    label_column: str | None,
    threads: int | None,
    as_json: bool,
    cli_format: str | None,
    cli_delimiter: str | None,
    cli_encoding: str | None,
) -> None:
    """Calibrate the scores of a model on rows that were not used to train it.

    The weights do not change. For a classifier, the scores become probabilities, and the option
    coverage becomes available: the command stores a temperature, if this lowers the calibration
    error, and the scores of the right labels. A default min_score is adjusted so that the same
    share of the rows has a lower score. At least 200 rows are needed.

    For a question answering model, null_score_diff_threshold is fitted: how far the score of "no
    answer" must exceed that of the best answer. At least 50 questions with an answer and 50 without
    one are needed.

    \b
    nlplug models confidence runs/mine --data held-out.csv
    nlplug run classification "Where is my order?" --model runs/mine --coverage 0.9
    """
    from nlplug.evaluation.held_out import add_held_out

    bundle, own = bundle_to_change(host_of(), model, task, output)
    file, columns = labelled_rows(
        data, text_column, label_column, cli_format, cli_delimiter, cli_encoding
    )
    made, found = add_held_out(
        own,
        bundle,
        file,
        columns=columns,
        output=output,
        temperature=temperature,
        threads=threads,
    )
    if as_json:
        click.echo(json.dumps({"path": str(made.path), **found}, indent=2))
        return
    click.echo(str(file.report), err=True)
    for name, value in found.items():
        shown = f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
        click.echo(f"{name.replace('_', ' ')}: {shown}")
    click.echo(f"The record is in {made.path}.")
