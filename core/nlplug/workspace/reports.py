"""The rows behind a number of a run's report, and its model as a wheel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.data.corrections import Corrections
from nlplug.data.readers import read_rows
from nlplug.errors import TrainingError
from nlplug.models.bundle import Bundle
from nlplug.models.pack import PackConfig, pack_wheel
from nlplug.train.workspace import gate_file_of
from nlplug.workspace.trainings import TrainingRun

if TYPE_CHECKING:
    from nlplug.pipelines import Pipeline


def rows_behind(
    run: TrainingRun, corrections: Corrections, pipeline: Pipeline, truth: str, given: str
) -> list[dict[str, Any]]:
    """The rows of the report with one right label that the model gave another (or the same).

    Args:
        run: A finished run.
        corrections: How its rows are read; its kind is ``label``.
        pipeline: The model of the run.
        truth: The right label.
        given: The label of the model.

    Returns:
        Per row ``text`` and ``score``, the highest score first.
    """
    file = gate_file_of(run.training)
    if file is None:
        return []
    rows = [row for row in read_rows(file) if corrections.value(row.values) == truth]
    items = [corrections.item(row.values) for row in rows]
    found = []
    for item, answer in zip(items, pipeline.answers(items), strict=True):
        if answer[0]["label"] == given:
            found.append({"text": item["text"], "score": float(answer[0]["score"])})
    return sorted(found, key=lambda row: -row["score"])


def wheel(run: TrainingRun, name: str) -> Path:
    """The model of a run as an installable wheel in the folder ``wheels`` of the workspace.

    Args:
        run: A finished run.
        name: Name of the package and of the model.

    Raises:
        TrainingError: The run has no model.
        OptionError: The name cannot be that of a package.
    """
    if run.state != "finished" or not run.model.is_dir():
        raise TrainingError(
            f"The run {run.name!r} has no model.", hint="Finish the training first."
        )
    bundle = Bundle.open(run.model)
    return pack_wheel(bundle, run.workspace.path / "wheels", PackConfig(name))
