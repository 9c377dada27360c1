"""What the exporter of a family returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nlplug.export.calibration import Calibration
from nlplug.export.gate import GateResult
from nlplug.export.preflight.findings import CheckpointFinding
from nlplug.export.repair.attempt import Attempt


@dataclass(frozen=True)
class BuildResult:
    """The graphs that were built in a folder, and their results at the quality gate.

    Attributes:
        results: One for each precision that was built.
        files: Precision → graph → file in the folder.
        rows: Description of the rows that were compared.
        reference: Metrics of the PyTorch model; empty without labels.
        note: Description of the graphs.
        labels: In the order of their ids; empty for tasks without labels.
        max_length: Window in tokens.
        findings: What was found about the answers of the PyTorch model.
        attempts: The forms of each precision that were tried, in order.
        calibration: How the scales of activations were chosen.
    """

    results: list[GateResult]
    files: Mapping[str, Mapping[str, str]]
    rows: str
    reference: dict[str, float]
    note: str
    labels: Sequence[str]
    max_length: int
    findings: Sequence[CheckpointFinding] = ()
    attempts: Sequence[Attempt] = ()
    calibration: Calibration = field(default_factory=Calibration)
