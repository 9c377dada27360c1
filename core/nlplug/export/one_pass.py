"""The exporter of families whose models answer with one run of one graph."""

from __future__ import annotations

import logging
from pathlib import Path

from nlplug.errors import ExportError
from nlplug.evaluation.base import evaluation_of, options_of
from nlplug.export.build import build_float, build_int8
from nlplug.export.build_result import BuildResult
from nlplug.export.calibration import Calibration, calibration_rows, fix_one_pass
from nlplug.export.checkpoint import Checkpoint
from nlplug.export.config import ExportConfig
from nlplug.export.gate import Gate
from nlplug.export.parity import FP32_TOLERANCE, relative_difference
from nlplug.export.rows import calibration_feeds, gate_rows
from nlplug.export.torch_executor import TorchExecutor
from nlplug.families.one_pass import OnePassTask
from nlplug.models.bundle import Bundle
from nlplug.models.layout import MODEL_GRAPH
from nlplug.runtime.session import OnnxExecutor

_ORDER = ("fp32", "fp16", "int8")
_SMOOTHED = 48
"""Rows that the outliers of activations are measured on."""
_log = logging.getLogger(__name__)


def make(config: ExportConfig, checkpoint: Checkpoint, folder: Path) -> BuildResult:
    """Build the graphs of a model, and compare each precision with PyTorch.

    A family's exporter, see `nlplug.families.family.Family.exporter`.

    Args:
        config: The settings of the export.
        checkpoint: What is exported.
        folder: An empty folder for the files of the bundle.

    Raises:
        ExportError: The task's models do not answer in one pass, the architecture cannot be
            exported, or the float32 graph does not give what PyTorch gives.
        DataError: The evaluation data cannot be used.
        MissingExtra: A package of the ``train`` extra is not installed.
    """
    task = _one_pass(config, "exporter")
    fused = build_float(checkpoint, config, folder)
    draft = Bundle.open(folder)
    evaluation = evaluation_of(task, draft.labels) if task.family.scoring else None
    options = options_of(task, evaluation, config.options)
    rows = gate_rows(
        task, evaluation, config.eval_data, limit=config.eval_rows, columns=config.columns
    )
    model = task.bind(draft)
    calibration = Calibration()
    if "int8" in config.wanted:
        samples = calibration_rows(config, draft.labels)
        feeds = calibration_feeds(model, samples.inputs, options, limit=_SMOOTHED)
        build_int8(fused, config.quantization, feeds, folder)
        draft = Bundle.open(folder)
        calibration = fix_one_pass(config, draft, "int8", model, options, samples)
    problem = getattr(checkpoint.model.config, "problem_type", None)
    gate: Gate | None = None
    results = []
    # fp32 first: if it differs from PyTorch, everything made from it is wrong.
    for precision in sorted(draft.precisions, key=_ORDER.index):
        executor = OnnxExecutor(draft.onnx_file(precision))
        try:
            if gate is None:
                _log.info("running PyTorch on %s", rows.origin)
                reference = TorchExecutor(checkpoint.model, executor.signature)
                gate = Gate(
                    task,
                    model,
                    rows,
                    evaluation,
                    reference,
                    budget=config.budget,
                    independent=problem == "multi_label_classification",
                    options=config.options,
                )
            _log.info("running %s", precision)
            fixed = config.fixed and precision == "int8"
            result = gate.judge(precision, executor, fixed=fixed)
        finally:
            executor.close()
        if precision == "fp32" and not relative_difference(result.parity) <= FP32_TOLERANCE:
            raise ExportError(
                f"The float32 graph differs from PyTorch by {result.parity['max_abs_diff']:.2e} "
                f"(largest output {result.parity['largest']:.2f}): the export is broken.",
                hint="Please report the architecture. An existing bundle was not changed.",
            )
        results.append(result)
    return BuildResult(
        results=results,
        files={
            precision: {MODEL_GRAPH: path.relative_to(folder).as_posix()}
            for precision, path in draft.precisions.items()
        },
        rows=rows.origin,
        reference=gate.reference_metrics() if gate else {},
        note=fused.note,
        labels=draft.labels if task.family.labelled else [],
        max_length=draft.max_length,
        calibration=calibration,
    )


def calibrate(config: ExportConfig, earlier: Bundle, draft: Bundle, precision: str) -> BuildResult:
    """Fix the scales of a precision, and compare it with the earlier graph.

    A family's calibrator, see `nlplug.families.family.Family.calibrator`.

    Args:
        config: The settings; of the calibration and the gate.
        earlier: The bundle as it was.
        draft: A copy of it, whose graph is written again.
        precision: A precision whose graph takes scales from each batch.

    Raises:
        ExportError: The task's models do not answer in one pass.
        DataError: The rows cannot be used.
    """
    task = _one_pass(config, "calibrator")
    evaluation = evaluation_of(task, draft.labels) if task.family.scoring else None
    defaults = task.default_options(draft) | dict(config.options)
    options = options_of(task, evaluation, defaults)
    rows = gate_rows(
        task, evaluation, config.eval_data, limit=config.eval_rows, columns=config.columns
    )
    model = task.bind(draft)
    samples = calibration_rows(config, draft.labels)
    calibration = fix_one_pass(config, draft, precision, model, options, samples)
    graph = draft.onnx_file(precision)
    executors = [OnnxExecutor(path) for path in (earlier.onnx_file(precision), graph)]
    reference, candidate = executors
    try:
        gate = Gate(
            task,
            model,
            rows,
            evaluation,
            reference,
            budget=config.budget,
            independent=draft.config.get("problem_type") == "multi_label_classification",
            options=defaults,
        )
        result = gate.judge(precision, candidate, fixed=True)
    finally:
        for executor in executors:
            executor.close()
    return BuildResult(
        results=[result],
        files={precision: {MODEL_GRAPH: graph.relative_to(draft.path).as_posix()}},
        rows=rows.origin,
        reference=gate.reference_metrics(),
        note="calibrated",
        labels=draft.labels if task.family.labelled else [],
        max_length=draft.max_length,
        calibration=calibration,
    )


def _one_pass(config: ExportConfig, role: str) -> OnePassTask:
    task = config.task
    if not isinstance(task, OnePassTask):
        raise ExportError(
            f"{task.name} cannot be exported: {type(task).__name__} is not a OnePassTask.",
            hint=f"Name another {role} in the record of its family (Family.{role}).",
        )
    return task
