"""The answers of the PyTorch model on labelled rows: is it worth exporting?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from operator import eq
from typing import Any

from nlplug.evaluation.base import Evaluation
from nlplug.export.paired import paired_loss
from nlplug.export.preflight.findings import CheckpointFinding
from nlplug.export.preflight.suspects import suspects

_ROWS = 20
"""Fewer labelled rows say too little about a model."""
_OF_A_LABEL = 5
_PURE = 0.6
_RIGHT = 0.5
"""Share of the metric from which answers are not compared with those of other rows."""
_RELATED = 0.05
"""Gain of answers that belong to their row over those of other rows, as a share."""


LOOK = (
    "Check that the rows have the labels of this model. If they do, the checkpoint is not "
    "trained, or its weights, config.json or tokenizer are not those of the training."
)


def check_labels(
    evaluation: Evaluation, answers: Sequence[Any], targets: Sequence[Any]
) -> list[CheckpointFinding]:
    """Swapped labels.

    Args:
        evaluation: Of the task.
        answers: What the PyTorch model answers.
        targets: The right answers.
    """
    pairs = evaluation.label_pairs(answers, targets) if len(targets) >= _ROWS else []
    if swapped := _swapped(pairs):
        right = sum(one == two for one, two in pairs) / len(pairs)
        mended = sum(one == swapped.get(two, two) for one, two in pairs) / len(pairs)
        names = ", ".join(f"{one!r} means {two!r}" for one, two in sorted(swapped.items()))
        return [
            CheckpointFinding(
                "answers",
                f"The labels are swapped: {right:.1%} of {len(pairs)} answers are right, and "
                f"{mended:.1%} would be if {names}.",
                "Correct the order of id2label in config.json, or the labels of the rows.",
            )
        ]
    return []


def check_answers(
    evaluation: Evaluation, answers: Sequence[Any], targets: Sequence[Any], model: Any
) -> list[CheckpointFinding]:
    """One answer for everything, no better than the commonest label, unrelated to the rows.

    Args:
        evaluation: Of the task.
        answers: What the PyTorch model answers.
        targets: The right answers.
        model: The PyTorch model; the message names its unusual settings and weights.
    """
    if len(targets) < _ROWS:
        return []
    pairs = evaluation.label_pairs(answers, targets)
    if len(pairs) == len(targets):  # each row has one label
        found = list(_no_better(pairs, model))
    else:
        found = list(_unrelated(evaluation, answers, targets, model))
    return found or list(_nothing_right(evaluation, answers, targets, model))


def _unrelated(
    evaluation: Evaluation, answers: Sequence[Any], targets: Sequence[Any], model: Any
) -> Iterator[CheckpointFinding]:
    """Answers that fit the right answers of other rows as well as those of their own."""
    other = [*targets[len(targets) // 2 :], *targets[: len(targets) // 2]]
    if not evaluation.higher_is_better or all(map(eq, targets, other)):
        return
    own = evaluation.per_example(answers, targets)
    gain = paired_loss(own, evaluation.per_example(answers, other))
    # Rows with names at the same places have answers that fit each other, and are right.
    if own.mean() < _RIGHT and (gain.low <= 0 or gain.mean < _RELATED):
        scale, name = evaluation.scale, evaluation.metric.replace("_", " ")
        yield CheckpointFinding(
            "answers",
            f"The answers of the PyTorch model have little to do with the {len(targets)} rows: "
            f"their {name} is {scale * float(own.mean()):.3g}, and "
            f"{scale * float(own.mean() - gain.mean):.3g} with the right answers of other rows."
            f"{suspects(model)}",
            LOOK,
        )


def _no_better(pairs: Sequence[tuple[str, str]], model: Any) -> Iterator[CheckpointFinding]:
    truth, given = (Counter(pair[side] for pair in pairs) for side in (0, 1))
    if len(pairs) < _ROWS or len(truth) < 2:
        return
    label, count = truth.most_common(1)[0]
    majority = count / len(pairs)
    right = sum(one == two for one, two in pairs) / len(pairs)
    only = next(iter(given)) if len(given) == 1 else None
    if only is None and right > majority:
        return
    what = (
        f"answers {only!r} for all {len(pairs)} rows, which have {len(truth)} labels"
        if only is not None
        else f"is right for {right:.1%} of {len(pairs)} rows, and the label {label!r} alone would "
        f"be for {majority:.1%}"
    )
    yield CheckpointFinding("answers", f"The PyTorch model {what}.{suspects(model)}", LOOK)


def _nothing_right(
    evaluation: Evaluation, answers: Sequence[Any], targets: Sequence[Any], model: Any
) -> Iterator[CheckpointFinding]:
    worth = evaluation.per_example(answers, targets)
    if evaluation.higher_is_better and not (worth > 0).any():
        yield CheckpointFinding(
            "answers",
            f"The PyTorch model has {evaluation.metric.replace('_', ' ')} 0 on {len(targets)} "
            f"rows.{suspects(model)}",
            LOOK,
        )


def _swapped(pairs: Sequence[tuple[str, str]]) -> Mapping[str, str]:
    """What labels of the answers mean, if exchanging them makes many more answers right.

    Each label must mean mostly one other, no two the same, and the labels be a permutation.
    """
    by_answer: dict[str, Counter[str]] = {}
    for truth, given in pairs:
        by_answer.setdefault(given, Counter())[truth] += 1
    means = {}
    for given, counts in by_answer.items():
        label, count = counts.most_common(1)[0]
        total = counts.total()
        if label != given and total >= _OF_A_LABEL and count >= _PURE * total:
            means[given] = label
    if set(means) != set(means.values()):
        return {}
    affected = sum(given in means for _, given in pairs)
    gain = sum((truth == means.get(given, given)) - (truth == given) for truth, given in pairs)
    return means if means and gain >= affected / 2 else {}
