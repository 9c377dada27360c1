"""``nlplug models calibrate``: fixed scales for int8 graphs that take them from each batch."""

from __future__ import annotations

from pathlib import Path

import click

from nlplug.cli._changes import bundle_to_change
from nlplug.cli._context import host_of, show_log
from nlplug.cli._options import FiniteRange


@click.command()
@click.argument("model")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    required=True,
    help="File with up to 512 rows to choose the scales on, preferably training rows.",
)
@click.option(
    "--eval",
    "eval_data",
    type=click.Path(path_type=Path),
    help="File with labelled rows to compare the answers on.  [default: the file of --data]",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Folder of the new bundle.  [default: MODEL itself, if it is a folder]",
)
@click.option("--task", help="Name of the task.  [default: the task of MODEL]")
@click.option(
    "--budget",
    type=FiniteRange(0, 100),
    default=0.5,
    show_default=True,
    help="Largest loss against the old graph, in points of the task's metric.",
)
def calibrate(
    model: str,
    data: Path,
    eval_data: Path | None,
    output: Path | None,
    task: str | None,
    budget: float,
) -> None:
    """Make the answers of an int8 model independent of the batch.

    For models whose int8 graphs compute their scales from each batch: those of earlier versions of
    nlplug, and most quantized graphs on the Hub. The scales are chosen on real texts and stored in
    the graphs; the weights do not change. The new graphs are compared with the old ones, and
    refused if they lose more than the budget.

    \b
    nlplug models calibrate runs/mine --data train.jsonl --eval dev.jsonl
    """
    from nlplug.cli.export import summary
    from nlplug.export.calibrate_bundle import calibrate_bundle
    from nlplug.export.config import ExportConfig

    show_log("nlplug.export")
    host = host_of()
    bundle, found = bundle_to_change(host, model, task, output)
    report = calibrate_bundle(
        ExportConfig(
            source=bundle.path,
            output=output or bundle.path,
            task=found,
            calibration=data,
            eval_data=eval_data or data,
            budget=budget / 100,
            name=bundle.name,
        )
    )
    click.echo(summary(report, "the earlier graph"))
