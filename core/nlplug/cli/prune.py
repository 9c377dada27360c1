"""``nlplug prune``: make the feed-forward layers of a checkpoint narrower."""

from __future__ import annotations

from pathlib import Path

import click

from nlplug.cli._context import show_log


@click.command()
@click.argument("checkpoint")
@click.option(
    "--output", type=click.Path(path_type=Path), required=True, help="Folder of the new checkpoint."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    required=True,
    help="File of texts to measure the neurons on; 256 rows are read.",
)
@click.option(
    "--keep",
    type=float,
    default=0.5,
    show_default=True,
    help="Share of the feed-forward neurons that stay.",
)
@click.option("--text-column", default="text", show_default=True, help="Column with the text.")
def prune(checkpoint: str, output: Path, data: Path, keep: float, text_column: str) -> None:
    """Write a smaller checkpoint: the least useful feed-forward neurons are removed.

    \b
    nlplug prune out.training/model --data rows.csv --keep 0.5 --output smaller
    nlplug train classification --base smaller --teacher out --data rows.csv --output small

    CHECKPOINT is a PyTorch checkpoint: a folder or a Hub id. The result has lost quality and has to
    be trained again, best with the whole model as --teacher.
    """
    from nlplug.data.formats import DataFile
    from nlplug.extras import require

    for module in ("torch", "transformers"):
        require(module, "train", purpose="Pruning")
    from nlplug.train.prune import prune as run

    show_log("nlplug.train")
    folder = run(checkpoint, output, DataFile(data), keep=keep, text_column=text_column)
    click.echo(f"The checkpoint is in {folder}.")
