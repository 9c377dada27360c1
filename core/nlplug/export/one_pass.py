"""The exporter of families whose models answer with one run of one graph."""

from __future__ import annotations

import logging
from pathlib import Path

from nlplug.errors import ExportError
from nlplug.evaluation.base import evaluation_of, options_of
from nlplug.export.build import build_float, build_int8
from nlplug.export.build_result import BuildResult
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
    task = config.task
    if not isinstance(task, OnePassTask):
        raise ExportError(
            f"{task.name} cannot be exported: {type(task).__name__} is not a OnePassTask.",
            hint="Name another exporter in the record of its family (Family.exporter).",
        )
    fused = build_float(checkpoint, config, folder)
    draft = Bundle.open(folder)
    evaluation = evaluation_of(task, draft.labels) if task.family.scoring else None
    options = options_of(task, evaluation, config.options)
    rows = gate_rows(
        task, evaluation, config.eval_data, limit=config.eval_rows, columns=config.columns
    )
    model = task.bind(draft)
    if "int8" in config.wanted:
        calibration = calibration_feeds(model, rows.inputs, options)
        build_int8(fused, config.quantization, calibration, folder)
        draft = Bundle.open(folder)
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
            result = gate.judge(precision, executor)
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
    )
