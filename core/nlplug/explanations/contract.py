"""What a model has to say about itself so that its answers can be explained."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from nlplug.data.tags import type_of
from nlplug.errors import OptionError
from nlplug.explanations.result import ExplainedTarget, Unit
from nlplug.runtime.model import I, O, Row, TaskModel

if TYPE_CHECKING:
    from nlplug.models.bundle import Bundle
    from nlplug.runtime.tokenizer import Tokenizer

Outputs = Mapping[str, np.ndarray]
_NAMED = 20


@dataclass(frozen=True)
class Target:
    """What is explained.

    Attributes:
        name: How the explanation names it.
        windows: The rows of the input whose outputs it depends on.
        value: Its value from the outputs of these rows, in their order.
        unit: The unit of the value.
    """

    name: ExplainedTarget
    windows: Sequence[int]
    value: Callable[[Sequence[Outputs]], float]
    unit: Unit = "log-odds"


class ExplainableModel(TaskModel[I, O]):
    """A model whose answers can be explained.

    Attributes:
        stand_in: The token that replaces the tokens of a word; None: the vocabulary has none.
    """

    stand_in: int | None = None

    @abstractmethod
    def texts(self, item: I) -> Mapping[str, str]:
        """The texts of an input that the model reads, by field."""

    @abstractmethod
    def places(self, item: I, rows: Sequence[Row], options: O) -> list[np.ndarray]:
        """Where the tokens of each row come from.

        Returns:
            For each row (tokens, 3) of int: the number of the text in `texts`, the first character
            and the end; tokens of no text, such as special tokens, have the number -1.
        """

    @abstractmethod
    def target(
        self,
        item: I,
        rows: Sequence[Row],
        outputs: Sequence[Outputs],
        answer: Any,
        options: O,
    ) -> Target | None:
        """What to explain; None if there is nothing, such as no entity.

        Args:
            item: The input.
            rows: Its rows.
            outputs: The outputs of the rows.
            answer: The answer, as `decode` gave it.
            options: The options of the call.

        Raises:
            OptionError: The model has no such label, or the text has no such part.
        """


def stand_in_of(bundle: Bundle, tokenizer: Tokenizer) -> int | None:
    """The token that replaces words: the mask token, else the unknown token, else padding."""
    mask = tokenizer.token_id(bundle.repository.special_tokens.get("mask"))
    if mask is not None:
        return mask
    return tokenizer.unk_token_id if tokenizer.unk_token_id >= 0 else tokenizer.pad_token_id


def label_ids(wanted: str, labels: Sequence[str]) -> list[int]:
    """The ids of a label, or of all labels of an entity type; at least one.

    Args:
        wanted: A label such as ``B-PER``, or a type such as ``PER``.
        labels: The labels by id.

    Raises:
        OptionError: There is no such label.
    """
    found = [number for number, label in enumerate(labels) if label == wanted] or [
        number for number, label in enumerate(labels) if type_of(label) == wanted
    ]
    if not found:
        names = list(dict.fromkeys(type_of(label) for label in labels if type_of(label)))
        close = get_close_matches(wanted, names, n=1)
        guess = f"Did you mean {close[0]!r}? " if close else ""
        shown = ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
        raise OptionError(
            f"explain_label is {wanted!r}, which is not a label of the model.",
            hint=f"{guess}Its labels are: {shown}.",
        )
    return found


def log_odds(logits: np.ndarray, ids: Sequence[int]) -> float:
    """Log odds of some labels against all others: ``log(p / (1 - p))``, mean over the rows.

    Args:
        logits: (…, labels).
        ids: The labels; not all of them.
    """
    exact = np.atleast_2d(logits).astype(np.float64)
    chosen = np.isin(np.arange(exact.shape[-1]), ids)
    inside = np.logaddexp.reduce(exact[:, chosen], axis=-1)
    return float((inside - np.logaddexp.reduce(exact[:, ~chosen], axis=-1)).mean())
