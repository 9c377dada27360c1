"""Scores of extractive question answering: exact match and F1 as in SQuAD."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nlplug.evaluation.base import Evaluation, Sample, Table, check_columns
from nlplug.families.span_extraction.options import SpanExtractionOptions
from nlplug.families.span_extraction.overlap import exact_match, f1

if TYPE_CHECKING:
    from nlplug.data.formats import DataFile
    from nlplug.task import TaskOptions

_COLUMNS = ("question", "context")


class SpanExtractionEvaluation(Evaluation):
    """Exact match and F1 over all questions, and over those with and without an answer.

    A target is the tuple of right answers; it is empty for a question without an answer. The right
    answer to such a question is the empty text, which a model returns if
    ``handle_impossible_answer`` is on. ``best_f1`` is the highest F1 that a score threshold could
    reach: answers with a score below ``best_f1_threshold`` count as "no answer".
    """

    metric: ClassVar[str] = "f1"
    options: Mapping[str, Any] = {"top_k": 1}
    target_columns: ClassVar[Sequence[str]] = ("answers", "answer")

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__(labels)
        self._none_allowed: bool | None = None

    def configure(self, options: TaskOptions) -> None:
        if isinstance(options, SpanExtractionOptions):
            self._none_allowed = options.handle_impossible_answer

    def samples(self, path: Path | DataFile, **columns: str) -> Iterator[Sample]:
        """Rows with ``question``, ``context`` and ``answers`` (or ``answer``), or a SQuAD file.

        Args:
            path: The file.
            **columns: Names of the columns ``question`` and ``context`` in the file.
        """
        from nlplug.data.readers import read_rows
        from nlplug.data.squad import answer_spans, text_of

        check_columns(columns, _COLUMNS)
        for row in read_rows(path):
            for name, column in columns.items():
                row.values[name] = text_of(row, column)
            inputs = {name: text_of(row, name) for name in _COLUMNS}
            right = tuple(inputs["context"][start:end] for start, end in answer_spans(row))
            yield Sample(inputs, right, row.where)

    def per_example(self, answers: Sequence[Any], targets: Sequence[Any]) -> np.ndarray:
        """The F1 of each answer with the most similar right answer."""
        pairs = zip(answers, targets, strict=True)
        return np.array([f1(_best(answer)["answer"], right) for answer, right in pairs])

    def report(self, answers: Sequence[Any], targets: Sequence[Any]) -> dict[str, Any]:
        """``f1`` and ``exact_match`` (0 to 1), also by ``has_answer`` and ``no_answer``.

        ``no_answer_precision`` is the share of the "no answer" answers that are right,
        ``no_answer_recall`` the share of the questions without an answer that got "no answer".
        """
        given = [_best(answer) for answer in answers]
        overlap = self.per_example(answers, targets)
        exact = np.array(
            [exact_match(a["answer"], right) for a, right in zip(given, targets, strict=True)]
        )
        answerable = np.array([bool(right) for right in targets], dtype=bool)
        empty = np.array([not answer["answer"].strip() for answer in given], dtype=bool)
        report: dict[str, Any] = {"rows": len(given), **_means(overlap, exact)}
        if not answerable.all():
            scores = np.array([answer["score"] for answer in given], dtype=np.float64)
            best, threshold = best_threshold(overlap, answerable, np.where(empty, -1.0, scores))
            right = int((empty & ~answerable).sum())
            report |= {
                "has_answer": _part(overlap, exact, answerable),
                "no_answer": _part(overlap, exact, ~answerable),
                "no_answer_precision": right / int(empty.sum()) if empty.any() else None,
                "no_answer_recall": right / int((~answerable).sum()),
                "handle_impossible_answer": self._none_allowed,
                "best_f1": best,
                "best_f1_threshold": threshold,
            }
        return report

    def decision(self, answer: Any) -> str:
        """The text of the answer; empty for "no answer"."""
        return str(_best(answer)["answer"])

    def confidence(self, answer: Any) -> float:
        """The score of the answer."""
        return float(_best(answer)["score"])

    def truth(self, target: Any) -> str:
        """The different right answers."""
        return " / ".join(dict.fromkeys(target)) or "(no answer)"

    def baselines(self, targets: Sequence[Any]) -> dict[str, float]:
        """``always "no answer"``: right for the questions without an answer."""
        share = sum(not target for target in targets) / max(1, len(targets))
        return {'always "no answer"': share}

    def tables(self, report: Mapping[str, Any]) -> list[Table]:
        """Scores of all questions, of those with an answer, and of those without."""
        header = ["questions", "rows", "F1", "exact match"]
        parts = {"all": report}
        if "has_answer" in report:
            parts |= {"with an answer": report["has_answer"], "without": report["no_answer"]}
        rows: list[list[Any]] = [
            [name, part["rows"], part["f1"], part["exact_match"]] for name, part in parts.items()
        ]
        tables = [Table("Metrics", header, rows)]
        if "no_answer" in report:
            allowed = {True: "on", False: "off", None: "not known"}
            precision = report["no_answer_precision"]
            tables.append(
                Table(
                    "No answer",
                    ["figure", "value"],
                    [
                        ["handle_impossible_answer", allowed[report["handle_impossible_answer"]]],
                        ["precision", "never answered" if precision is None else precision],
                        ["recall", report["no_answer_recall"]],
                        ["F1 at the best threshold", report["best_f1"]],
                        ["best threshold of the score", report["best_f1_threshold"]],
                    ],
                )
            )
        return tables


def best_threshold(
    overlap: np.ndarray, answerable: np.ndarray, scores: np.ndarray
) -> tuple[float, float]:
    """The score threshold for "no answer" with the highest mean F1.

    Args:
        overlap: F1 of the answers, shape (rows,).
        answerable: Whether the question has an answer, same shape.
        scores: Scores of the answers, same shape; below 0 if the answer is "no answer".

    Returns:
        The mean F1 at the best threshold, and the threshold; 0 if no threshold is better.
    """
    ordered, total = totals_by_kept(overlap, answerable, scores)
    # Answers below 0 are "no answer" at any threshold.
    best = int(len(total) - 1 - total[::-1].argmax())
    threshold = 0.0 if best == len(scores) else float(np.nextafter(ordered[best], np.inf))
    return float(total[best]) / max(1, len(scores)), max(0.0, threshold)


def totals_by_kept(
    overlap: np.ndarray, answerable: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The sums of F1 if only the answers with the highest scores are kept.

    Args:
        overlap: F1 of the answers, shape (rows,).
        answerable: Whether the question has an answer, same shape.
        scores: Scores of the answers, same shape.

    Returns:
        The scores in falling order, and the sums with the first n answers kept and "no answer" for
        the others, for n from 0 to rows: shape (rows + 1,). Minus infinity where that would
        separate equal scores.
    """
    order = np.argsort(-scores, kind="stable")
    kept = np.concatenate(([0.0], np.cumsum(overlap[order])))
    dropped = np.concatenate((np.cumsum((~answerable[order])[::-1])[::-1], [0.0]))
    ordered = scores[order]
    apart = np.concatenate(([True], ordered[:-1] != ordered[1:], [True]))
    return ordered, np.where(apart, kept + dropped, -np.inf)


def _best(answer: Any) -> Mapping[str, Any]:
    """The first of several answers; an empty answer if there is none."""
    if isinstance(answer, Mapping):
        return answer
    return answer[0] if answer else {"answer": "", "score": 0.0}


def _means(overlap: np.ndarray, exact: np.ndarray) -> dict[str, float]:
    some = len(overlap) > 0
    return {
        "f1": float(overlap.mean()) if some else 0.0,
        "exact_match": float(exact.mean()) if some else 0.0,
    }


def _part(overlap: np.ndarray, exact: np.ndarray, chosen: np.ndarray) -> dict[str, Any]:
    return {"rows": int(chosen.sum()), **_means(overlap[chosen], exact[chosen])}
