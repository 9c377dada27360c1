"""What the recipes of all families do with the answers of a teacher."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from nlplug.errors import TrainingError


def check_labels(teacher: str, known: Collection[str], labels: Collection[str]) -> None:
    """Check that a teacher has the labels of the rows.

    Args:
        teacher: The teacher, for the message.
        known: Its labels.
        labels: Those of the rows.

    Raises:
        TrainingError: It has others.
    """
    if set(known) != set(labels):
        raise TrainingError(
            f"The labels of the teacher {teacher!r} are {', '.join([*known][:10])}; those of the "
            f"rows are {', '.join([*labels][:10])}.",
            hint="Use a teacher with the same labels.",
        )


def softened(scores: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities as a softmax with a temperature gives them.

    Args:
        scores: Probabilities that add up to 1 along the last axis.
        temperature: Above 1 they become more even.
    """
    powers = np.power(np.clip(scores, 1e-7, 1.0), 1 / temperature)
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
