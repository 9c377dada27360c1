"""Which labels a classifier returns, and when it abstains."""

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

    The model abstains if the best score is below ``abstain_below``. If one of the model's labels is
    named ``abstain_label``, it is for texts that fit no other label: its score does not count
    as the best score, and the model also abstains if it is the highest of all. The score of an
    abstaining answer is one minus the best score; ``top_k`` and ``threshold`` do not apply to it.
    A text without any known token fits no label.
    """

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle)
        tokenizer = self._tokenizer
        # SentencePiece puts a bare "▁" before an unknown piece.
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
        """Labels with scores, best first; possibly none, or only the abstain label."""
        if not isinstance(options, ClassificationOptions):
            return super().answer(scores, options)
        if options.abstain_below and (score := self._abstain_score(scores, options)) is not None:
            return [LabelScore(label=options.abstain_label, score=score)]
        answer = super().answer(scores, options)
        if options.threshold:
            answer = [item for item in answer if item["score"] >= options.threshold]
        return answer

    def _knows_any(self, item: SequenceClassificationInput, rows: Sequence[Row]) -> bool:
        """Whether the text has a token, other than special tokens, that is in the vocabulary."""
        special = self._tokenizer.special_tokens(pair=item.text_pair is not None)
        return any(
            sum(token not in self._unknown for token in row.features["input_ids"]) > special
            for row in rows
        )

    def _abstain_score(self, scores: np.ndarray, options: ClassificationOptions) -> float | None:
        """One minus the best score if the model abstains, else None."""
        outside = [i for i, label in self.labels.items() if label == options.abstain_label]
        inside = np.delete(scores, outside) if outside else scores
        best = float(inside.max(initial=0.0))
        sure = best >= options.abstain_below and not any(scores[i] > best for i in outside)
        return None if sure else 1.0 - best
