"""Scores of a classifier that may abstain, with the options it is run with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nlplug.evaluation.base import Table
from nlplug.families.sequence_classification.scoring import ClassificationEvaluation
from nlplug.task import TaskOptions
from nlplug_classification.options import ClassificationOptions


class AbstainingEvaluation(ClassificationEvaluation):
    """The family's report, and how well the model recognizes texts that fit none of its labels.

    If the model abstains, the abstain label is one of the labels. It is the right label of a text
    that has it in the data, and of a text without labels in multi-label data. For any other text
    an abstaining answer is wrong.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__(labels)
        self._options = ClassificationOptions()

    def configure(self, options: TaskOptions) -> None:
        """Store the options, and add the abstain label to the labels if the model abstains."""
        if not isinstance(options, ClassificationOptions):
            return
        self._options = options
        if options.threshold:
            self._cut = np.nextafter(
                options.threshold, 0.0
            )  # a score equal to the threshold counts
        if self._abstains and options.abstain_label not in self._ids:
            self._ids[options.abstain_label] = len(self.labels)
            self.labels.append(options.abstain_label)

    def report(self, answers: Sequence[Any], targets: Sequence[Any]) -> dict[str, Any]:
        """The family's numbers; if the model abstains, also those of in- and out-of-scope texts.

        ``in_scope_accuracy`` counts an abstaining answer as wrong. ``out_of_scope_recall`` is the
        share of the out-of-scope texts for which the model abstains. ``out_of_scope_precision`` is
        the share of the abstaining answers that are right. A share of zero texts is left out.
        """
        report = super().report(answers, targets)
        report["operating_point"] = {
            name: getattr(self._options, name)
            for name in ("threshold", "abstain_below", *(["abstain_label"] * self._abstains))
        }
        if not self._abstains:
            return report
        truth, given, _ = self._matrices(answers, targets)
        column = self._ids[self._options.abstain_label]
        outside, abstained = truth[:, column], given[:, column]
        right = (truth == given).all(axis=1)
        shares = {
            "in_scope_accuracy": right[~outside],
            "out_of_scope_recall": abstained[outside],
            "out_of_scope_precision": outside[abstained],
            "abstained": abstained,
        }
        found = {name: float(share.mean()) for name, share in shares.items() if share.size}
        return report | found | {"out_of_scope_rows": int(outside.sum())}

    def tables(self, report: Mapping[str, Any]) -> list[Table]:
        """The family's tables, and the options that the model was run with."""
        first, *others = super().tables(report)
        point = [[name.replace("_", " "), v] for name, v in report["operating_point"].items() if v]
        names = {
            "in_scope_accuracy": "accuracy in scope",
            "out_of_scope_recall": "out of scope, recall",
            "out_of_scope_precision": "out of scope, precision",
            "out_of_scope_rows": "out of scope, rows",
            "abstained": "share of abstaining answers",
        }
        point += [[title, report[name]] for name, title in names.items() if name in report]
        return [
            first,
            *([Table("Operating point", ["", "value"], point)] if point else []),
            *others,
        ]

    @property
    def _abstains(self) -> bool:
        return self._options.abstain_below > 0

    def _matrix(self, targets: Sequence[int | tuple[int, ...]]) -> np.ndarray:
        matrix = super()._matrix(targets)
        if self._abstains:
            matrix[~matrix.any(axis=1), self._ids[self._options.abstain_label]] = True
        return matrix

    def _several_given(self, scores: np.ndarray) -> np.ndarray:
        given = super()._several_given(scores)
        if self._abstains:
            column = self._ids[self._options.abstain_label]
            # An abstaining answer has no other label, and its score is one minus the best score.
            given[:, column] |= scores[:, column] > 0
        return given
