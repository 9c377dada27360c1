"""Training of extractive question answering: where in a context the answer starts and ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch.nn import functional as F
from transformers import AutoConfig, AutoModelForQuestionAnswering

from nlplug.data.rows import DataRow
from nlplug.data.squad import answer_spans, text_of
from nlplug.errors import DataError
from nlplug.evaluation.answers import exact_match, f1
from nlplug.train.dropout import set_dropout
from nlplug.train.recipe import Recipe
from nlplug.train.span_windows import Question, WindowedQuestions

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from nlplug.task import Task
    from nlplug.train.config import TrainConfig

_MARK = "some_unanswerable"
"""What a checkpoint's config says on the questions it was trained with."""


class SpanExtractionRecipe(Recipe):
    """Fine-tunes ``AutoModelForQuestionAnswering``.

    Rows have ``question`` and ``context``, and ``answers`` as in SQuAD or a column ``answer``. A
    question that its context does not answer points at the first special token, as do windows of
    a long context in which the answer is not.
    """

    metric: ClassVar[str] = "f1"

    def __init__(self, task: Task, config: TrainConfig) -> None:
        super().__init__(task, config)
        self._some_unanswerable = False

    def key(self, row: DataRow) -> str:
        # All questions on a context fall on one side: else the held-out ones would be easy.
        return text_of(row, "context")

    def fit(self, rows: Sequence[DataRow]) -> None:
        answered = [bool(question.answers) for question in self.examples(rows)]
        self._some_unanswerable = not all(answered)
        if not any(answered):
            raise DataError(
                f"None of the {len(rows)} questions has an answer.",
                hint='An answer stands in "answers" (as in SQuAD) or in a column "answer".',
            )

    def examples(self, rows: Iterable[DataRow]) -> list[Question]:
        return [
            Question(
                text_of(row, "question"),
                text_of(row, "context"),
                answer_spans(row),
                str(row.values.get("id") or ""),
            )
            for row in rows
        ]

    def row(self, example: Question) -> dict[str, Any]:
        return {
            "id": example.id,
            "question": example.question,
            "context": example.context,
            "answers": {
                "text": [example.context[start:end] for start, end in example.answers],
                "answer_start": [start for start, _ in example.answers],
            },
        }

    def model(self) -> PreTrainedModel:
        config = AutoConfig.from_pretrained(self.config.base)
        setattr(config, _MARK, self._some_unanswerable)
        if self.config.dropout is not None:
            set_dropout(config, self.config.dropout)
        model: PreTrainedModel = AutoModelForQuestionAnswering.from_pretrained(
            self.config.base, config=config
        )
        return model

    def dataset(
        self,
        examples: Sequence[Question],
        tokenizer: PreTrainedTokenizerBase,
        *,
        training: bool,
    ) -> WindowedQuestions:
        return WindowedQuestions(
            examples,
            tokenizer,
            max_length=self.config.max_length,
            seed=self.config.seed if training else None,
        )

    def collate(
        self, features: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase
    ) -> dict[str, torch.Tensor]:
        inputs = [{k: v for k, v in item.items() if k != "labels"} for item in features]
        batch: dict[str, torch.Tensor] = dict(tokenizer.pad(inputs, return_tensors="pt"))
        batch["labels"] = torch.tensor(np.stack([item["labels"] for item in features]))
        return batch

    def predictions(self, outputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return torch.stack((outputs["start_logits"], outputs["end_logits"]), dim=-1)

    def loss(
        self, outputs: Mapping[str, torch.Tensor], labels: torch.Tensor, *, training: bool
    ) -> torch.Tensor:
        smoothing = self.config.label_smoothing if training else 0.0
        ends = zip(("start_logits", "end_logits"), labels.unbind(-1), strict=True)
        losses = [
            F.cross_entropy(outputs[name].float(), label, label_smoothing=smoothing)
            for name, label in ends
        ]
        return torch.stack(losses).mean()

    def options(self, checkpoint: Path) -> dict[str, Any]:
        """A model that was shown questions without an answer may say that there is none."""
        shown = getattr(AutoConfig.from_pretrained(checkpoint), _MARK, False)
        known = "handle_impossible_answer" in self.task.Options.model_fields
        return {"handle_impossible_answer": True} if shown and known else {}

    def score(self, logits: np.ndarray, dataset: Any) -> dict[str, float]:
        """SQuAD's figures; "no answer" counts as an answer where a question has none."""
        questions: list[Question] = dataset.questions
        may_be_none = any(not question.answers for question in questions)
        exact, overlap = [], []
        for question, (answer, score, null) in zip(questions, dataset.answers(logits), strict=True):
            if may_be_none and null > score:
                answer = ""
            right = [question.context[start:end] for start, end in question.answers]
            exact.append(exact_match(answer, right))
            overlap.append(f1(answer, right))
        return {"f1": float(np.mean(overlap)), "exact_match": float(np.mean(exact))}
