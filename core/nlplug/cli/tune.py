"""``nlplug models tune``: the fastest settings of a model on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nlplug.cli._context import host_of
from nlplug.cli._options import FiniteRange
from nlplug.cli._scoring import (
    label_column_option,
    labelled_rows,
    shape_option,
    text_column_option,
    threads_option,
)

if TYPE_CHECKING:
    from nlplug.data.formats import DataFile


@click.command()
@click.argument("model")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="File with labelled rows, to measure on your own texts and to compare the accuracy of the "
    "precisions.  [default: the examples of the task]",
)
@click.option("--task", help="Name of the task.  [default: the task of MODEL]")
@click.option(
    "--seconds",
    type=FiniteRange(1, 3600),
    default=50.0,
    show_default=True,
    help="Time for measuring speed.",
)
@click.option(
    "--forget", is_flag=True, help="Remove what was measured before, and measure nothing."
)
@text_column_option
@label_column_option
@threads_option
@shape_option
def tune(
    model: str,
    data: Path | None,
    task: str | None,
    seconds: float,
    forget: bool,
    text_column: str | None,
    label_column: str | None,
    threads: int | None,
    shape: str,
) -> None:
    """Find the fastest settings of a model on this machine.

    Measures precisions, devices and batch sizes alternately, and stores the fastest settings that
    keep the accuracy. They are then used whenever neither a precision nor a device is given, until
    the files of the model, the processor or ONNX Runtime change. Run it while nothing else runs on
    the machine.

    \b
    nlplug models tune sentiment-en
    nlplug models tune runs/mine --data dev.csv
    """
    from nlplug.arguments import task_of
    from nlplug.evaluation.tune import document
    from nlplug.evaluation.tune import tune as run
    from nlplug.models.resolve import resolve
    from nlplug.models.tuned import forget as remove

    host = host_of()
    bundle = resolve(model, host=host, fetch=False)
    if forget:
        found = remove(bundle)
        click.echo("Removed." if found else f"{model} was not tuned on this machine.")
        return
    file: DataFile | None = None
    columns: dict[str, str] = {}
    if data is not None:
        file, columns = labelled_rows(data, text_column, label_column, None, None, None)
    result = run(
        host.task(task or task_of(bundle)),
        bundle,
        file,
        seconds=seconds,
        threads=threads,
        **columns,
    )
    page = document(result)
    shown = {"table": page.text, "json": page.json, "markdown": page.markdown}
    click.echo(shown[shape]().rstrip())
