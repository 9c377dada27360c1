"""``nlplug pretrain``: train a tokenizer and a model from scratch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nlplug.cli._config import ConfigCommand, read_config
from nlplug.cli._context import show_log
from nlplug.train.pretrain_config import PretrainConfig


class _Pretrain(ConfigCommand):
    settings = PretrainConfig


@click.command(cls=_Pretrain)
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    help='TOML file with any of the settings below (data = ["a.txt"]); options given here win.',
)
def pretrain(file: Path | None, **values: Any) -> None:
    """Train a tokenizer and a model from scratch, on texts or on pairs of texts.

    \b
    nlplug pretrain --data novels.jsonl.gz --output my-model
    nlplug pretrain --architecture bert --data novels.jsonl.gz --output my-base
    nlplug pretrain --architecture marian --data en_fr.jsonl.gz --output en-fr
    torchrun --nproc-per-node 2 -m nlplug pretrain --data novels.jsonl.gz --output my-model

    The checkpoint is written to --output, with the scores on held-out texts in training.json; other
    training starts from it by --base. A run that was killed goes on with --resume. Options that
    take several values are given several times or with commas.
    """
    config = read_config(PretrainConfig, file, values)

    from nlplug.train.pretrain import pretrain as run
    from nlplug.train.processes import is_main

    if is_main():
        show_log("nlplug.data")
    folder = run(config)
    if is_main():
        click.echo(f"The checkpoint is in {folder}, its scores in {folder / 'training.json'}.")
