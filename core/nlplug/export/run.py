"""One export: checkpoint in, bundle out, nothing half-done in between."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nlplug.errors import ExportError, GateRefused, NlplugError, OptionError
from nlplug.export.config import ExportConfig
from nlplug.families.family import load
from nlplug.models.bundle import Bundle
from nlplug.models.layout import external_data_of
from nlplug.models.writer import BundleWriter
from nlplug.validation import make_options

if TYPE_CHECKING:
    from nlplug.export.gate import Verdict
    from nlplug.export.made import Made


@dataclass(frozen=True)
class ExportReport:
    """What came out.

    Attributes:
        bundle: The bundle at its place.
        verdicts: The gate's word on each precision that was made, kept or refused.
        rows: What it was measured on.
        reference: Metrics of the PyTorch model; empty without labels.
        graph: What the graphs are.
    """

    bundle: Bundle
    verdicts: list[Verdict]
    rows: str
    reference: dict[str, float]
    graph: str


def export_model(config: ExportConfig) -> ExportReport:
    """Export, judge each precision, and write those that pass as a bundle.

    A precision that the gate refuses is left out of the bundle, with its numbers in the report
    and the manifest.

    Raises:
        GateRefused: No precision is left, or a required one is refused; what was in ``output``
            before stays.
        ExportError: The model cannot be exported, or its float32 graph is not what PyTorch has.
        DataError: The evaluation data cannot be used.
        ModelNotFound: No such checkpoint.
        BundleError: ``output`` cannot be written.
        MissingExtra: A package of the ``train`` extra is not installed.
    """
    _check(config)
    from nlplug.export.manifest import make_manifest
    from nlplug.export.source import load_source

    required = _required(config)
    with BundleWriter(config.output) as writer:
        work = writer.folder / "work"
        work.mkdir()
        source = load_source(config.source, config.task)
        made: Made = load(config.task.family.exporter)(config, source, work)
        _insist(config, made.verdicts, required)
        kept = [v for v in made.verdicts if not v.refused and v.precision in config.wanted]
        _move(work, writer.folder, [made.files[verdict.precision] for verdict in kept])
        if config.card:
            (writer.folder / "README.md").write_text(config.card, encoding="utf-8")
        manifest = make_manifest(config, source, made)
        bundle = writer.commit(manifest)
    return ExportReport(bundle, made.verdicts, made.rows, made.reference, made.note)


def _check(config: ExportConfig) -> None:
    if not config.task.family.auto_class:
        raise ExportError(
            f"Models of the family {config.task.family.name!r} cannot be exported.",
            hint="Its record names no class that loads a checkpoint (Family.auto_class).",
        )
    offered = config.task.family.precisions
    for precision in (*config.wanted, *(config.required or ())):
        if precision not in offered:
            raise OptionError(
                f"There is no precision {precision!r} to export.",
                hint=f"Models for {config.task.name} can have {', '.join(offered)}.",
            )
    if not config.wanted:
        raise OptionError("No precision to export.", hint=f"Choose from {', '.join(offered)}.")
    make_options(config.task, config.options)
    if config.budget < 0:
        raise OptionError(f"The budget is {config.budget}.", hint="Give 0 or more.")
    if config.eval_rows < 1:
        raise OptionError(f"eval_rows is {config.eval_rows}.", hint="Give 1 or more.")


def _required(config: ExportConfig) -> frozenset[str]:
    if config.required is not None:
        return frozenset(config.required)
    try:
        earlier = Bundle.open(config.output)
    except NlplugError:
        return frozenset()
    return frozenset(earlier.precisions) & frozenset(config.wanted)


def _move(work: Path, target: Path, graphs: Sequence[Mapping[str, str]]) -> None:
    """Everything but the graphs, and of these the given ones with their weights; the rest goes."""
    for path in sorted(work.iterdir()):
        if path.name != "onnx":
            shutil.move(path, target / path.name)
    (target / "onnx").mkdir()
    built = [path.relative_to(work).as_posix() for path in (work / "onnx").iterdir()]
    for files in graphs:
        for file in files.values():
            for name in (file, *external_data_of(file, built)):
                shutil.move(work / name, target / name)
    shutil.rmtree(work)


def _insist(config: ExportConfig, verdicts: Sequence[Verdict], required: frozenset[str]) -> None:
    from nlplug.export.gate import refusals

    asked = [verdict for verdict in verdicts if verdict.precision in config.wanted]
    refused = [verdict for verdict in asked if verdict.refused]
    lost = [verdict for verdict in refused if verdict.precision in required]
    if not lost and len(refused) < len(asked):
        return
    raise GateRefused(
        f"The gate refused: {refusals(refused)}.{_outcome(config.output)}",
        hint="Give more rows by --data, allow more by --budget, or leave the precision out by "
        "--precision.",
    )


def _outcome(output: Path) -> str:
    there = (output / "config.json").is_file()
    return f" The earlier bundle in {output} stays." if there else f" {output} was not written."
