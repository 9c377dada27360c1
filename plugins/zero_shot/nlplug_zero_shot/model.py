"""Compares a text with one hypothesis per label, and turns entailment into scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nlplug.errors import BundleError, OptionError
from nlplug.families.one_pass import Row, TaskModel, softmax
from nlplug.families.sequence_classification import (
    SequenceClassificationInput,
    SequenceClassificationModel,
    SequenceClassificationOptions,
)
from nlplug.models.bundle import Bundle
from nlplug.task import TextInput
from nlplug_zero_shot.options import ZeroShotAnswer, ZeroShotOptions

_SHARED = {"truncation", "stride", "max_length", "on_foreign"}


def entailment_id(labels: Mapping[int, str]) -> int:
    """Id of the label for entailment; -1 if there is none, as in transformers."""
    return next((at for at, label in labels.items() if label.lower().startswith("entail")), -1)


@dataclass(slots=True)
class LabelRow(Row):
    """A window of a text with the hypothesis of one label.

    Attributes:
        label: Number of the label among the candidates.
    """

    label: int = 0


class ZeroShotModel(TaskModel[TextInput, ZeroShotOptions]):
    """Classifies texts with a model of natural language inference.

    Each label gives a pair of the text and a hypothesis. All pairs of all texts are batched
    together. Of a long text the logits are averaged over its windows, see
    `SequenceClassificationModel`.

    Args:
        bundle: A bundle of a sequence classification model.

    Raises:
        BundleError: None of its labels is entailment.
    """

    output_rank: ClassVar[int | None] = 2

    def __init__(self, bundle: Bundle) -> None:
        self._pairs = SequenceClassificationModel(bundle)
        self.output_width = self._pairs.output_width
        self.pad_token_id = self._pairs.pad_token_id
        self.pads = self._pairs.pads
        self.first_position = self._pairs.first_position
        labels = self._pairs.labels
        self.entailment = entailment_id(labels)
        """Id of the label for entailment."""
        if self.entailment < 0 or len(labels) < 2:
            raise BundleError(
                f"The model {bundle.name!r} is not for natural language inference: none of its "
                f"labels ({', '.join(labels.values())}) begins with 'entail', or there is no "
                "other one.",
                hint="Use another model; if the names are missing, set id2label in config.json.",
            )
        # As in transformers: the other end of the labels.
        self._contradiction = len(labels) - 1 if self.entailment == 0 else 0

    def encode(self, inputs: Sequence[TextInput], options: ZeroShotOptions) -> list[list[Row]]:
        """Tokenize the pairs of each text; a long text gives several windows per label.

        Raises:
            OptionError: There are no labels.
        """
        labels = options.candidate_labels
        if not labels:
            raise OptionError(
                "candidate_labels is missing or empty.",
                hint='Give the labels to choose from, such as candidate_labels=["sport", "music"].',
            )
        hypotheses = [options.hypothesis_template.format(label) for label in labels]
        pairs = [
            SequenceClassificationInput(text=item.text, text_pair=hypothesis)
            for item in inputs
            for hypothesis in hypotheses
        ]
        given = options.model_dump(include=_SHARED, exclude_unset=True)
        shared = SequenceClassificationOptions(truncated_text="only_first", **given)
        windows = self._pairs.encode(pairs, shared)
        return [
            [
                LabelRow(row.features, row.meta, label)
                for label, own in enumerate(windows[start : start + len(labels)])
                for row in own
            ]
            for start in range(0, len(windows), len(labels))
        ]

    def decode(
        self,
        item: TextInput,
        rows: Sequence[Row],
        outputs: Sequence[Mapping[str, np.ndarray]],
        options: ZeroShotOptions,
    ) -> ZeroShotAnswer:
        """The labels with their scores, best first."""
        labels = options.candidate_labels
        owners = np.array([row.label for row in rows if isinstance(row, LabelRow)])
        logits = np.stack([self._logits(rows, outputs, owners == at) for at in range(len(labels))])
        if options.multi_label or len(labels) == 1:
            scores = softmax(logits[:, [self._contradiction, self.entailment]])[:, 1]
        else:
            scores = softmax(logits[:, self.entailment])
        order = np.argsort(-scores, kind="stable")
        return ZeroShotAnswer(
            sequence=item.text,
            labels=[labels[at] for at in order],
            scores=[float(scores[at]) for at in order],
        )

    def _logits(
        self,
        rows: Sequence[Row],
        outputs: Sequence[Mapping[str, np.ndarray]],
        chosen: np.ndarray,
    ) -> np.ndarray:
        """The logits of the chosen rows, (classes,)."""
        numbers = np.flatnonzero(chosen).tolist()
        return self._pairs.logits([rows[at] for at in numbers], [outputs[at] for at in numbers])
