"""Scores of token classifiers: by entity, or by word if the labels have no entity scheme."""

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
from nlplug.data.formats import DataFile
from nlplug.data.readers import read_rows
from nlplug.data.rows import DataRow
from nlplug.data.tags import (
    OUTSIDE,
    Span,
    label_single_tokens,
    spans_of_tags,
    strict_spans,
    type_of,
)
from nlplug.errors import DataError
from nlplug.evaluation.base import Evaluation, Sample, Table, check_columns
from nlplug.families.token_classification.entities import (
    count_spans,
    entity_scores,
    error_kinds,
    f1_shares,
)

_COLUMNS = ("text", "label")


class TokenClassificationEvaluation(Evaluation):
    """Entity-level precision, recall and F1, as in seqeval's default mode.

    A target is a text with its spans; a span of the answer is right if start, end and label are
    equal. Answers are entities (``entity_group``), or words or tokens with one label each
    (``entity``), which are read as a sequence of tags. Types that a row's source did not annotate
    (see ``label_set``) are ignored in the answer. If the model's labels have no entity scheme
    (parts of speech), each word is a span, and F1 is the share of words with the right label.

    For rows of tokens there are also the scores that seqeval gives for the tags of the words
    (``by_word``), and those of its strict mode with IOB2 (``by_word_strict``). The tag of a word is
    the label of its first token.
    """

    metric: ClassVar[str] = "f1"
    # The words between two entities separate them, so they must be in the answer.
    options: Mapping[str, Any] = {"ignore_labels": [], "word_tags": True}
    target_columns: ClassVar[Sequence[str]] = (*TAG_COLUMNS, *SPAN_COLUMNS)

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__(labels)
        self._plain = label_single_tokens(self.labels)
        self._known = {type_of(label) for label in self.labels} - {""}

    def samples(self, path: Path | DataFile, **columns: str) -> Iterator[Sample]:
        """Rows with tokens and tags, or with a text and spans (see `nlplug.data.annotated`).

        Args:
            path: The file.
            **columns: Names of the columns ``text`` and ``label`` (tags or spans) in the file.
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
            words = list(example.words)
            yield Sample({"words": words} if words else {"text": example.text}, example, row.where)

    def per_example(self, answers: Sequence[Any], targets: Sequence[Any]) -> np.ndarray:
        """Contributions to F1 (see `nlplug.families.token_classification.entities.f1_shares`)."""
        return f1_shares([count_spans(*pair) for pair in self._pairs(answers, targets)])

    def report(self, answers: Sequence[Any], targets: Sequence[Any]) -> dict[str, Any]:
        """The numbers of the module `entities` of this family."""
        pairs = list(self._pairs(answers, targets))
        scores = entity_scores(pairs)
        counts = [count_spans(*pair) for pair in pairs]
        low, high = _interval(f1_shares(counts))
        return {
            "rows": len(pairs),
            "entities": sum(wanted for _, _, wanted in counts),
            **scores["micro"],
            "f1_interval": [low, high],
            "errors": error_kinds(pairs),
            **self._by_word(answers, targets),
            "rows_right": sum(set(found) == set(wanted) for found, wanted in pairs)
            / max(1, len(pairs)),
            **scores,
        }

    def decision(self, answer: Any) -> str:
        """The entities of the answer: ``Ada (PER), Paris (LOC)``."""
        answer = _items(answer)
        if self._plain:
            return " ".join(item["entity"] for item in answer)
        if answer and "entity_group" in answer[0]:
            found = [(i["word"], i["entity_group"]) for i in answer if i["entity_group"] != OUTSIDE]
            return ", ".join(f"{word} ({label})" for word, label in found)
        spans = spans_of_tags([item["entity"] for item in answer])
        return ", ".join(
            f"{' '.join(item['word'] for item in answer[first:last])} ({label})"
            for first, last, label in spans
        )

    def confidence(self, answer: Any) -> float:
        """The lowest score of an entity, or of a word if there is no entity."""
        answer = _items(answer)
        kinds = ("entity_group", "entity")
        marked = [i for i in answer if next((i[k] for k in kinds if k in i), "") != OUTSIDE]
        return min((float(item["score"]) for item in marked or answer), default=0.0)

    def truth(self, target: Any) -> str:
        """The entities of the row, as `decision` shows them."""
        spans = [(target.text[start:end], label) for start, end, label in target.spans]
        if self._plain:
            return " ".join(label for _, label in spans)
        return ", ".join(f"{text} ({label})" for text, label in spans)

    def errors(self, answers: Sequence[Any], targets: Sequence[Any], limit: int) -> list[int]:
        """The rows with a wrong or missing entity, most confident first."""
        wrong = [
            index
            for index, (found, wanted) in enumerate(self._pairs(answers, targets))
            if set(found) != set(wanted)
        ]
        return sorted(wrong, key=lambda index: -self.confidence(answers[index]))[:limit]

    def label_pairs(self, answers: Sequence[Any], targets: Sequence[Any]) -> list[tuple[str, str]]:
        """The right and the given tag of each word, for rows of words; else empty."""
        return [
            pair
            for answer, target in zip(answers, targets, strict=True)
            if isinstance(answer, Mapping)
            for pair in zip(
                _within(target.tags, target.label_set),
                _within(answer["tags"], target.label_set),
                strict=True,
            )
        ]

    def baselines(self, targets: Sequence[Any]) -> dict[str, float]:
        """``no entities``: an answer without entities, whose F1 is 0."""
        return {"no entities": 0.0}

    def tables(self, report: Mapping[str, Any]) -> list[Table]:
        """Totals, and one row per type."""
        low, high = report["f1_interval"]
        names = ["precision", "recall", "f1"]
        totals: list[list[Any]] = [
            ["rows", report["rows"]],
            ["words" if self._plain else "entities", report["entities"]],
            *([name if name != "f1" else "F1", report[name]] for name in names),
            ["F1, 95 % interval", f"{low:.4f} to {high:.4f}"],
            *self._word_totals(report),
            ["F1, macro", report["macro"]["f1"]],
            ["F1, weighted", report["weighted"]["f1"]],
            ["rows without an error", report["rows_right"]],
        ]
        by_label = [
            [label, *(values[name] for name in [*names, "support"])]
            for label, values in report["labels"].items()
        ]
        return [
            Table("Metrics", ["metric", "value"], totals),
            Table("By label", ["label", *names, "support"], by_label),
            *([] if self._plain else [_kinds(report["errors"])]),
        ]

    def _word_totals(self, report: Mapping[str, Any]) -> list[list[Any]]:
        names = {"f1_by_word": "F1 by word", "f1_by_word_strict": "F1 by word, strict IOB2"}
        return [[title, report[name]] for name, title in names.items() if name in report]

    def _by_word(self, answers: Sequence[Any], targets: Sequence[AnnotatedText]) -> dict[str, Any]:
        """Scores of entities as runs of words, by the tags of the words, as seqeval's."""
        if self._plain:
            return {}
        tagged = [
            (_within(answer["tags"], target.label_set), _within(target.tags, target.label_set))
            for answer, target in zip(answers, targets, strict=True)
            if isinstance(answer, Mapping)
        ]
        if not tagged:
            return {}
        found: dict[str, Any] = {}
        for name, spans in (("by_word", spans_of_tags), ("by_word_strict", strict_spans)):
            scores = entity_scores((spans(given), spans(wanted)) for given, wanted in tagged)
            found[f"f1_{name}"] = scores["micro"]["f1"]
            found[name] = {"rows": len(tagged), **scores}
        return found

    def _pairs(
        self, answers: Sequence[Any], targets: Sequence[AnnotatedText]
    ) -> Iterator[tuple[list[Span], list[Span]]]:
        for answer, target in zip(answers, targets, strict=True):
            found = answer_spans(_items(answer), plain=self._plain)
            if target.label_set is not None:
                found = [span for span in found if span[2] in target.label_set]
                # Types outside the set may be annotated in part, so they do not count.
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


