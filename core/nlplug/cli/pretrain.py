"""``nlplug pretrain``: train a tokenizer and a model from scratch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nlplug.cli._config import config_options, read_config, read_settings
from nlplug.cli._context import show_log


class _Pretrain(click.Command):
    """A command whose options depend on the architecture that it is given."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Find the architecture first, since it decides which options there are."""
        ctx.meta["nlplug.architecture"] = _given(args)
        return super().parse_args(ctx, args)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The options of the architecture."""
        from nlplug.train.pretrain import settings_of

        settings = settings_of(ctx.meta.get("nlplug.architecture") or _default())
        return [*config_options(settings), *super().get_params(ctx)]


@click.command(cls=_Pretrain)
def pretrain(file: Path | None, **values: Any) -> None:
    """Train a tokenizer and a model from scratch, on texts or on pairs of texts.

    \b
    nlplug pretrain --data novels.jsonl.gz --output my-model
    nlplug pretrain --architecture bert --data novels.jsonl.gz --output my-base
    nlplug pretrain --architecture marian --data en_fr.jsonl.gz --output en-fr
    torchrun --nproc-per-node 2 -m nlplug pretrain --data novels.jsonl.gz --output my-model

    --architecture is llama or gpt2 for a model that continues texts, bert for one that reads them
    and serves as a base, marian for one that translates pairs. --help together with it shows the
    options of that architecture.

    The checkpoint is written to --output, with the scores on held-out texts in training.json; other
    training starts from it by --base. A run that was killed continues with --resume. Options that
    take several values are given several times or with commas.
    """
    from nlplug.train.pretrain import pretrain as run
    from nlplug.train.pretrain import settings_of
    from nlplug.train.processes import is_main

    architecture = click.get_current_context().meta["nlplug.architecture"] or _default()
    config = read_config(settings_of(architecture), file, values)
    if is_main():
        show_log("nlplug.data")
    folder = run(config)
    if is_main():
        click.echo(f"The checkpoint is in {folder}, its scores in {folder / 'training.json'}.")


def _given(args: list[str]) -> str:
    """The architecture that the arguments, or the file that they name, ask for; else empty."""
    found = _value(args, "--architecture")
    if not found and (file := _value(args, "--config")):
        found = str(read_settings(Path(file)).get("architecture", ""))
    return found


def _value(args: list[str], flag: str) -> str:
    """The value of an option among unparsed arguments; empty without one."""
    for place, argument in enumerate(args):
        if argument.startswith(f"{flag}="):
            return argument.partition("=")[2]
        if argument == flag:
            return "".join(args[place + 1 : place + 2])
    return ""


def _default() -> str:
    from nlplug.train.pretrain import architectures

    return architectures()[0]
