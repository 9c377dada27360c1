"""The manifest of an exported bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from typing import TYPE_CHECKING, Any

from nlplug.export.exporters.exporter import installed_exporter
from nlplug.models.layout import run_together
from nlplug.models.manifest import Manifest, PrecisionRecord

if TYPE_CHECKING:
    from nlplug.export.build_result import BuildResult
    from nlplug.export.checkpoint import Checkpoint
    from nlplug.export.config import ExportConfig
    from nlplug.export.gate import GateResult
    from nlplug.export.preflight.findings import CheckpointFinding

_TOOLS = (
    "nlplug",
    "torch",
    "transformers",
    "tokenizers",
    "optimum",
    "optimum-onnx",
    "onnxscript",
    "onnx",
    "onnxruntime",
)


def make_manifest(
    config: ExportConfig,
    checkpoint: Checkpoint,
    made: BuildResult,
    findings: Sequence[CheckpointFinding] = (),
) -> Manifest:
    """The manifest of a bundle, with the gate's result for each precision.

    Args:
        config: The settings of the export.
        checkpoint: What was exported.
        made: What was built; precisions that the gate refused are under ``metrics.gate.refused``.
        findings: What the preflight found that did not stop the export.
    """
    gate: dict[str, Any] = {
        "rows": made.rows,
        "budget": config.budget,
        "refused": {v.precision: v.refused for v in made.results if v.refused},
        "tried": [attempt.record() for attempt in made.attempts],
        "findings": [one.message for one in (*findings, *made.findings)],
    }
    return Manifest(
        name=config.name or config.output.resolve().name,
        task=config.task.name,
        hub_task=config.task.hub_task,
        labels=list(made.labels),
        languages=list(config.languages),
        max_length=made.max_length,
        options=dict(config.options),
        precisions={
            result.precision: precision_record(made.files[result.precision], result)
            for result in made.results
            if not result.refused and result.precision in config.wanted
        },
        metrics={
            "pytorch": made.reference,
            "gate": gate,
            "graph": made.note,
            "quantization": {
                name: list(value) if isinstance(value, tuple) else value
                for name, value in asdict(config.quantization).items()
            }
            | {"calibration": asdict(made.calibration)},
        },
        license=config.license,
        data=[dict(record) for record in config.data],
        privacy=dict(config.privacy),
        tools=tool_versions(),
        description=config.description,
        source={
            "exporter": installed_exporter().name,
            "model_type": str(checkpoint.model.config.model_type),
            "parameters": str(sum(weight.numel() for weight in checkpoint.model.parameters())),
        },
    )


def precision_record(
    graphs: Mapping[str, str], result: GateResult | None = None
) -> PrecisionRecord:
    """The record of a precision, with its result at the gate if it was measured.

    Args:
        graphs: Its files, by graph.
        result: The result.
    """
    return PrecisionRecord(
        file=graphs[run_together(graphs)[0]],
        graphs=dict(graphs) if len(graphs) > 1 else {},
        metrics=result.metrics | _loss(result) if result else {},
        parity=_rounded(result.parity) if result else {},
    )


def tool_versions() -> dict[str, str]:
    """The version of each installed package that takes part in an export."""
    versions = {}
    for name in _TOOLS:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _loss(result: GateResult) -> dict[str, float]:
    loss = result.loss
    return _rounded({"loss": loss.mean, "loss_low": loss.low, "loss_high": loss.high})


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.6g}") for name, value in values.items()}
