"""An export: from a checkpoint to a bundle, which is written completely or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nlplug.errors import BundleError, ExportError, GateRefused, NlplugError, OptionError
from nlplug.export.architectures import tested
from nlplug.export.config import ExportConfig
from nlplug.export.preflight.findings import CheckpointFinding, check_allowed
from nlplug.families.family import load
from nlplug.models.bundle import Bundle
from nlplug.models.card import model_card
from nlplug.models.layout import external_data_of
from nlplug.models.writer import BundleWriter
from nlplug.validation import make_options

if TYPE_CHECKING:
    from nlplug.export.build_result import BuildResult
    from nlplug.export.gate import GateResult
    from nlplug.export.repair.attempt import Attempt


@dataclass(frozen=True)
class ExportReport:
    """The outcome of an export.

    Attributes:
        bundle: The bundle in its final folder.
        results: The gate's result for each precision that was built, kept or refused.
        rows: Description of the rows that were compared.
        reference: Metrics of the PyTorch model; empty without labels.
        graph: Description of the graphs.
        findings: What the preflight found that did not stop the export.
        attempts: The forms of each precision that were tried, in order.
    """

    bundle: Bundle
    results: list[GateResult]
    rows: str
    reference: dict[str, float]
    graph: str
    findings: Sequence[CheckpointFinding] = ()
    attempts: Sequence[Attempt] = ()


def export_model(config: ExportConfig) -> ExportReport:
    """Export, compare each precision with PyTorch, and write those that pass as a bundle.

    A precision that the gate refuses is left out of the bundle; the report and the manifest have
    its numbers.

    Raises:
        GateRefused: No precision is left, or a required one is refused; an existing bundle in
            ``output`` is kept.
        ExportError: The model cannot be exported, or its float32 graph does not give what PyTorch
            gives.
        DataError: The evaluation data cannot be used.
        ModelNotFound: There is no such checkpoint.
        BundleError: ``output`` cannot be written.
        MissingExtra: A package of the ``train`` extra is not installed.
    """
    _check(config)
    from nlplug.export.checkpoint import load_checkpoint
    from nlplug.export.manifest import make_manifest
    from nlplug.export.preflight.run import check_checkpoint
    from nlplug.export.repair.attempt import card_section

    required = _required(config)
    with BundleWriter(config.output) as writer:
        work = writer.folder / "work"
        work.mkdir()
        checkpoint = load_checkpoint(config.source, config.task, allowed=config.allow)
        findings = check_checkpoint(checkpoint, config)
        with _named_in_errors(checkpoint.model.config.model_type, work):
            made: BuildResult = load(config.task.family.exporter)(config, checkpoint, work)
        _check_results(config, made.results, required)
        kept = [v for v in made.results if not v.refused and v.precision in config.wanted]
        _move(work, writer.folder, [made.files[result.precision] for result in kept])
        manifest = make_manifest(config, checkpoint, made, findings)
        card = config.card or model_card(manifest)
        card += card_section(made.attempts, [*findings, *made.findings])
        (writer.folder / "README.md").write_text(card, encoding="utf-8")
        bundle = writer.commit(manifest)
    return ExportReport(
        bundle,
        made.results,
        made.rows,
        made.reference,
        made.note,
        [*findings, *made.findings],
        made.attempts,
    )


@contextmanager
def _named_in_errors(architecture: str, work: Path) -> Iterator[None]:
    """Name the architecture in errors about a graph that was made here, instead of its file."""
    try:
        yield
    except BundleError as error:
        if str(work) not in error.message:
            raise
        message = error.message.replace(f"{work}/onnx/", "")
        raise ExportError(
            f"The exported graph of the architecture {architecture!r} cannot be used. {message}",
            hint=f"Architectures that are tested: {tested()}.",
        ) from error


def _check(config: ExportConfig) -> None:
    if not config.task.family.auto_class:
        raise ExportError(
            f"Models of the family {config.task.family.name!r} cannot be exported.",
            hint="Its record does not name a class that loads a checkpoint (Family.auto_class).",
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
    check_allowed(config.allow)
    if config.repair_seconds < 0:
        raise OptionError(f"repair_seconds is {config.repair_seconds}.", hint="Give 0 or more.")
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
    """Move the given graphs with their weights and all other files; delete the other graphs."""
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


def _check_results(
    config: ExportConfig, results: Sequence[GateResult], required: frozenset[str]
) -> None:
    asked = [result for result in results if result.precision in config.wanted]
    refused = [result for result in asked if result.refused]
    lost = [result for result in refused if result.precision in required]
    if not lost and len(refused) < len(asked):
        return
    reasons = "; ".join(str(result.refused) for result in refused)
    raise GateRefused(
        f"The gate refused: {reasons}.{_outcome(config.output)}",
        hint="Give more rows with --data, allow a larger loss with --budget, or leave the "
        "precision out with --precision.",
    )


def _outcome(output: Path) -> str:
    there = (output / "config.json").is_file()
    return f" The earlier bundle in {output} is kept." if there else f" {output} was not written."
