"""Encodes texts as windows, and decodes the logits of the windows as labels with scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nlplug.errors import BundleCorrupt, BundleError, OptionError
from nlplug.explanations.contract import (
    ExplainableModel,
    Target,
    label_ids,
    log_odds,
    stand_in_of,
)
from nlplug.explanations.result import ExplainedTarget
from nlplug.families.one_pass import Row, softmax, window_stride
from nlplug.families.sequence_classification.confidence import Confidence, inside
from nlplug.families.sequence_classification.options import (
    Activation,
    LabelScore,
    SequenceClassificationInput,
    SequenceClassificationOptions,
)
from nlplug.families.truncation import check_max_length
from nlplug.models.bundle import Bundle
from nlplug.runtime.tokenizer import load_tokenizer

_PROBLEMS = (None, "regression", "single_label_classification", "multi_label_classification")


class SequenceClassificationModel(
    ExplainableModel[SequenceClassificationInput, SequenceClassificationOptions]
):
    """Encodes texts into windows and turns logits into labels with scores.

    For a long text, the logits are averaged over its windows; the weight of a window is the number
    of its tokens that are not in the window before it. A task with another form of answer
    overrides `answer`.

    Attributes:
        labels: Label names by id.
    """

    output_rank = 2

    def __init__(self, bundle: Bundle) -> None:
        self._name = bundle.name
        self.labels = bundle.id2label
        self.output_width = len(self.labels)
        self.first_position = bundle.repository.first_position
        self.pads = not bundle.repository.reads_padding
        if [*self.labels] != [*range(len(self.labels))]:
            raise BundleError(
                f"The labels of the model {self._name!r} have the ids "
                f"{', '.join(map(str, self.labels))}, not 0 to {len(self.labels) - 1}.",
                hint="Correct id2label in config.json, or export the model again.",
            )
        self._default = activation_of(bundle, len(self.labels))
        self._tokenizer = load_tokenizer(bundle, offsets=False)
        self.pad_token_id = self._tokenizer.pad_token_id
        # SentencePiece puts a bare "▁" before an unknown piece.
        self._unknown = {self._tokenizer.unk_token_id, self._tokenizer.token_id("▁")}
        self._confidence = Confidence.of(bundle)
        self.stand_in = stand_in_of(bundle, self._tokenizer)

    def encode(
        self,
        inputs: Sequence[SequenceClassificationInput],
        options: SequenceClassificationOptions,
    ) -> list[list[Row]]:
        """Tokenize; a text longer than the model's window becomes several rows.

        Raises:
            OptionError: ``coverage`` is given, but the model has no record of held-out rows, or its
                scores are not those of a softmax; or ``min_score`` is, but the model gives no
                probabilities.
        """
        activation = options.function_to_apply or self._default
        if options.coverage is not None:
            self._confidence.check(self._name, activation)
        elif options.min_score and activation == self._default == "none":
            raise OptionError(
                f"min_score is {options.min_score}, but the model {self._name!r} returns values "
                "that are not probabilities.",
                hint="Set min_score to 0.",
            )
        texts = [
            item.text if item.text_pair is None else (item.text, item.text_pair) for item in inputs
        ]
        if options.truncation:
            pair = any(isinstance(text, tuple) for text in texts)
            check_max_length(self._tokenizer, options.max_length, pair=pair)
        groups = (
            self._tokenizer.truncate(
                texts, max_length=options.max_length, strategy=options.truncated_text
            )
            if options.truncation
            else self._tokenizer.encode(texts, stride=self._stride(options))
        )
        overlap = self._stride(options)
        rows = []
        for group in groups:
            own = []
            for index, window in enumerate(group):
                features = {"input_ids": window.ids}
                if window.type_ids is not None:
                    features["token_type_ids"] = window.type_ids
                own.append(Row(features, meta=max(1, len(window) - (overlap if index else 0))))
            rows.append(own)
        return rows

    def decode(
        self,
        item: SequenceClassificationInput,
        rows: Sequence[Row],
        outputs: Sequence[Mapping[str, np.ndarray]],
        options: SequenceClassificationOptions,
    ) -> list[LabelScore]:
        """The answer to one input; see `answer`.

        The model abstains if the best score is below ``min_score``. If one of its labels is named
        ``abstain_label``, it is for texts that fit no other label: its score does not count as the
        best score, and the model also abstains if it is the highest of all. It also abstains from
        a text without any known token. The score of the abstain label is one minus the best score.
        If ``function_to_apply`` is ``none``, the scores of the model's own activation count.
        """
        activation = options.function_to_apply or self._default
        logits = self.logits(rows, outputs)
        calibrated = logits / np.float32(self._confidence.temperature)
        scores = logits if activation == "none" else _apply(activation, calibrated)
        if options.coverage is not None:
            return self._covering(scores, options.coverage)
        answer = self.answer(scores, options)
        if not options.min_score:
            return answer
        name = options.abstain_label
        likely = _apply(self._default, calibrated) if activation == "none" else scores
        best, sure = inside(likely, [i for i, label in self.labels.items() if label == name])
        if not self._knows_any(item, rows):
            best = 0.0
        elif sure and best >= options.min_score:
            return answer
        abstained = LabelScore(label=name, score=1.0 - best, abstained=True)
        others = [one for one in answer if one["label"] != name]
        found = [abstained, *others]
        return found if options.return_all_scores else found[: options.top_k]

    def answer(
        self, scores: np.ndarray, options: SequenceClassificationOptions
    ) -> list[LabelScore]:
        """Labels with scores, best first; ``scores`` has the score of each label id, (labels,)."""
        if options.top_k == 1 and not options.return_all_scores:
            best = int(scores.argmax())
            return [LabelScore(label=self.labels[best], score=float(scores[best]))]
        order = np.argsort(-scores, kind="stable")[: options.top_k]
        if options.return_all_scores:
            order = np.arange(len(scores))
        return [
            LabelScore(label=self.labels[int(index)], score=float(scores[index])) for index in order
        ]

    def _covering(self, scores: np.ndarray, coverage: float) -> list[LabelScore]:
        least = self._confidence.least_score(coverage)
        return [
            LabelScore(label=self.labels[index], score=float(scores[index]))
            for index in np.argsort(-scores, kind="stable").tolist()
            if scores[index] >= least
        ]

    def _knows_any(self, item: SequenceClassificationInput, rows: Sequence[Row]) -> bool:
        """Whether the text has a token, other than special tokens, that is in the vocabulary."""
        special = self._tokenizer.special_tokens(pair=item.text_pair is not None)
        return any(
            sum(token not in self._unknown for token in row.features["input_ids"]) > special
            for row in rows
        )

    def logits(
        self, rows: Sequence[Row], outputs: Sequence[Mapping[str, np.ndarray]]
    ) -> np.ndarray:
        """The logits of one input, averaged over its windows: float32, (labels,)."""
        if len(outputs) == 1:
            return outputs[0]["logits"].astype(np.float32, copy=False)
        stacked = np.stack([output["logits"] for output in outputs]).astype(np.float32)
        averaged: np.ndarray = np.average(stacked, axis=0, weights=[row.meta for row in rows])
        return averaged

    def texts(self, item: SequenceClassificationInput) -> dict[str, str]:
        """See `ExplainableModel.texts`."""
        pair = {} if item.text_pair is None else {"text_pair": item.text_pair}
        return {"text": item.text, **pair}

    def places(
        self,
        item: SequenceClassificationInput,
        rows: Sequence[Row],
        options: SequenceClassificationOptions,
    ) -> list[np.ndarray]:
        """See `ExplainableModel.places`."""
        text = item.text if item.text_pair is None else (item.text, item.text_pair)
        if options.truncation:
            return self._tokenizer.places(
                text, max_length=options.max_length, strategy=options.truncated_text
            )[:1]
        return self._tokenizer.places(text, stride=self._stride(options))

    def target(
        self,
        item: SequenceClassificationInput,
        rows: Sequence[Row],
        outputs: Sequence[Mapping[str, np.ndarray]],
        answer: Any,
        options: SequenceClassificationOptions,
    ) -> Target:
        """The label of the options, else the label with the highest score."""
        label = int(self.logits(rows, outputs).argmax())
        if options.explain_label is not None:
            [label, *_] = label_ids(options.explain_label, list(self.labels.values()))
        apart = (options.function_to_apply or self._default) == "softmax" and len(self.labels) > 1
        raw = (options.function_to_apply or self._default) == "none"

        def value(outputs: Sequence[Mapping[str, np.ndarray]]) -> float:
            logits = self.logits(rows, outputs)
            return log_odds(logits, [label]) if apart else float(logits[label])

        return Target(
            ExplainedTarget(label=self.labels[label]),
            range(len(rows)),
            value,
            "output" if raw else "log-odds",
        )

    def _stride(self, options: SequenceClassificationOptions) -> int:
        return window_stride(options, options.stride, self._tokenizer.max_length // 4)


def activation_of(bundle: Bundle, labels: int) -> Activation:
    """The activation that a model was trained for, as transformers 4.57's pipeline chooses it.

    Raises:
        BundleCorrupt: ``problem_type`` is none that transformers knows.
    """
    problem = bundle.config.get("problem_type")
    if problem not in _PROBLEMS:
        raise BundleCorrupt(
            f"The config.json of {bundle.name!r} has the problem_type {problem!r}.",
            hint=f"Write one of {', '.join(sorted(filter(None, _PROBLEMS)))}, or leave it out.",
        )
    if problem == "regression":
        return "none"
    if problem == "multi_label_classification" or labels == 1:
        return "sigmoid"
    return "softmax"


def _apply(activation: Activation, logits: np.ndarray) -> np.ndarray:
    if activation == "sigmoid":
        sigmoid: np.ndarray = np.exp(-np.logaddexp(0.0, -logits))  # does not overflow
        return sigmoid
    return softmax(logits) if activation == "softmax" else logits
