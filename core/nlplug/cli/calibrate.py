"""``nlplug models calibrate``: fixed scales for int8 graphs that take them from each batch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nlplug.cli._context import host_of, show_log

if TYPE_CHECKING:
    from nlplug.models.bundle import Bundle


@click.command()
@click.argument("model")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    required=True,
    help="File with up to 512 rows to choose the scales on, best rows of the training data.",
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
    type=click.FloatRange(0, 100),
    default=0.5,
    show_default=True,
    help="Largest loss against the earlier graph, in points of the task's metric.",
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

    For models whose int8 graphs take one scale from each batch: those of earlier versions of
    nlplug, and most quantized graphs of the Hub. The scales are chosen on real texts and
    written into the graphs; the weights stay as they are. The new graphs are compared with the
    earlier ones, and refused if they lose more than the budget.

    \b
    nlplug models calibrate runs/mine --data train.jsonl --eval dev.jsonl
    """
    from nlplug.cli.export import summary
    from nlplug.errors import OptionError
    from nlplug.export.calibrate_bundle import calibrate_bundle
    from nlplug.export.config import ExportConfig
    from nlplug.models.resolve import is_path, resolve

    show_log("nlplug.export")
    host = host_of()
    bundle = resolve(model, host=host, fetch=False)
    if output is None and not is_path(model):
        raise OptionError(
            f"{model!r} is an installed or cached model, which is not changed.",
            hint="Give --output, the folder of the new bundle.",
        )
    report = calibrate_bundle(
        ExportConfig(
            source=bundle.path,
            output=output or bundle.path,
            task=host.task(own_task(bundle, task)),
            calibration=data,
            eval_data=eval_data or data,
            budget=budget / 100,
            name=bundle.name,
        )
    )
    click.echo(summary(report, "the earlier graph"))


def own_task(bundle: Bundle, task: str | None) -> str:
    """The name of the task that is given, else that of the model.

    Raises:
        UnknownTask: There is neither.
    """
    from nlplug.errors import UnknownTask

    name = task or (bundle.manifest.task if bundle.manifest else "")
    if not name:
        raise UnknownTask(
            f"The model {bundle.name!r} does not say which task it is for.", hint="Give --task."
        )
    return name
