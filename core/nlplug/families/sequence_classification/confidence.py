"""What held-out rows say about the scores of a model: a temperature, and conformal scores.

The record is the file ``confidence.json`` of a bundle. Label sets are those of split conformal
prediction with the score "one minus the probability of the right label" (Sadinle et al. 2019, LAC):
a label is in the set if its probability is at least the corrected quantile of the held-out rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nlplug.errors import BundleCorrupt, OptionError
from nlplug.models.bundle import Bundle
from nlplug.models.layout import CONFIDENCE_FILE


class Confidence(BaseModel):
    """The record of a model.

    Attributes:
        temperature: The logits are divided by it before the activation.
        right: The probabilities that the model gave to the right label of the held-out rows,
            ascending; empty: there are no label sets.
    """

    model_config = ConfigDict(extra="forbid")

    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    right: list[float] = []

    @classmethod
    def of(cls, bundle: Bundle) -> Confidence:
        """The record of a bundle; without the file a record that changes nothing.

        Raises:
            BundleCorrupt: The file is not a record.
        """
        try:
            return cls.model_validate(bundle.repository.confidence)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise BundleCorrupt(
                f"{CONFIDENCE_FILE} of {bundle.name!r} is not a record: "
                f"{'.'.join(map(str, first['loc']))}: {first['msg']}.",
                hint="Make it again: nlplug models confidence MODEL --data ROWS",
            ) from None

    def check(self, name: str, activation: str) -> None:
        """Check that the model can give label sets.

        Args:
            name: Name of the model.
            activation: The activation of the call.

        Raises:
            OptionError: It cannot.
        """
        if activation != "softmax":
            raise OptionError(
                f"coverage needs scores of a softmax, but the activation is {activation!r}.",
                hint="Use min_score; or, for a model with one label per text, leave out "
                "function_to_apply.",
            )
        if not self.right:
            raise OptionError(
                f"coverage needs a record of held-out rows, and the model {name!r} has none.",
                hint="Add it to the folder of the model, with labelled rows that did not train it: "
                "nlplug models confidence FOLDER --data ROWS",
            )

    def least_score(self, coverage: float) -> float:
        """The least probability of the labels in a set.

        With n held-out rows, at least the share ``coverage`` of new rows of the same kind has a
        right label with this probability or more (the quantile ``ceil((n + 1) coverage) / n``). It
        is 0, so that all labels are in the set, if n is too small for the coverage.
        """
        below = len(self.right) - math.ceil(round((len(self.right) + 1) * coverage, 9))
        return self.right[below] if below >= 0 else 0.0


def inside(scores: np.ndarray, outside: Sequence[int]) -> tuple[float, bool]:
    """The best score without the labels for texts that fit no other; whether it is not below them.

    Args:
        scores: The score of each label id, shape (labels,).
        outside: The ids of these labels; usually none or one.
    """
    best = float(np.delete(scores, list(outside)).max(initial=0.0))
    return best, not any(scores[index] > best for index in outside)
