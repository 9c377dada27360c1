"""Scores of token classifiers: entities, or words where the labels are of no entity scheme."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nlplug.data.annotated import (
    SPAN_COLUMNS,
    TAG_COLUMNS,
    AnnotatedText,
    annotated,
)
from nlplug.data.readers import DataRow, read_rows
from nlplug.data.tags import OUTSIDE, Span, label_single_tokens, spans_of_tags, type_of
from nlplug.errors import DataError
from nlplug.evaluation.base import Evaluation, Sample, Table, check_columns
from nlplug.families.token_classification.entities import count_spans, entity_scores, f1_shares

_COLUMNS = ("text", "label")


class TokenClassificationEvaluation(Evaluation):
    """Entity-level precision, recall and F1, as seqeval's default mode has them.

    A target is the row's text with its spans: an answer counts where start, end and label are the
    same. Answers may be groups (``entity_group``) or one label a word or token (``entity``), which
    are read as the sequence of tags that they are. What a row's source did not look for (see
    ``label_set``) is not held against an answer. Where the model's labels are of no entity scheme
    (parts of speech), each word is a span, so that F1 is the share of words with the right label.
    """

    metric: ClassVar[str] = "f1"
    # Words between two entities part them, so they must be in the answer.
    options: Mapping[str, Any] = {"ignore_labels": []}
    target_columns: ClassVar[Sequence[str]] = (*TAG_COLUMNS, *SPAN_COLUMNS)

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__(labels)
        self._plain = label_single_tokens(self.labels)
        self._known = {type_of(label) for label in self.labels} - {""}

    def samples(self, path: Path, **columns: str) -> Iterator[Sample]:
        """Rows with tokens and tags, or with a text and spans (see `nlplug.data.annotated`).

        Args:
            path: The file.
            **columns: ``text`` and ``label`` (the column of tags or spans) say what these are
                called in the file.
        """
        check_columns(columns, _COLUMNS)
        for row in read_rows(path):
            example = annotated(
                row,
                text_column=columns.get("text", "text"),
                label_column=columns.get("label"),
                names=self.labels,
                plain=self._plain,
            )
            self._check(example, row)
            yield Sample({"text": example.text}, example, row.where)

    def per_example(self, answers: Sequence[Any], targets: Sequence[Any]) -> np.ndarray:
        """Contributions to F1 (see `nlplug.families.token_classification.entities.f1_shares`)."""
        return f1_shares([count_spans(*pair) for pair in self._pairs(answers, targets)])

    def report(self, answers: Sequence[Any], targets: Sequence[Any]) -> dict[str, Any]:
        """See the module `entities` of this family for what each number is."""
        pairs = list(self._pairs(answers, targets))
        scores = entity_scores(pairs)
        counts = [count_spans(*pair) for pair in pairs]
        low, high = _interval(f1_shares(counts))
        return {
            "rows": len(pairs),
            "entities": sum(wanted for _, _, wanted in counts),
            **scores["micro"],
            "f1_interval": [low, high],
            "rows_right": sum(set(found) == set(wanted) for found, wanted in pairs)
            / max(1, len(pairs)),
            **scores,
        }

    def tables(self, report: Mapping[str, Any]) -> list[Table]:
        """Totals, and one row a type."""
        low, high = report["f1_interval"]
        names = ["precision", "recall", "f1"]
        totals: list[list[Any]] = [
            ["rows", report["rows"]],
            ["words" if self._plain else "entities", report["entities"]],
            *([name if name != "f1" else "F1", report[name]] for name in names),
            ["F1, 95 % interval", f"{low:.4f} to {high:.4f}"],
            ["F1, macro", report["macro"]["f1"]],
            ["F1, weighted", report["weighted"]["f1"]],
            ["rows without a mistake", report["rows_right"]],
        ]
        by_label = [
            [label, *(values[name] for name in [*names, "support"])]
            for label, values in report["labels"].items()
        ]
        return [
            Table("Metrics", ["metric", "value"], totals),
            Table("By label", ["label", *names, "support"], by_label),
        ]

    def _pairs(
        self, answers: Sequence[Any], targets: Sequence[AnnotatedText]
    ) -> Iterator[tuple[list[Span], list[Span]]]:
        for answer, target in zip(answers, targets, strict=True):
            found = answer_spans(answer, plain=self._plain)
            if target.label_set is not None:
                found = [span for span in found if span[2] in target.label_set]
                # Types beyond the set that are marked all the same say nothing of the others.
                wanted = [span for span in target.spans if span[2] in target.label_set]
            else:
                wanted = list(target.spans)
            yield found, wanted

    def _check(self, example: AnnotatedText, row: DataRow) -> None:
        for _, _, label in example.spans:
            if label not in self._known:
                shown = ", ".join(map(repr, sorted(self._known)[:20]))
                raise DataError(
                    f"{row.where}: unknown label {label!r}.",
                    hint=f"The model's labels are {shown}.",
                )


def answer_spans(answer: Sequence[Mapping[str, Any]], *, plain: bool = False) -> list[Span]:
    """The spans of an answer, whether it is of groups or of one label a word.

    Args:
        answer: Items with ``start``, ``end`` and ``entity_group`` or ``entity``, in the text's
            order; those of words with the words labelled ``O`` among them.
        plain: The labels are of no entity scheme: each word is a span.
    """
    if not answer or "entity_group" in answer[0]:
        return [
            (item["start"], item["end"], item["entity_group"])
            for item in answer
            if item["entity_group"] != OUTSIDE
        ]
    if plain:
        return [(item["start"], item["end"], item["entity"]) for item in answer]
    spans = spans_of_tags([item["entity"] for item in answer])
    return [
        (answer[first]["start"], answer[last - 1]["end"], label) for first, last, label in spans
    ]


def _interval(shares: np.ndarray) -> tuple[float, float]:
    """95 % interval of a mean."""
    if len(shares) < 2:
        return 0.0, 1.0
    half = 1.96 * float(shares.std(ddof=1)) / len(shares) ** 0.5
    mean = float(shares.mean())
    return max(0.0, mean - half), min(1.0, mean + half)
