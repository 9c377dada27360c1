"""A folder with data sets, training runs and models, which the command line and the pages share."""

from __future__ import annotations

from nlplug.workspace.datasets import DataSet, Part
from nlplug.workspace.folder import WorkspaceFolder
from nlplug.workspace.trainings import EFFORTS, TrainingRun, trained_models

__all__ = ["EFFORTS", "DataSet", "Part", "TrainingRun", "WorkspaceFolder", "trained_models"]