def _kinds(errors: Mapping[str, int]) -> Table:
    meanings = {
        "boundary": "right type, but other boundaries",
        "type": "right boundaries, but another type",
        "both": "overlaps an entity of another type with other boundaries",
        "missed": "an entity that no answer overlaps",
        "invented": "an answer that overlaps no entity",
    }
    rows: list[list[Any]] = [[name, errors[name], meaning] for name, meaning in meanings.items()]
    return Table("Kinds of errors", ["error", "entities", "meaning"], rows)


def _items(answer: Any) -> Sequence[Mapping[str, Any]]:
    """The entities, or the words, of an answer to a text or to words."""
    found: Sequence[Mapping[str, Any]] = answer["answer"] if isinstance(answer, Mapping) else answer
    return found


def answer_spans(answer: Sequence[Mapping[str, Any]], *, plain: bool = False) -> list[Span]:
    """The spans of an answer that has entities, or one label per word.

    Args:
        answer: Items with ``start``, ``end`` and ``entity_group`` or ``entity``, in the order of
            the text; words include those labelled ``O``.
        plain: Whether the labels have no entity scheme, so that each word is a span.
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


def _within(tags: Sequence[str], types: frozenset[str] | None) -> list[str]:
    """Tags with ``O`` for those of types that were not annotated."""
    return [tag if types is None or type_of(tag) in types else OUTSIDE for tag in tags]


def _interval(shares: np.ndarray) -> tuple[float, float]:
    """95 % confidence interval of a mean."""
    if len(shares) < 2:
        return 0.0, 1.0
    half = 1.96 * float(shares.std(ddof=1)) / len(shares) ** 0.5
    mean = float(shares.mean())
    return max(0.0, mean - half), min(1.0, mean + half)
