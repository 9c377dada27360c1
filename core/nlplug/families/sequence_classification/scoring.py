"""Scores of sequence classifiers with one or several labels per text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nlplug.errors import warn
from nlplug.evaluation import metrics
from nlplug.evaluation.base import Evaluation, Sample, Table, check_columns
from nlplug.families.sequence_classification.options import SequenceClassificationOptions

if TYPE_CHECKING:
    from nlplug.data.formats import DataFile
    from nlplug.task import TaskOptions

_COLUMNS = ("text", "text_pair", "label")
_MATRIX_UP_TO = 40
"""With more labels there is no confusion matrix, since it would be unreadable."""
_LARGEST_MATRIX = 12
"""A matrix with more columns does not fit on a terminal."""
_LABELS_SHOWN = 20
_PAIRS = 20
_ONE_LABEL = (
    "Rows have several labels, but the labels of the model exclude each other: their scores add up "
    "to 1, so at most one is above one half. Train with --multi-label. If the labels of this model "
    "are independent, its config.json lacks the problem_type multi_label_classification."
)
_SCOPE = {
    "in_scope_accuracy": "accuracy in scope",
    "out_of_scope_recall": "out of scope, recall",
    "out_of_scope_precision": "out of scope, precision",
    "out_of_scope_rows": "out of scope, rows",
    "abstained": "share of abstaining answers",
}
"""Numbers of a model that may abstain, with their titles."""


class ClassificationEvaluation(Evaluation):
    """Accuracy, precision, recall and F1 by label, confusion matrix and calibration.

    A target is a label id, or a tuple of ids if a text may have several labels; labels in the data
    are names or ids. With several labels, accuracy is the share of texts whose set of labels is
    exactly right, and a label counts as predicted if its score is above one half. With one label
    per text, an answer without labels is wrong.

    If the model may abstain, the abstain label is one of the labels. It is the right label of a
    text that has it in the data, and of a text without labels in multi-label data. For any other
    text an abstaining answer is wrong.
    """

    metric: ClassVar[str] = "accuracy"
    options: Mapping[str, Any] = {"top_k": None}
    target_columns: ClassVar[Sequence[str]] = ("label", "labels")

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__(labels)
        self._ids = {label: index for index, label in enumerate(self.labels)}
        self._multi = False  # set by `report`: whether the rows have sets of labels
        self._cut = 0.5  # multi-label: a label is predicted if its score is above this
        self._options = SequenceClassificationOptions()

    def configure(self, options: TaskOptions) -> None:
        """Store the options, and add the abstain label to the labels if the model may abstain."""
        if not isinstance(options, SequenceClassificationOptions):
            return
        self._options = options
        if self._abstains and options.abstain_label not in self._ids:
            self._ids[options.abstain_label] = len(self.labels)
            self.labels.append(options.abstain_label)

    def samples(self, path: Path | DataFile, **columns: str) -> Iterator[Sample]:
        """Rows with the columns ``text`` and ``label`` or ``labels``, and optionally ``text_pair``.

        Args:
            path: The file.
            **columns: Names of the columns ``text``, ``text_pair`` and ``label`` in the file.
        """
        from nlplug.data.labels import row_labels
        from nlplug.data.readers import read_rows

        check_columns(columns, _COLUMNS)
        text, pair = columns.get("text", "text"), columns.get("text_pair", "text_pair")
        for row in read_rows(path):
            fields = {"text": row.text(text)}
            if isinstance(row.values.get(pair), str):
                fields["text_pair"] = row.values[pair]
            target = row_labels(row, self.labels, column=columns.get("label"))
            yield Sample(fields, target, row.where)

    def per_example(self, answers: Sequence[Any], targets: Sequence[Any]) -> np.ndarray:
        """1 if the answer is exactly right, else 0."""
        truth, given, _ = self._matrices(answers, targets)
        right: np.ndarray = (given == truth).all(axis=1)
        return right.astype(np.float64)

    def report(self, answers: Sequence[Any], targets: Sequence[Any]) -> dict[str, Any]:
        """The numbers of the module `nlplug.evaluation.metrics`.

        If the model may abstain, also those of texts inside and outside its labels:
        ``in_scope_accuracy`` counts an abstaining answer as wrong. ``out_of_scope_recall`` is the
        share of the out-of-scope texts for which the model abstains. ``out_of_scope_precision`` is
        the share of the abstaining answers that are right. A share of zero texts is left out.
        """
        truth, given, scores = self._matrices(answers, targets)
        self._multi = _several(targets)
        right = (given == truth).all(axis=1)
        rows = len(right)
        report: dict[str, Any] = {
            "rows": rows,
            "accuracy": float(right.mean()) if rows else 0.0,
            "accuracy_interval": list(metrics.wilson_interval(int(right.sum()), rows)),
        }
        if self._multi:
            report["label_accuracy"] = float((truth == given).mean()) if rows else 0.0
            if _one_label_each(scores, truth):
                report["one_label_each"] = True
                warn(_ONE_LABEL, UserWarning)
            confidence, correct = scores.ravel(), truth.ravel()
        else:
            confusion = metrics.confusion(truth, given)
            if len(self.labels) <= _MATRIX_UP_TO:
                report["confusion"] = confusion.tolist()
            report["confused"] = metrics.confused(confusion, self.labels, limit=_PAIRS)
            confidence, correct = scores.max(axis=1), right
        report |= metrics.label_scores(truth, given, self.labels)
        report |= metrics.calibration(confidence, correct)
        report["operating_point"] = self._operating_point()
        return report | (self._scope(truth, given, right) if self._abstains else {})

    def _operating_point(self) -> dict[str, Any]:
        """The options that decide which labels are answered, by name."""
        names = ("min_score", "abstain_label") if self._abstains else ("min_score",)
        return {name: getattr(self._options, name) for name in names}

    def _scope(
        self, truth: np.ndarray, given: np.ndarray, right: np.ndarray
    ) -> dict[str, float | int]:
        column = self._ids[self._options.abstain_label]
        outside, abstained = truth[:, column], given[:, column]
        shares = {
            "in_scope_accuracy": right[~outside],
            "out_of_scope_recall": abstained[outside],
            "out_of_scope_precision": outside[abstained],
            "abstained": abstained,
        }
        found = {name: float(share.mean()) for name, share in shares.items() if share.size}
        return {**found, "out_of_scope_rows": int(outside.sum())}

    def decision(self, answer: Any) -> str:
        """The label; with several per text, those with a score above one half, sorted by name."""
        if not self._multi or _abstained(answer):
            return str(answer[0]["label"]) if answer else ""
        return ", ".join(sorted(item["label"] for item in answer if item["score"] > self._cut))

    def confidence(self, answer: Any) -> float:
        """The highest score of a label."""
        return float(answer[0]["score"]) if answer else 0.0

    def truth(self, target: Any) -> str:
        """The name of the label, or of all labels, sorted."""
        ids = target if isinstance(target, tuple) else (target,)
        return ", ".join(sorted(self.labels[index] for index in ids))

    def baselines(self, targets: Sequence[Any]) -> dict[str, float]:
        """``majority``: the most frequent label, or set of labels, as the answer to every row."""
        most = Counter(targets).most_common(1)
        return {"majority": most[0][1] / len(targets)} if most else {}

    def kept(self, answer: Any, target: Any) -> Any:
        """With one label per text, the best label: a thousand labels cost no more than ten."""
        if _abstained(answer):
            return answer[:1]
        if isinstance(target, tuple) or not answer:
            return answer
        return [max(answer, key=lambda item: item["score"])]

    def label_pairs(self, answers: Sequence[Any], targets: Sequence[Any]) -> list[tuple[str, str]]:
        """The right and the best label of each text; empty if texts may have several labels."""
        if _several(targets):
            return []
        return [
            (self.truth(target), self.decision(answer))
            for answer, target in zip(answers, targets, strict=True)
            if answer
        ]

    def tables(self, report: Mapping[str, Any]) -> list[Table]:
        """Totals, one row per label (at most the worst 20), and the confusions."""
        low, high = report["accuracy_interval"]
        totals: list[list[Any]] = [
            ["rows", report["rows"]],
            ["accuracy", report["accuracy"]],
            ["accuracy, 95 % interval", f"{low:.4f} to {high:.4f}"],
        ]
        if "label_accuracy" in report:
            totals.append(["accuracy of single labels", report["label_accuracy"]])
        if report.get("one_label_each"):
            totals.append(["labels of the model exclude each other", "yes"])
        totals += [
            ["F1, macro", report["macro"]["f1"]],
            ["F1, micro", report["micro"]["f1"]],
            ["F1, weighted", report["weighted"]["f1"]],
            ["calibration error (ECE)", report["ece"]],
        ]
        tables = [Table("Metrics", ["metric", "value"], totals)]
        point = [[name.replace("_", " "), v] for name, v in report["operating_point"].items() if v]
        point += [[title, report[name]] for name, title in _SCOPE.items() if name in report]
        if point:
            tables.append(Table("Operating point", ["", "value"], point))
        tables.append(_by_label(report["labels"]))
        if "confusion" in report and len(self.labels) <= _LARGEST_MATRIX:
            matrix = zip(self.labels, report["confusion"], strict=True)
            tables.append(
                Table(
                    "Confusion (rows: truth, columns: answer)",
                    ["", *self.labels],
                    [[label, *row] for label, row in matrix],
                )
            )
        elif report.get("confused"):
            header = ["truth", "answer", "rows", "share of the truth"]
            pairs = [[p["truth"], p["answer"], p["rows"], p["share"]] for p in report["confused"]]
            tables.append(Table("Most confused pairs", header, pairs))
        return tables

    def plots(self, report: Mapping[str, Any], pyplot: Any) -> dict[str, Any]:
        """Confusion matrix or most confused pairs (with one label per text), and reliability."""
        from nlplug.evaluation import plots

        figures = {}
        if "confusion" in report:
            figures["Confusion matrix"] = plots.confusion(pyplot, report["confusion"], self.labels)
        elif report.get("confused"):
            figures["Most confused pairs"] = plots.confused(pyplot, report["confused"])
        figures["Reliability"] = plots.reliability(pyplot, report["bins"], report["ece"])
        return figures

    def _matrices(
        self, answers: Sequence[Any], targets: Sequence[Any]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """True labels, predicted labels (0/1) and scores, shape (rows, labels) each."""
        scores = np.zeros((len(answers), len(self.labels)), dtype=np.float64)
        named = np.zeros_like(scores, dtype=bool)
        for row, answer in enumerate(answers):
            for item in answer[:1] if _abstained(answer) else answer:
                scores[row, self._ids[item["label"]]] = item["score"]
                named[row, self._ids[item["label"]]] = True
        if _several(targets):
            return self._matrix(targets), self._several_given(scores), scores
        best = np.where(named, scores, -np.inf).argmax(axis=1)
        given = np.eye(len(self.labels), dtype=bool)[best] & named
        return self._matrix(targets), given, scores

    def _several_given(self, scores: np.ndarray) -> np.ndarray:
        given: np.ndarray = scores > self._cut
        if self._abstains:
            column = self._ids[self._options.abstain_label]
            # An abstaining answer has no other label, and its score is one minus the best score.
            given[:, column] |= scores[:, column] > 0
        return given

    def _matrix(self, targets: Sequence[int | tuple[int, ...]]) -> np.ndarray:
        matrix = np.zeros((len(targets), len(self.labels)), dtype=bool)
        for row, ids in enumerate(targets):
            matrix[row, list(ids) if isinstance(ids, tuple) else ids] = True
        if self._abstains:
            matrix[~matrix.any(axis=1), self._ids[self._options.abstain_label]] = True
        return matrix

    @property
    def _abstains(self) -> bool:
        return self._options.min_score > 0


def _abstained(answer: Sequence[Any]) -> bool:
    """Whether a model abstained; the labels behind the first one are then not answers."""
    return bool(answer) and bool(answer[0].get("abstained"))


def _by_label(labels: Mapping[str, Mapping[str, Any]]) -> Table:
    names = ["precision", "recall", "f1", "support"]
    title, shown = "By label", list(labels.items())
    if len(shown) > _MATRIX_UP_TO:
        title = f"By label (the {_LABELS_SHOWN} of {len(shown)} with the lowest F1)"
        present = (item for item in shown if item[1]["support"])
        shown = sorted(present, key=lambda item: item[1]["f1"])[:_LABELS_SHOWN]
    rows = [[label, *(values[name] for name in names)] for label, values in shown]
    return Table(title, ["label", *names], rows)


def _one_label_each(scores: np.ndarray, truth: np.ndarray) -> bool:
    """Whether the scores of each text add up to 1, though a text has several labels."""
    several = bool((truth.sum(axis=1) > 1).any())
    return several and bool(np.allclose(scores.sum(axis=1), 1.0, rtol=0.0, atol=1e-4))


def _several(targets: Sequence[Any]) -> bool:
    return any(isinstance(target, tuple) for target in targets)
