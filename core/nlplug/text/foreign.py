"""The count of texts in languages that a model does not know, and its message."""

from __future__ import annotations

from dataclasses import dataclass, field

from nlplug.errors import ForeignTextWarning, warn
from nlplug.text.language_codes import name_of

UNKNOWN = "unknown characters"
"""What a text is in if most of its letters are missing in the vocabulary."""
HINT = (
    "Use a model for this language (auto chooses from the installed ones), or set on_foreign to "
    "ignore."
)


@dataclass
class ForeignTexts:
    """The foreign texts among the inputs of one call.

    Attributes:
        known: The languages that the model knows.
        total: Number of inputs so far.
        found: Number of inputs by their language: a code, the name of a script, or
            ``unknown characters``.
    """

    known: tuple[str, ...] = ()
    total: int = 0
    found: dict[str, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Number of foreign texts."""
        return sum(self.found.values())

    def found_in(self, language: str, count: int = 1) -> None:
        """Count foreign texts of a language."""
        self.found[language] = self.found.get(language, 0) + count

    def add(self, more: ForeignTexts) -> None:
        """Count those of further inputs of the call."""
        self.known = more.known
        self.total += more.total
        for language, count in more.found.items():
            self.found_in(language, count)

    def languages(self, language: str = "en") -> list[str]:
        """Names of the languages that were found, the most frequent first."""
        codes = sorted(self.found, key=lambda code: -self.found[code])
        return [name_of(code, language) for code in codes]

    def known_languages(self, language: str = "en") -> list[str]:
        """Names of the languages that the model knows."""
        return [name_of(code, language) for code in self.known]

    def __str__(self) -> str:
        """One line for people; empty if there is no foreign text."""
        if not self.count:
            return ""
        several = f"{self.count:,} of {self.total:,} texts look"
        texts = several if self.total > 1 else "The text looks"
        return f"{texts} like {', '.join(self.languages())}; {_knows(self.known)}."

    def warn(self) -> None:
        """Warn at the line of the caller, if there is a foreign text."""
        if message := str(self):
            warn(f"{message} {HINT}", ForeignTextWarning)


def _knows(known: tuple[str, ...]) -> str:
    if not known:
        return "the vocabulary of the model does not have them"
    return f"the model knows {', '.join(map(name_of, known))}"
