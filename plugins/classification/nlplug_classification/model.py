"""Which labels a classifier returns."""

from __future__ import annotations

import numpy as np

from nlplug.families.sequence_classification import (
    LabelScore,
    SequenceClassificationModel,
    SequenceClassificationOptions,
)
from nlplug_classification.options import ClassificationOptions


class ClassificationModel(SequenceClassificationModel):
    """Labels above a threshold; possibly none. It does not apply to the abstain label."""

    def answer(
        self, scores: np.ndarray, options: SequenceClassificationOptions
    ) -> list[LabelScore]:
        """Labels with scores, best first; possibly none."""
        answer = super().answer(scores, options)
        if isinstance(options, ClassificationOptions) and options.threshold:
            answer = [item for item in answer if item["score"] >= options.threshold]
        return answer
