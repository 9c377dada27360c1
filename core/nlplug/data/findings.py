"""What looks wrong in labels, and how a finding is told."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Literal
from unicodedata import normalize

Severity = Literal["error", "warning", "note"]

SHOWN = 3
"""Examples of a finding."""
_RARE = 5
"""Labels with fewer training rows are rare."""
_DOMINANT = 0.8
"""Share of the most frequent label above which the data is imbalanced."""
_UNEQUAL = 20
"""Ratio of the most frequent to the least frequent label above which they are unequal."""
MISSING = frozenset({"nan", "null", "none", "n/a", "na", "<na>", "#n/a"})
"""Texts as programs write a missing value, in small letters."""
# Between letters or digits: 'C++' and 'C', or the grades 'A-' and 'A', are different labels.
_LABEL_SPACES = re.compile(r"(?<=[^\W_])[\s_-]+(?=[^\W_])")


@dataclass(frozen=True)
class Finding:
    """Something that looks wrong.

    Attributes:
        severity: ``error``: training refuses the rows. ``warning``: the result or its score is
            likely to be worse than it seems. ``note``: good to know.
        kind: A short name, such as ``leak``.
        message: What was found, as a sentence.
        rows: Number of rows that it concerns.
        examples: The first of them, ``file:line``, or names.
        hint: What to do; empty if the message says enough.
    """

    severity: Severity
    kind: str
    message: str
    rows: int
    examples: tuple[str, ...] = ()
    hint: str = ""

    def __str__(self) -> str:
        shown = f" ({', '.join(self.examples)})" if self.examples else ""
        hint = f" {self.hint}" if self.hint else ""
        return f"{self.severity.capitalize()}: {self.message.rstrip('.')}{shown}.{hint}"


def spellings(labels: Mapping[str, int]) -> Iterable[Finding]:
    """Labels that look like one, like lists, like several labels, or like missing values.

    Args:
        labels: Number of training rows by label.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        groups[_LABEL_SPACES.sub(" ", normalize("NFC", _plain(label)))].append(label)
    for names in groups.values():
        if len(names) > 1:
            listed = ", ".join(f"{name!r} ({labels[name]:,})" for name in sorted(names))
            message = f"Labels differ only in case, spaces, hyphens, .0 or Unicode form: {listed}"
            yield Finding("warning", "label_spelling", message, sum(labels[n] for n in names))
    if lists := [name for name in labels if name[0] + name[-1] in ("[]", "{}", "()")]:
        message = f"Labels look like lists that cannot be read: {', '.join(map(repr, lists[:3]))}"
        yield Finding("warning", "label_list", message, sum(labels[n] for n in lists))
    if joined := [name for name in labels if "|" in name]:
        message = f"Labels with '|' are kept whole: {', '.join(map(repr, joined[:3]))}"
        hint = "If they are several labels each, give --multi-label true."
        count = sum(labels[name] for name in joined)
        yield Finding("note", "label_separator", message, count, hint=hint)
    if missing := [name for name in labels if name.casefold() in MISSING]:
        listed = ", ".join(f"{name!r} ({labels[name]:,})" for name in sorted(missing))
        message = f"Labels look like missing values: {listed}"
        yield Finding("warning", "empty_label", message, sum(labels[n] for n in missing))


def balance(labels: Mapping[str, int], others: Mapping[str, Set[str]]) -> Iterable[Finding]:
    """Labels that are very frequent, rare, or not in the other rows.

    Args:
        labels: Number of training rows by label.
        others: The labels of further rows by their part.
    """
    total = sum(labels.values())
    if len(labels) < 2:
        return
    name, most = max(labels.items(), key=lambda item: item[1])
    least = min(labels.values())
    if most / total > _DOMINANT:
        message = (
            f"{most / total:.0%} of the labels are {name!r}, so a score over all rows says little; "
            "look at the scores of each label"
        )
        yield Finding("warning", "imbalance", message, most)
    elif most / least > _UNEQUAL:
        message = f"The most frequent label, {name!r}, occurs {most / least:.0f} times as often as "
        yield Finding("note", "imbalance", f"{message}the rarest one", most)
    rare = sorted(label for label, count in labels.items() if count < _RARE)
    if rare:
        message = (
            f"{len(rare):,} label{'s' * (len(rare) > 1)} with fewer than {_RARE} training rows"
        )
        count = sum(labels[label] for label in rare)
        yield Finding("warning", "rare_label", message, count, tuple(rare[:SHOWN]))
    for part, found in others.items():
        missing = sorted(labels.keys() - found)
        if missing:
            message = f"{len(missing):,} of {len(labels):,} labels do not occur in the {part} rows"
            yield Finding("note", "missing_label", message, 0, tuple(missing[:SHOWN]))


def _plain(label: str) -> str:
    """A label without what two ways to write it differ in: case, and the fraction of ``1.0``."""
    return label.removesuffix(".0") if label[:-2].isdecimal() else label.casefold()


def rows_of(count: int) -> str:
    """A number of rows, in words."""
    return f"{count:,} row{'s' * (count != 1)}"
