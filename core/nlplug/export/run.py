"""One export: checkpoint in, bundle out, nothing half-done in between."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.errors import ExportError, GateRefused, NlplugError, OptionError
from nlplug.export.quantize import Quantization
from nlplug.models.bundle import Bundle
from nlplug.models.writer import BundleWriter

if TYPE_CHECKING:
    from nlplug.export.fusion import FusedGraphs
    from nlplug.export.gate import Verdict
    from nlplug.export.source import Source
    from nlplug.task import Task

PRECISIONS = ("fp32", "fp16", "int8")
_FILES = {
    "fp32": "onnx/model.onnx",
    "fp16": "onnx/model_fp16.onnx",
    "int8": "onnx/model_int8.onnx",
}
_LABELLED = ("text-classification", "token-classification")
_log = logging.getLogger(__name__)


@dataclass
class ExportConfig:
    """What to export, where to, and what it may cost.

    Attributes:
        source: Checkpoint in Hugging Face's layout: a folder or a Hub id.
        output: Folder of the bundle; a bundle that is there is replaced once the new one is whole.
        task: The task it is for.
        precisions: Any of ``fp32``, ``fp16``, ``int8``.
        eval_data: Labelled rows for the gate; None: see `nlplug.export.rows.gate_rows`.
        eval_rows: At most this many of them.
        columns: Which column is which, such as ``{"text": "review"}``, where not the usual one.
        budget: Largest loss of the metric that a precision may have: 0.005 is half a point.
        required: Precisions without which the export fails as a whole; None for those that the
            bundle being replaced offers, so that an export never takes a precision away.
        quantization: How int8 is made.
        name: Name of the model; empty for the output folder's.
        max_length: The model's window in tokens; None for what the checkpoint says.
        license: SPDX identifier or a short text.
        data: What it was trained on, a record each.
        languages: ISO 639-1 codes.
        description: One line.
        card: Text of the bundle's ``README.md``; empty for none.
    """

    source: Path | str
    output: Path
    task: Task
    precisions: Sequence[str] = PRECISIONS
    eval_data: Path | None = None
    eval_rows: int = 2000
    columns: Mapping[str, str] = field(default_factory=dict)
    budget: float = 0.005
    required: Sequence[str] | None = None
    quantization: Quantization = field(default_factory=Quantization)
    name: str = ""
    max_length: int | None = None
    license: str = ""
    data: Sequence[Mapping[str, Any]] = ()
    languages: Sequence[str] = ()
    description: str = ""
    card: str = ""


@dataclass(frozen=True)
class ExportReport:
    """What came out.

    Attributes:
        bundle: The bundle at its place.
        verdicts: The gate's word on each precision that was made, kept or refused.
        rows: What it was measured on.
        reference: Metrics of the PyTorch model; empty without labels.
        graph: What was fused.
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
    from nlplug.export.build import build_float
    from nlplug.export.manifest import make_manifest
    from nlplug.export.source import load_source

    required = _required(config)
    with BundleWriter(config.output) as writer:
        work = writer.folder / "work"
        work.mkdir()
        source = load_source(config.source, config.task)
        fused = build_float(source, config, work)
        draft, verdicts, rows, reference = _judge(config, source, fused, work)
        _insist(config, verdicts, required)
        kept = [v for v in verdicts if not v.refused and v.precision in config.precisions]
        for path in sorted(work.iterdir()):
            if path.name != "onnx":
                shutil.move(path, writer.folder / path.name)
        (writer.folder / "onnx").mkdir()
        for verdict in kept:
            file = _FILES[verdict.precision]
            shutil.move(work / file, writer.folder / file)
        shutil.rmtree(work)
        if config.card:
            (writer.folder / "README.md").write_text(config.card, encoding="utf-8")
        manifest = make_manifest(
            config,
            source,
            files=_FILES,
            verdicts=verdicts,
            rows=rows,
            reference=reference,
            graph=fused.note,
            labels=draft.labels if config.task.hub_task in _LABELLED else [],
            max_length=draft.max_length,
        )
        bundle = writer.commit(manifest)
    return ExportReport(bundle, verdicts, rows, reference, fused.note)


def _check(config: ExportConfig) -> None:
    for precision in (*config.precisions, *(config.required or ())):
        if precision not in PRECISIONS:
            raise OptionError(
                f"There is no precision {precision!r} to export.",
                hint=f"Choose from {', '.join(PRECISIONS)}.",
            )
    if not config.precisions:
        raise OptionError("No precision to export.", hint=f"Choose from {', '.join(PRECISIONS)}.")
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
    return frozenset(earlier.precisions) & frozenset(config.precisions)


def _judge(
    config: ExportConfig, source: Source, fused: FusedGraphs, work: Path
) -> tuple[Bundle, list[Verdict], str, dict[str, float]]:
    """Quantize on some of the rows, then run all precisions on all of them."""
    from nlplug.evaluation.base import evaluation_of
    from nlplug.export.build import build_int8
    from nlplug.export.gate import FP32_TOLERANCE, Gate, worst_fp32
    from nlplug.export.rows import calibration_feeds, gate_rows
    from nlplug.export.torch_executor import TorchExecutor
    from nlplug.runtime.session import OnnxExecutor

    draft = Bundle.open(work)
    evaluation = evaluation_of(config.task, draft.labels) if config.task.evaluation else None
    rows = gate_rows(
        config.task, evaluation, config.eval_data, limit=config.eval_rows, columns=config.columns
    )
    model = config.task.bind(draft)
    if "int8" in config.precisions:
        build_int8(
            fused,
            config.quantization,
            calibration_feeds(model, rows.inputs, config.task.Options()),
            work,
        )
        draft = Bundle.open(work)
    gate: Gate | None = None
    verdicts = []
    # fp32 first: where it differs from PyTorch, nothing made from it can be right.
    for precision in sorted(draft.precisions, key=PRECISIONS.index):
        executor = OnnxExecutor(draft.onnx_file(precision))
        try:
            if gate is None:
                _log.info("running PyTorch on %s", rows.origin)
                reference = TorchExecutor(
                    source.model,
                    input_names=executor.input_names,
                    output_names=executor.output_names,
                )
                several = getattr(source.config, "problem_type", None)
                gate = Gate(
                    config.task,
                    model,
                    rows,
                    evaluation,
                    reference,
                    budget=config.budget,
                    independent=several == "multi_label_classification",
                )
            _log.info("running %s", precision)
            verdict = gate.judge(precision, executor)
        finally:
            executor.close()
        if precision == "fp32" and not worst_fp32(verdict.parity) <= FP32_TOLERANCE:
            raise ExportError(
                f"The float32 graph differs from PyTorch by {verdict.parity['max_abs_diff']:.2e} "
                f"(largest output {verdict.parity['largest']:.2f}): the export is broken.",
                hint="Please report the architecture; a bundle that is there was not touched.",
            )
        verdicts.append(verdict)
    metrics = gate.reference_metrics() if gate else {}
    return draft, verdicts, rows.origin, metrics


def _insist(config: ExportConfig, verdicts: Sequence[Verdict], required: frozenset[str]) -> None:
    from nlplug.export.gate import refusals

    asked = [verdict for verdict in verdicts if verdict.precision in config.precisions]
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
