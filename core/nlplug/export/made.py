"""What an exporter hands back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nlplug.export.gate import Verdict


@dataclass(frozen=True)
class Made:
    """What was built in a folder, and how it did at the gate.

    Attributes:
        verdicts: On each precision that was built.
        files: Precision → graph → file in the folder.
        rows: What was compared on.
        reference: Metrics of the PyTorch model; empty without labels.
        note: What the graphs are.
        labels: In the order of their ids; empty for tasks without.
        max_length: Window in tokens.
    """

    verdicts: list[Verdict]
    files: Mapping[str, Mapping[str, str]]
    rows: str
    reference: dict[str, float]
    note: str
    labels: Sequence[str]
    max_length: int
