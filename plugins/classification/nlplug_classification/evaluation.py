"""Scores of a classifier with a score threshold."""

from __future__ import annotations

from typing import Any

import numpy as np

from nlplug.families.sequence_classification.scoring import ClassificationEvaluation
from nlplug.task import TaskOptions
from nlplug_classification.options import ClassificationOptions


class ThresholdEvaluation(ClassificationEvaluation):
    """The family's report, with the threshold above which a label counts as predicted."""

    threshold = 0.0

    def configure(self, options: TaskOptions) -> None:
        """Store the options."""
        super().configure(options)
        if isinstance(options, ClassificationOptions) and options.threshold:
            self.threshold = options.threshold
            self._cut = np.nextafter(options.threshold, 0.0)  # an equal score counts

    def _operating_point(self) -> dict[str, Any]:
        return {"threshold": self.threshold, **super()._operating_point()}
