"""A teacher of token classifiers: its probabilities for the tokens of another tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nlplug.data.annotated import AnnotatedText
from nlplug.families.token_classification.model import TokenClassificationModel
from nlplug.families.token_classification.options import TokenClassificationOptions
from nlplug.families.token_classification.tagged_text import Tags
from nlplug.pipelines import Pipeline

if TYPE_CHECKING:
    from nlplug.families.token_classification.task import TokenClassificationTask
    from nlplug.models.bundle import Bundle


@dataclass(frozen=True, slots=True)
class TokenScores:
    """What a teacher says about a text.

    Attributes:
        starts: First character of each of its tokens, shape (tokens,).
        ends: The character after the last, shape (tokens,).
        scores: Probabilities, shape (tokens, labels).
    """

    starts: np.ndarray
    ends: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True, slots=True)
class TaughtText(AnnotatedText):
    """A text with the probabilities of a teacher.

    Attributes:
        taught: What the teacher says.
        share: Its weight against the annotations; 1 if there are none.
    """

    taught: TokenScores | None = None
    share: float = 1.0


class _Teacher(TokenClassificationModel):
    """Answers with the probabilities of all tokens."""

    def answer(
        self, tags: Tags, options: TokenClassificationOptions
    ) -> list[dict[str, np.ndarray]]:
        return [{"starts": tags.starts, "ends": tags.ends, "scores": tags.scores}]


def teacher_scores(
    task: TokenClassificationTask,
    bundle: Bundle,
    texts: Sequence[str],
    *,
    labels: Sequence[str],
) -> list[TokenScores]:
    """The probabilities of a teacher for its own tokens.

    Args:
        task: The task.
        bundle: The teacher.
        texts: The texts.
        labels: Its labels, in the order that the probabilities are to have.
    """
    order = [bundle.labels.index(label) for label in labels]

    class Teaching(type(task)):  # type: ignore[misc]  # the class is known only here
        def bind(self, bundle: Bundle) -> TokenClassificationModel:
            return _Teacher(bundle)

    with Pipeline(Teaching(), bundle) as teacher:
        answers = list(teacher.answers(texts, min_score=0.0, on_foreign="ignore"))
    empty = {"starts": np.zeros(0, int), "ends": np.zeros(0, int)}
    empty["scores"] = np.zeros((0, len(bundle.labels)))
    return [
        TokenScores(one["starts"], one["ends"], one["scores"][:, order])
        for one in (answer[0] if answer else empty for answer in answers)
    ]


def aligned(
    taught: TokenScores, places: Sequence[tuple[int, int]], inside: Sequence[int]
) -> np.ndarray:
    """The probabilities for the tokens of another tokenizer, by character position.

    A token has those of the teacher's token at its first character. If it does not begin at the
    same word piece, it continues what the teacher's token may begin: ``B-`` becomes ``I-``.

    Args:
        taught: What the teacher says about the text.
        places: First character of each token and the one after its last, without white space.
        inside: For each label the one of a token that continues it.

    Returns:
        Shape (tokens, labels), float32; 0 for a token that is at no token of the teacher.
    """
    found = np.zeros((len(places), len(inside)), dtype=np.float32)
    last = -1
    for row, (start, end) in enumerate(places):
        at = int(np.searchsorted(taught.starts, start, side="right")) - 1
        if at < 0 or start >= end or start >= taught.ends[at]:
            continue
        if at == last:
            np.add.at(found[row], np.asarray(inside), taught.scores[at])
        else:
            found[row] = taught.scores[at]
        last = at
    return found
