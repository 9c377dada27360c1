"""What became of the parts of an answer, and the answer made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Stretch:
    """What became of a part of an answer.

    Attributes:
        versions: Its text, once for each version of the answer; a single one serves all.
        ids: The ids of the tokens of each version; empty for a part that stays as it was.
        tokens: How many were decoded for it.
        finish: Why its text ended; None for one that stays as it was. ``length``: one of the
            versions has no end.
    """

    versions: list[str]
    ids: list[list[int]] = field(default_factory=list)
    tokens: int = 0
    finish: str | None = None


def joined_ids(parts: Sequence[list[list[int]]], count: int) -> list[list[int]]:
    """The ids of each version of several parts; a part with one version has it in all."""
    return [
        [token for part in parts if part for token in part[min(number, len(part) - 1)]]
        for number in range(count)
    ]


def joined_texts(stretches: Sequence[Stretch], count: int) -> list[str]:
    """The text of each version of several stretches."""
    return [
        "".join(stretch.versions[min(number, len(stretch.versions) - 1)] for stretch in stretches)
        for number in range(count)
    ]
