"""The manifest of an exported bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from typing import TYPE_CHECKING, Any

from nlplug.models.layout import run_together
from nlplug.models.manifest import Manifest, PrecisionRecord

if TYPE_CHECKING:
    from nlplug.export.config import ExportConfig
    from nlplug.export.gate import Verdict
    from nlplug.export.made import Made
    from nlplug.export.source import Source

_TOOLS = ("nlplug", "torch", "transformers", "optimum", "optimum-onnx", "onnx", "onnxruntime")


def make_manifest(
    config: ExportConfig,
    source: Source,
    made: Made,
) -> Manifest:
    """Say what the bundle is, and how each precision did at the gate.

    Args:
        config: Of the export.
        source: The checkpoint.
        made: What was built; precisions that the gate refused stand under
            ``metrics.gate.refused``.
    """
    gate: dict[str, Any] = {
        "rows": made.rows,
        "budget": config.budget,
        "refused": {v.precision: v.refused for v in made.verdicts if v.refused},
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
            verdict.precision: PrecisionRecord(
                file=graphs[run_together(graphs)[0]],
                graphs=dict(graphs) if len(graphs) > 1 else {},
                metrics=verdict.metrics | _loss(verdict),
                parity=_rounded(verdict.parity),
            )
            for verdict in made.verdicts
            if not verdict.refused and verdict.precision in config.wanted
            for graphs in [made.files[verdict.precision]]
        },
        metrics={
            "pytorch": made.reference,
            "gate": gate,
            "graph": made.note,
            "quantization": {
                name: list(value) if isinstance(value, tuple) else value
                for name, value in asdict(config.quantization).items()
            },
        },
        license=config.license,
        data=[dict(record) for record in config.data],
        tools=tool_versions(),
        description=config.description,
        source={
            "model_type": str(source.config.model_type),
            "parameters": str(sum(weight.numel() for weight in source.model.parameters())),
        },
    )


def tool_versions() -> dict[str, str]:
    """The version of each tool that takes part in an export and is installed."""
    versions = {}
    for name in _TOOLS:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _loss(verdict: Verdict) -> dict[str, float]:
    loss = verdict.loss
    return _rounded({"loss": loss.mean, "loss_low": loss.low, "loss_high": loss.high})


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.6g}") for name, value in values.items()}
