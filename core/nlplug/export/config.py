"""The settings of an export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.errors import OptionError
from nlplug.export.quantize import FIXED, Quantization

if TYPE_CHECKING:
    from nlplug.task import Task


@dataclass
class ExportConfig:
    """What to export, where to, and how much it may lose.

    Attributes:
        source: Checkpoint in Hugging Face's layout: a folder or a Hub id.
        output: Folder of the bundle; an existing bundle is replaced when the new one is complete.
        task: The task that the model is for.
        precisions: Any of ``fp32``, ``fp16``, ``int8``; None for all that such a model has.
        eval_data: Labelled rows for the gate; None: see `nlplug.export.rows.gate_rows`.
        eval_rows: Maximum number of rows.
        calibration: Rows that the scales of int8 activations are chosen on, best those of training;
            labels are not read. None: the rows of the gate.
        columns: Names of columns that differ from the default, such as ``{"text": "review"}``.
        budget: Largest loss of the metric that a precision may have: 0.005 is half a point.
        required: Precisions without which the export fails; None for those of the bundle that is
            replaced, so that an export never removes a precision.
        quantization: How int8 is made.
        repair_seconds: Time for repairing refused precisions, see `nlplug.export.repair.ladder`; 0
            for no repairs. A repair that has started is finished.
        allow: Names of checks whose findings do not stop the export, see
            `nlplug.export.preflight.findings.CHECKS`.
        name: Name of the model; empty for the name of the output folder.
        max_length: The model's window in tokens; None for that of the checkpoint.
        options: Default options of this model that differ from those of the task.
        license: SPDX identifier or a short text.
        data: What it was trained on, one record per data set.
        privacy: The differential privacy of its training, see `nlplug.train.privacy.Privacy`.
        languages: ISO 639-1 codes.
        description: One line.
        card: Text of the bundle's ``README.md``; empty: a card made from the manifest.

    Raises:
        OptionError: ``budget`` or ``repair_seconds`` is out of bounds.
    """

    source: Path | str
    output: Path
    task: Task
    precisions: Sequence[str] | None = None
    eval_data: Path | None = None
    eval_rows: int = 2000
    calibration: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    budget: float = 0.005
    required: Sequence[str] | None = None
    quantization: Quantization = field(default_factory=Quantization)
    repair_seconds: float = 300.0
    allow: tuple[str, ...] = ()
    name: str = ""
    max_length: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    license: str = ""
    data: Sequence[Mapping[str, Any]] = ()
    privacy: Mapping[str, Any] = field(default_factory=dict)
    languages: Sequence[str] = ()
    description: str = ""
    card: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.budget <= 1:  # also NaN, which no loss is above
            raise OptionError(
                f"budget is {self.budget}.", hint="Give a share from 0 to 1: 0.005 is half a point."
            )
        if not self.repair_seconds >= 0:
            raise OptionError(
                f"repair_seconds is {self.repair_seconds}.", hint="Give seconds from 0 up."
            )

    @property
    def wanted(self) -> tuple[str, ...]:
        """The precisions to export."""
        offered = self.task.family.precisions
        return offered if self.precisions is None else tuple(self.precisions)

    @property
    def fixed(self) -> bool:
        """Whether the scales of int8 activations are fixed, so that answers must not depend on the
        batch."""
        return self.quantization.scales == FIXED
