"""Counting answers that are the same on both sides, and naming why others are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

BAR = 0.995
"""Share of the answers that must be equal, those that differ for a named reason apart."""
TOLERANCE = 1e-3
"""Largest difference of two scores that count as equal."""

Answer = tuple[Hashable, float]
"""What must be equal (place and label), and the score."""


@dataclass
class Tally:
    """What came of one comparison.

    Attributes:
        task: Name of the task.
        model: The architecture, or the name of an embedded model.
        setting: What was asked for.
        compared: Answers of either side, the same place and label counted once.
        equal: Those that both gave, with the same score.
        reasons: Those that differ for a reason that was verified.
        unexplained: Some of the others, for the message.
    """

    task: str
    model: str
    setting: str
    compared: int = 0
    equal: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)

    def add(
        self,
        ours: Sequence[Answer],
        theirs: Sequence[Answer],
        explain: Callable[[Hashable], str | None] = lambda _: None,
        *,
        where: str = "",
    ) -> None:
        """Count one input.

        Args:
            ours: Our answers to it.
            theirs: transformers' answers to it.
            explain: The verified reason why an answer differs, or None.
            where: The input, for the message.
        """
        own, other = dict(ours), dict(theirs)
        for key in dict.fromkeys([*own, *other]):
            self.compared += 1
            if same(own.get(key), other.get(key)):
                self.equal += 1
            elif reason := explain(key):
                self.reasons[reason] += 1
            else:
                self.unexplained.append(f"{where}: {key}: {own.get(key)} for {other.get(key)}")

    def check(self, least: int) -> None:
        """Fail below the bar, or where fewer than ``least`` answers were compared."""
        assert self.compared >= least, f"only {self.compared} answers compared"
        judged = self.compared - sum(self.reasons.values())
        shown = "\n".join(self.unexplained[:12])
        assert self.equal >= BAR * judged, f"{self.equal} of {judged} are equal:\n{shown}"

    def record(self) -> dict[str, Any]:
        """As plain data, for the summary."""
        return {
            "task": self.task,
            "model": self.model,
            "setting": self.setting,
            "compared": self.compared,
            "equal": self.equal,
            "reasons": dict(self.reasons),
        }


def same(one: float | None, two: float | None) -> bool:
    """Whether both are there and near enough."""
    return one is not None and two is not None and abs(one - two) <= TOLERANCE


def spans(answers: Sequence[Mapping[str, Any]]) -> list[Answer]:
    """Entities or tokens by place and label."""
    return [
        (
            (
                answer["start"],
                answer["end"],
                answer.get("entity_group", answer.get("entity")),
                answer.get("index"),
            ),
            float(answer["score"]),
        )
        for answer in answers
    ]


def explainer(
    own: Sequence[Answer],
    faults: Iterable[str],
    mended: Callable[[frozenset[str]], Sequence[Answer]],
) -> Callable[[Hashable], str | None]:
    """Finds the fault of transformers that makes an answer differ.

    Args:
        own: Our answers to an input.
        faults: Names of the known faults.
        mended: transformers' answers to it with these faults mended.
    """
    names = tuple(faults)
    given = dict(own)
    answers: dict[frozenset[str], dict[Hashable, float]] = {}

    def with_mended(some: frozenset[str]) -> dict[Hashable, float]:
        if some not in answers:
            answers[some] = dict(mended(some))
        return answers[some]

    def agree(one: float | None, two: float | None) -> bool:
        return same(one, two) or (one is None and two is None)

    def explain(key: Hashable) -> str | None:
        right = with_mended(frozenset(names)).get(key)
        if not agree(given.get(key), right):
            return None
        for name in names:
            if not agree(with_mended(frozenset(names) - {name}).get(key), right):
                return name
        # Any of several is enough to make it differ: the first one that is.
        return next(
            name
            for name in names
            if agree(with_mended(frozenset(names[: names.index(name) + 1])).get(key), right)
        )

    return explain
