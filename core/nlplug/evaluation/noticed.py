"""What a report says of the answers that it is made of, beside their scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from nlplug.runtime.answers import Answers
from nlplug.text.foreign import ForeignTexts


@dataclass(frozen=True)
class Noticed:
    """What a call would warn of.

    Attributes:
        foreign: The inputs in languages that the model does not know.
        messages: Other facts, such as the number of texts that ended at a limit; a line for each.
    """

    foreign: ForeignTexts = field(default_factory=ForeignTexts)
    messages: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """All as sentences for people."""
        return [*filter(None, [str(self.foreign)]), *self.messages]


def noticed(answers: Iterator[Any]) -> Noticed:
    """What is known of answers that were read; nothing if they are not those of a pipeline."""
    if not isinstance(answers, Answers):
        return Noticed()
    return Noticed(answers.foreign, answers.short.messages())
