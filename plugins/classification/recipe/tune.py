"""Find the confidence below which the embedded model abstains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from nlplug.data import read_rows
from nlplug.errors import TrainingError

_BATCH = 64


@dataclass(frozen=True)
class Point:
    """Cost and benefit of abstaining below a confidence, on validation texts.

    Attributes:
        below: The confidence.
        accuracy: Share of the texts with an intent that get it; abstaining is wrong for them.
        recall: Share of the texts without one that the model abstains from.
    """

    below: float
    accuracy: float
    recall: float


def tune(checkpoint: Path, file: Path, outside: str, *, accuracy: float) -> Point:
    """The point that finds the most out-of-scope texts with at least the required accuracy.

    Of neighboring confidences with the same recall the lowest is taken.

    Args:
        checkpoint: The trained model.
        file: Labelled validation texts.
        outside: Label of the texts without an intent.
        accuracy: Least accuracy on the others.

    Raises:
        TrainingError: No confidence has it.
    """
    texts = [(str(row.values["text"]), str(row.values["label"])) for row in read_rows(file)]
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint).eval()
    labels = [model.config.id2label[index] for index in range(model.config.num_labels)]
    truth = np.array([labels.index(label) for _, label in texts])
    scores = np.concatenate(list(_scores(checkpoint, model, [text for text, _ in texts])))
    points = list(_points(scores, truth, labels.index(outside)))
    good = [point for point in points if point.accuracy >= accuracy]
    if not good:
        best = max(point.accuracy for point in points)
        raise TrainingError(
            f"The model has an accuracy of {best:.4f}, less than {accuracy}.", hint="Train longer."
        )
    for point in points[::5]:
        print(point)
    return max(good, key=lambda point: (point.recall, -point.below))


def _points(scores: np.ndarray, truth: np.ndarray, outside: int) -> Iterator[Point]:
    inside = scores.copy()
    inside[:, outside] = 0
    best, given = inside.max(axis=1), inside.argmax(axis=1)
    foreign = truth == outside
    for below in np.arange(0.01, 1.0, 0.01):
        # As in the task: low confidence, or the out-of-scope label has the highest score.
        abstained = (best < below) | (scores[:, outside] > best)
        right = (given == truth) & ~abstained
        yield Point(
            below=round(float(below), 2),
            accuracy=float(right[~foreign].mean()),
            recall=float(abstained[foreign].mean()),
        )


def _scores(checkpoint: Path, model: torch.nn.Module, texts: list[str]) -> Iterator[np.ndarray]:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    for start in range(0, len(texts), _BATCH):
        batch = tokenizer(
            texts[start : start + _BATCH], padding=True, truncation=True, return_tensors="pt"
        )
        with torch.inference_mode():
            logits: torch.Tensor = model(**batch).logits
        yield logits.softmax(dim=-1).numpy()
