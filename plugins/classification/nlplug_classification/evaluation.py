"""Scores of a classifier that may abstain, at the point it is used at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nlplug.evaluation.base import Table
from nlplug.families.sequence_classification.scoring import ClassificationEvaluation
from nlplug.task import TaskOptions
from nlplug_classification.options import ClassificationOptions


class AbstainingEvaluation(ClassificationEvaluation):
    """The family's report, and how well the model tells what fits none of its labels.

    Where the model abstains the abstaining label is one of the labels, and the right one of the
    texts that have it in the data, or that have no label where there can be several. An abstaining
    answer to any other text is wrong.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__(labels)
        self._options = ClassificationOptions()

    def configure(self, options: TaskOptions) -> None:
        """Take over the threshold, and the label of abstaining answers where there are such."""
        if not isinstance(options, ClassificationOptions):
            return
        self._options = options
        if options.threshold:
            self._cut = np.nextafter(options.threshold, 0.0)  # a score equal to it is enough
        if self._abstains and options.abstain_label not in self._ids:
            self._ids[options.abstain_label] = len(self.labels)
            self.labels.append(options.abstain_label)

    def report(self, answers: Sequence[Any], targets: Sequence[Any]) -> dict[str, Any]:
        """The family's numbers; where the model abstains, those of texts inside and outside too.

        ``in_scope_accuracy`` counts an abstaining answer as wrong. ``out_of_scope_recall`` is the
        share of the texts outside that the model abstains from, ``out_of_scope_precision`` the
        share of its abstaining answers that are right; each is left out where nothing is counted.
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
        """The family's, and the point that the model was used at."""
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
            # An abstaining answer stands alone, and its score says how sure the others are not.
            given[:, column] |= scores[:, column] > 0
        return given
