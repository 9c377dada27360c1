"""``nlplug prune``: remove feed-forward neurons and attention heads of a checkpoint."""

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
    help="File of texts to measure neurons and heads on; 256 rows are read.",
)
@click.option(
    "--keep",
    type=float,
    default=0.5,
    show_default=True,
    help="Share of the feed-forward neurons that stay; 1: all.",
)
@click.option(
    "--keep-heads",
    type=float,
    default=1.0,
    show_default=True,
    help="Share of the attention heads that stay; 1: all.",
)
@click.option("--text-column", default="text", show_default=True, help="Column with the text.")
def prune(
    checkpoint: str, output: Path, data: Path, keep: float, keep_heads: float, text_column: str
) -> None:
    """Remove the least useful neurons and attention heads from a checkpoint.

    \b
    nlplug prune out.training/model --data rows.csv --keep 0.5 --keep-heads 0.5 --output smaller
    nlplug train classification --base smaller --teacher out --data rows.csv --output small

    CHECKPOINT is a PyTorch checkpoint: a folder or a Hub id. Pruning costs quality, so train the
    result again, preferably with the whole model as --teacher.
    """
    from nlplug.data.formats import DataFile
    from nlplug.extras import require

    for module in ("torch", "transformers"):
        require(module, "train", purpose="Pruning")
    from nlplug.train.prune import prune as run

    show_log("nlplug.train")
    file = DataFile(data)
    folder = run(
        checkpoint, output, file, keep=keep, keep_heads=keep_heads, text_column=text_column
    )
    click.echo(f"The checkpoint is in {folder}.")
