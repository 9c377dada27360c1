"""``nlplug export``: a PyTorch checkpoint as an ONNX bundle that passed the quality gate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nlplug.cli._context import show_log
from nlplug.cli._options import FiniteRange

if TYPE_CHECKING:
    from nlplug.export.run import ExportReport


@click.command()
@click.argument("model")
@click.option("--task", required=True, help="Name of the task that the model is for.")
@click.option(
    "--output", type=click.Path(path_type=Path), required=True, help="Folder of the bundle."
)
@click.option(
    "--precision",
    "precisions",
    help="Precisions, separated by commas, such as fp32,int8.  [default: all of the task]",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="File with labelled rows for the gate.  [default: the task's examples, without labels]",
)
@click.option(
    "--rows",
    type=click.IntRange(1),
    default=2000,
    show_default=True,
    help="Maximum number of rows, sampled at random with a fixed seed.",
)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help="File with rows on which the scales of int8 activations are chosen, preferably training "
    "rows; labels are not read.  [default: the rows of the gate]",
)
@click.option("--text-column", help="Name of the column with the text.  [default: text]")
@click.option("--label-column", help="Name of the column with the label.  [default: label]")
@click.option(
    "--budget",
    type=FiniteRange(0, 100),
    default=0.5,
    show_default=True,
    help="Largest loss against PyTorch, in points of the task's metric.",
)
@click.option(
    "--require",
    "required",
    help="Precisions without which the export fails.  [default: those of the replaced bundle]",
)
@click.option(
    "--weight-bits",
    type=click.IntRange(2, 8),
    default=8,
    show_default=True,
    help="Bits of an int8 weight; 7 for CPUs without VNNI.",
)
@click.option(
    "--blocks/--columns",
    "blocks",
    default=None,
    help="For models that generate text: one int8 scale per block of up to 128 weights, which is "
    "faster for one text at a time and makes the next token independent of the batch, or one per "
    "column, which is faster in batches and with beam search.  [default: blocks for models that "
    "continue a text, columns for text-to-text models]",
)
@click.option(
    "--repair-budget",
    type=FiniteRange(0),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="Time for repairing refused precisions. A repair that has started is finished.",
)
@click.option(
    "--repair/--no-repair",
    default=True,
    show_default=True,
    help="Whether to try other forms of a refused precision.",
)
@click.option(
    "--allow",
    multiple=True,
    metavar="CHECK",
    help="Export in spite of the findings of this check; repeatable: files, sizes, "
    "config, tensors, tokenizer, record, answers.",
)
@click.option(
    "--scales",
    type=click.Choice(["fixed", "batch"]),
    default="fixed",
    show_default=True,
    help="Scales of int8 activations. fixed: chosen at export, so that the answer to a text does "
    "not depend on the other texts in its batch; batch: computed from each batch.",
)
@click.option(
    "--max-length", type=click.IntRange(1), help="Window length in tokens.  [default: the model's]"
)
@click.option("--name", default="", help="Name of the model.  [default: the name of the folder]")
@click.option("--license", "license_", default="", help="Licence, for the manifest.")
@click.option(
    "--language",
    "languages",
    multiple=True,
    help="Language of the model, such as en; repeatable.",
)
@click.option("--description", default="", help="One line about the model, for the manifest.")
@click.pass_context
def export(
    ctx: click.Context,
    model: str,
    task: str,
    output: Path,
    precisions: str | None,
    data: Path | None,
    rows: int,
    calibration: Path | None,
    text_column: str | None,
    label_column: str | None,
    budget: float,
    required: str | None,
    weight_bits: int,
    blocks: bool | None,
    repair_budget: float,
    repair: bool,
    allow: tuple[str, ...],
    scales: str,
    max_length: int | None,
    name: str,
    license_: str,
    languages: tuple[str, ...],
    description: str,
) -> None:
    """Export MODEL (a checkpoint folder or a Hub id) to ONNX.

    The checkpoint is checked first: files, sizes, weights, tokenizer, and the record that nlplug
    train wrote. Then each precision is compared with PyTorch on the same rows. A precision that
    loses more than the budget is repaired if possible; otherwise it is refused, and the figures are
    shown. An existing bundle (exported model) in --output is replaced only when the new one is
    complete.

    \b
    nlplug export runs/mine --task sentiment --output out/ --data dev.jsonl
    """
    from nlplug.export.config import ExportConfig
    from nlplug.export.quantize import Quantization
    from nlplug.export.run import export_model
    from nlplug.plugins import PluginHost

    show_log("nlplug.export")
    host = ctx.meta.get("nlplug.host") or PluginHost.discover()
    columns = {
        key: value
        for key, value in (("text", text_column), ("label", label_column))
        if value is not None
    }
    report = export_model(
        ExportConfig(
            source=model,
            output=output,
            task=host.task(task),
            precisions=None if precisions is None else _split(precisions),
            eval_data=data,
            eval_rows=rows,
            calibration=calibration,
            columns=columns,
            budget=budget / 100,
            required=None if required is None else _split(required),
            repair_seconds=repair_budget if repair else 0.0,
            allow=allow,
            quantization=Quantization(weight_bits=weight_bits, blocks=blocks, scales=scales),
            max_length=max_length,
            name=name,
            license=license_,
            languages=languages,
            description=description,
        )
    )
    click.echo(summary(report))
    for result in report.results:
        if result.refused:
            click.echo(f"Refused: {result.refused}.", err=True)


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def summary(report: ExportReport, reference: str = "PyTorch") -> str:
    """The results of the gate as text.

    Args:
        report: The outcome of an export.
        reference: What the graphs were compared with.
    """
    from nlplug.evaluation.base import Table
    from nlplug.evaluation.document import plain_table
    from nlplug.export.gate import same_answers
    from nlplug.export.repair.attempt import table_of

    metric = report.results[0].metric
    lines = [
        f"{report.bundle.path}: {report.graph}",
        f"Compared with {reference} on {report.rows}.",
    ]
    if metric in report.reference:
        lines.append(
            f"{reference[0].upper()}{reference[1:]}: {metric} {report.reference[metric]:.4f}"
        )
    bundle = report.bundle
    sizes = {
        name: sum((bundle.path / file).stat().st_size for file in record.by_graph.values())
        for name in bundle.precisions
        for record in [bundle.record(name)]
    }
    rows = [
        [
            result.precision,
            f"{sizes[result.precision] / 1e6:.1f} MB" if result.precision in sizes else "-",
            f"{result.parity['max_abs_diff']:.1e}",
            f"{same_answers(result.parity):.2%}",
            f"{result.loss.mean * 100:+.2f}",
            f"{result.loss.low * 100:+.2f} to {result.loss.high * 100:+.2f}",
            f"{result.parity['batch_diff']:.0e}",
            "refused"
            if result.refused
            else "kept"
            if result.precision in sizes
            else "not asked for",
        ]
        for result in report.results
    ]
    header = [
        "precision",
        "size",
        "max diff",
        "same answer",
        "points lost",
        "95 % interval",
        "batch diff",
        "",
    ]
    lines += ["", plain_table(Table("", header, rows))]
    if len(report.attempts) > len(report.results):
        table = table_of(report.attempts)
        lines += ["", table.title, plain_table(table)]
    lines += [f"\nFound: {one.message}" for one in report.findings]
    doubts = {v.uncertain for v in report.results if v.uncertain and not v.refused}
    lines += [f"\nNote: {doubt}." for doubt in sorted(doubts)]
    return "\n".join(lines)
