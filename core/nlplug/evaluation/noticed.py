"""What a report says of the answers that it is made of, beside their scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nlplug.runtime.answers import Answers
from nlplug.text.foreign import ForeignTexts

if TYPE_CHECKING:
    from nlplug.models.manifest import Manifest

_SEEN = {
    "train": "The model was trained on this file, so the scores are too high.",
    "eval": "The checkpoint of the model was chosen on this file, so the scores may be too high.",
}
"""What a file of a run was for, by its part in the manifest."""


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


def seen_before(
    manifest: Manifest | None, sha256: str, parts: Sequence[str] = tuple(_SEEN)
) -> str | None:
    """What a model was made with a data file for, as a sentence; None if it was not.

    Args:
        manifest: The manifest of the model.
        sha256: Digest of the file.
        parts: The parts that matter: ``train``, ``eval``.
    """
    records = manifest.data if manifest is not None and sha256 else []
    found = {record.get("part") for record in records if record.get("sha256") == sha256}
    return next((_SEEN[part] for part in parts if part in found), None)


def noticed(answers: Iterator[Any]) -> Noticed:
    """What is known of answers that were read; nothing if they are not those of a pipeline."""
    if not isinstance(answers, Answers):
        return Noticed()
    return Noticed(answers.foreign, answers.short.messages())
