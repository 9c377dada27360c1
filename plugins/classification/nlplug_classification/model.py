"""Which labels a classifier answers with, and when it would rather not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nlplug.families.one_pass import Row
from nlplug.families.sequence_classification import (
    LabelScore,
    SequenceClassificationInput,
    SequenceClassificationModel,
    SequenceClassificationOptions,
)
from nlplug.models.bundle import Bundle
from nlplug_classification.options import ClassificationOptions


class ClassificationModel(SequenceClassificationModel):
    """Labels above a threshold, or a single abstaining answer.

    The model abstains where the best score is below ``abstain_below``. A label of the model that is
    called ``abstain_label`` stands for texts that fit no other: it is left aside when the best
    score is sought, and where it has the highest of all the model abstains as well. An abstaining
    answer has one minus the best score as its own and stands alone, whatever ``top_k`` and
    ``threshold`` say. A text of which the model knows no token fits no label.
    """

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle)
        tokenizer = self._tokenizer
        # SentencePiece puts a bare "▁" before what it does not know.
        self._unknown = {tokenizer.unk_token_id, tokenizer.token_id("▁")}

    def decode(
        self,
        item: SequenceClassificationInput,
        rows: Sequence[Row],
        outputs: Sequence[Mapping[str, np.ndarray]],
        options: SequenceClassificationOptions,
    ) -> list[LabelScore]:
        """The answer to one input; see `answer`."""
        if (
            isinstance(options, ClassificationOptions)
            and options.abstain_below
            and not self._knows_any(item, rows)
        ):
            return [LabelScore(label=options.abstain_label, score=1.0)]
        return super().decode(item, rows, outputs, options)

    def answer(
        self, scores: np.ndarray, options: SequenceClassificationOptions
    ) -> list[LabelScore]:
        """Labels with scores, best first; possibly none, or the abstaining label alone."""
        if not isinstance(options, ClassificationOptions):
            return super().answer(scores, options)
        if options.abstain_below and (doubt := self._doubt(scores, options)) is not None:
            return [LabelScore(label=options.abstain_label, score=doubt)]
        answer = super().answer(scores, options)
        if options.threshold:
            answer = [item for item in answer if item["score"] >= options.threshold]
        return answer

    def _knows_any(self, item: SequenceClassificationInput, rows: Sequence[Row]) -> bool:
        """Whether there is a token beside the special ones that the vocabulary has."""
        special = self._tokenizer.special_tokens(pair=item.text_pair is not None)
        return any(
            sum(token not in self._unknown for token in row.features["input_ids"]) > special
            for row in rows
        )

    def _doubt(self, scores: np.ndarray, options: ClassificationOptions) -> float | None:
        """What is left beside the best score where the model abstains, else None."""
        outside = [i for i, label in self.labels.items() if label == options.abstain_label]
        inside = np.delete(scores, outside) if outside else scores
        best = float(inside.max(initial=0.0))
        sure = best >= options.abstain_below and not any(scores[i] > best for i in outside)
        return None if sure else 1.0 - best
