"""The settings of an export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.export.quantize import Quantization

if TYPE_CHECKING:
    from nlplug.task import Task


@dataclass
class ExportConfig:
    """What to export, where to, and what it may cost.

    Attributes:
        source: Checkpoint in Hugging Face's layout: a folder or a Hub id.
        output: Folder of the bundle; a bundle that is there is replaced once the new one is whole.
        task: The task it is for.
        precisions: Any of ``fp32``, ``fp16``, ``int8``; None for all that such a model has.
        eval_data: Labelled rows for the gate; None: see `nlplug.export.rows.gate_rows`.
        eval_rows: At most this many of them.
        columns: Which column is which, such as ``{"text": "review"}``, where not the usual one.
        budget: Largest loss of the metric that a precision may have: 0.005 is half a point.
        required: Precisions without which the export fails as a whole; None for those that the
            bundle being replaced offers, so that an export never takes a precision away.
        quantization: How int8 is made.
        name: Name of the model; empty for the output folder's.
        max_length: The model's window in tokens; None for what the checkpoint says.
        options: Options of the task whose default this model wants otherwise.
        license: SPDX identifier or a short text.
        data: What it was trained on, a record each.
        languages: ISO 639-1 codes.
        description: One line.
        card: Text of the bundle's ``README.md``; empty for none.
    """

    source: Path | str
    output: Path
    task: Task
    precisions: Sequence[str] | None = None
    eval_data: Path | None = None
    eval_rows: int = 2000
    columns: Mapping[str, str] = field(default_factory=dict)
    budget: float = 0.005
    required: Sequence[str] | None = None
    quantization: Quantization = field(default_factory=Quantization)
    name: str = ""
    max_length: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    license: str = ""
    data: Sequence[Mapping[str, Any]] = ()
    languages: Sequence[str] = ()
    description: str = ""
    card: str = ""

    @property
    def wanted(self) -> tuple[str, ...]:
        """The precisions to export."""
        offered = self.task.family.precisions
        return offered if self.precisions is None else tuple(self.precisions)
