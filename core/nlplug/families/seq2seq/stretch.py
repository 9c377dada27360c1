"""What became of the parts of an answer, and the answer made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class End:
    """Why a text ended (``eos``, ``stop``, ``length``), and how many tokens were decoded for it."""

    finish: str
    tokens: int


@dataclass(frozen=True)
class Stretch:
    """What became of a part of an answer.

    Attributes:
        versions: Its text, once for each version of the answer; a single one serves all.
        ids: The ids of the tokens of each version; empty for a part that stays as it was.
        ends: Why the text of each version ended, and how many tokens were decoded for it; empty
            for a part that stays as it was.
    """

    versions: list[str]
    ids: list[list[int]] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)


def joined_end(stretches: Sequence[Stretch], number: int) -> End:
    """The end of a version of several stretches: ``length`` if one of them has no end."""
    joined = End("eos", 0)
    for stretch in stretches:
        if stretch.ends:
            end = stretch.ends[min(number, len(stretch.ends) - 1)]
            finish = joined.finish if joined.finish == "length" else end.finish
            joined = End(finish, joined.tokens + end.tokens)
    return joined


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


class Trim:
    """Takes the white space off both ends of a text that comes in pieces."""

    def __init__(self) -> None:
        self._held = ""
        self._begun = False

    def __call__(self, text: str) -> str:
        text = self._held + text if self._begun else text.lstrip()
        self._begun = self._begun or bool(text)
        kept = text.rstrip()
        self._held = text[len(kept) :]
        return kept
