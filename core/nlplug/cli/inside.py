"""``nlplug inside TASK``: what happens inside a model while it reads a text."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from nlplug.cli._context import host_of
from nlplug.cli._inputs import from_file
from nlplug.cli._tasks import TaskGroup

if TYPE_CHECKING:
    from nlplug.inside.result import AttentionMap, Inside, TokenText
    from nlplug.task import Task

_STRONGEST = 3
_BAR = 20


class _Tasks(TaskGroup):
    def command_of(self, task: Task) -> click.Command:
        return _command(task)


@click.group(cls=_Tasks, subcommand_metavar="TASK [TEXT] [OPTIONS]")
def inside() -> None:
    """Show attention, probabilities and similar words inside a model."""


def _command(task: Task) -> click.Command:
    from nlplug.cli._options import model_options
    from nlplug.cli.run import model_option
    from nlplug.inside.result import PARTS
    from nlplug.task import localize

    first = next(iter(task.Input.model_fields))
    return click.Command(
        task.name,
        params=[
            click.Argument(["cli_text"], required=False, metavar=f"[{first.upper()}]"),
            *model_options(task.Input),
            *model_options(task.Options),
            model_option(task),
            click.Option(["--precision"], default="auto", help="fp32, int8 …  [default: auto]"),
            click.Option(
                ["--part", "cli_parts"],
                type=click.Choice(PARTS),
                multiple=True,
                help="What to show; can be repeated.  [default: all that the task has]",
            ),
            click.Option(
                ["--top", "cli_top"],
                type=int,
                default=5,
                help="Number of alternatives and neighbors of each token.  [default: 5]",
            ),
            click.Option(
                ["--window", "cli_window"],
                type=int,
                default=1,
                help="Which window of a long text, from 1.  [default: 1]",
            ),
            click.Option(
                ["--layer", "cli_layer"], type=int, help="Layer, from 1.  [default: all layers]"
            ),
            click.Option(
                ["--head", "cli_head"], type=int, help="Head, from 1.  [default: all heads]"
            ),
            click.Option(["--json", "cli_json"], is_flag=True, help="Print JSON with all weights."),
        ],
        callback=lambda **values: _show(task, values),
        help=f"{localize(task.description)}\n\nShows how much the tokens of a text attend to each "
        "other, the probabilities of generated tokens, and the tokens whose input embeddings are "
        "nearest to those of the text. Without --layer and --head, attention is the mean.",
    )


def _show(task: Task, values: dict[str, Any]) -> None:
    from nlplug.cli._options import given
    from nlplug.pipelines import pipeline
    from nlplug.plugins.isolation import stdout_to_stderr

    output = sys.stdout  # only for the result; output of plugins goes to stderr
    own = {name: values.pop(name) for name in [*values] if name.startswith("cli_")}
    setup = {name: values.pop(name) for name in ("model", "precision")}
    fields = {name: from_file(name, value) for name, value in given(values).items()}
    with stdout_to_stderr(), pipeline(task.name, host=host_of(), **setup) as pipe:
        found = pipe.inside(
            own["cli_text"],
            parts=own["cli_parts"] or None,
            top=own["cli_top"],
            window=own["cli_window"],
            **fields,
        )
        layer, head = own["cli_layer"], own["cli_head"]
        if own["cli_json"]:
            lines = iter([json.dumps(found.to_dict(layer=layer, head=head), ensure_ascii=False)])
        else:
            lines = iter([*_lines(found, layer, head)])
    for line in lines:
        click.echo(line, file=output)


def _lines(found: Inside, layer: int | None, head: int | None) -> Iterator[str]:
    if found.windows > 1:
        yield f"Window {found.window} of {found.windows}"
    for one in found.with_head(layer, head):
        yield from _attention_lines(one, layer, head)
    if found.probabilities:
        yield "Probabilities of the generated tokens"
        for token in found.probabilities:
            others = [one for one in token.alternatives if one.id != token.id]
            rest = ", ".join(f"{_quoted(one)} {one.probability:.1%}" for one in others)
            bar = "#" * round(token.probability * _BAR)
            yield f"  {_quoted(token):<16} {token.probability:6.1%} {bar:<{_BAR}}  {rest}".rstrip()
    if found.neighbors:
        yield "Nearest tokens by input embedding (cosine)"
        for word in found.neighbors:
            near = ", ".join(f"{_quoted(one)} {one.cosine:.2f}" for one in word.neighbors)
            yield f"  {_quoted(word):<16} {near}"


def _attention_lines(found: AttentionMap, layer: int | None, head: int | None) -> Iterator[str]:
    weights = found.of(layer, head)
    layers = "mean of all layers" if layer is None else f"layer {layer}"
    heads = "mean of all heads" if head is None else f"head {head}"
    yield f"Attention ({found.name}): {layers}, {heads}; for each token those it attends to most"
    for token, row in zip(found.queries, weights, strict=True):
        best = (-row).argsort(kind="stable")[:_STRONGEST]
        keys = ", ".join(f"{_quoted(found.keys[place])} {row[place]:.2f}" for place in best)
        yield f"  {_quoted(token):<16} {keys}"


def _quoted(token: TokenText) -> str:
    return json.dumps(token.text, ensure_ascii=False)
