"""``nlplug pretrain``: train a tokenizer and a model from scratch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nlplug.cli._config import config_options, read_config, read_settings, resumable
from nlplug.cli._context import show_log


class _Pretrain(click.Command):
    """A command whose options depend on the value of ``--architecture``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the architecture first, since the other options depend on it."""
        ctx.meta["nlplug.architecture"] = _given(args)
        return super().parse_args(ctx, args)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The options of the selected architecture."""
        from nlplug.train.pretrain import settings_of

        settings = settings_of(ctx.meta.get("nlplug.architecture") or _default())
        return [*config_options(settings), *super().get_params(ctx)]


@click.command(cls=_Pretrain)
def pretrain(file: Path | None, **values: Any) -> None:
    """Train a tokenizer and a language model from scratch.

    \b
    nlplug pretrain --data novels.jsonl.gz --output my-model
    nlplug pretrain --architecture bert --data novels.jsonl.gz --output my-base
    nlplug pretrain --architecture marian --data en_fr.jsonl.gz --output en-fr
    torchrun --nproc-per-node 2 -m nlplug pretrain --data novels.jsonl.gz --output my-model

    --architecture selects the kind of model: llama or gpt2 to generate text, bert as a base for
    classifiers, marian to translate. `nlplug pretrain --architecture NAME --help` shows the options
    of one architecture.

    The checkpoint is written to --output, with its scores on held-out data in training.json. To
    fine-tune it, pass the folder to `nlplug train TASK --base`.

    --data and --output are required, here or in the file of --config. --resume continues an
    interrupted run. To give several values, repeat an option or separate the values by commas;
    repeat --data and --eval, since file names may contain commas.
    """
    from nlplug.train.pretrain import pretrain as run
    from nlplug.train.pretrain import settings_of
    from nlplug.train.processes import is_main

    architecture = click.get_current_context().meta["nlplug.architecture"] or _default()
    config = read_config(settings_of(architecture), file, values)
    if is_main():
        show_log("nlplug.data")
    with resumable(file, values):
        folder = run(config)
    if is_main():
        click.echo(f"The checkpoint is in {folder}, its scores are in {folder / 'training.json'}.")


def _given(args: list[str]) -> str:
    """The architecture in the arguments or in the file of ``--config``; empty if none is given."""
    found = _value(args, "--architecture")
    if not found and (file := _value(args, "--config")):
        found = str(read_settings(Path(file)).get("architecture", ""))
    return found


def _value(args: list[str], flag: str) -> str:
    """The value of an option among unparsed arguments; empty if it is not given."""
    for place, argument in enumerate(args):
        if argument.startswith(f"{flag}="):
            return argument.partition("=")[2]
        if argument == flag:
            return "".join(args[place + 1 : place + 2])
    return ""


def _default() -> str:
    from nlplug.train.pretrain import architectures

    return architectures()[0]
