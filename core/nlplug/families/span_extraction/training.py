"""Training of extractive question answering: where in a context the answer starts and ends."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F
from transformers import AutoModelForQuestionAnswering

from nlplug.data.rows import DataRow
from nlplug.data.squad import answer_spans, text_of
from nlplug.errors import DataError
from nlplug.families.span_extraction.contents import Questions
from nlplug.train.checkpoint import load_base
from nlplug.train.documents import token_ids
from nlplug.train.recipe import Recipe
from nlplug.train.training_set import TrainingSet
from nlplug.train.windows import stacked

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from nlplug.task import Task
    from nlplug.train.config import TrainConfig

_SOME_UNANSWERABLE = "some_unanswerable"
"""Key of a checkpoint's config: whether some of its training questions have no answer."""

MAX_QUESTION = 64
"""Maximum number of tokens of a question; the rest is cut off."""
# Share of the training windows of a long context that are sampled independently of the answer, so
# that the model learns to recognize windows without an answer.
_RANDOM_WINDOWS = 0.1


@dataclass(frozen=True, slots=True)
class Question:
    """A question on a context, with the right answers as (start, end) characters of the context.

    Without answers, the question cannot be answered from this context.
    """

    question: str
    context: str
    answers: tuple[tuple[int, int], ...]
    id: str = ""


@dataclass(frozen=True, slots=True)
class _Context:
    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


class SpanExtractionRecipe(Recipe):
    """Fine-tunes ``AutoModelForQuestionAnswering``.

    Rows have ``question`` and ``context``, and ``answers`` as in SQuAD or a column ``answer``. The
    target of a question without an answer is the first special token, and so is the target of a
    window that does not contain the answer.
    """

    def __init__(self, task: Task, config: TrainConfig) -> None:
        super().__init__(task, config)
        self._some_unanswerable = False

    def key(self, row: DataRow) -> str:
        return Questions(self.task, self.config).key(row)

    def fit(self, rows: Sequence[DataRow]) -> None:
        answered = [bool(question.answers) for question in self.examples(rows)]
        self._some_unanswerable = not all(answered)
        if not any(answered):
            raise DataError(
                f"None of the {len(rows)} questions has an answer.",
                hint='Put the answers in "answers" (as in SQuAD) or in a column "answer".',
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
        values: dict[str, Any] = {_SOME_UNANSWERABLE: self._some_unanswerable}
        return load_base(self.config, AutoModelForQuestionAnswering, **values)

    def dataset(
        self, examples: Sequence[Question], tokenizer: PreTrainedTokenizerBase
    ) -> WindowedQuestions:
        return WindowedQuestions(
            examples, tokenizer, max_length=self.config.max_length, seed=self.config.seed
        )

    def collate(
        self, features: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase
    ) -> dict[str, torch.Tensor]:
        return stacked(features, tokenizer)

    def loss(self, outputs: Mapping[str, torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        smoothing = self.config.label_smoothing
        ends = zip(("start_logits", "end_logits"), labels.unbind(-1), strict=True)
        losses = [
            F.cross_entropy(outputs[name].float(), label, label_smoothing=smoothing)
            for name, label in ends
        ]
        return torch.stack(losses).mean()

    def options(self, config: PretrainedConfig) -> dict[str, Any]:
        """If training had questions without an answer, the model may answer "no answer"."""
        shown = bool(config.to_dict().get(_SOME_UNANSWERABLE))
        known = "handle_impossible_answer" in self.task.Options.model_fields
        return {"handle_impossible_answer": True} if shown and known else {}


class PairLayout:
    """What a tokenizer puts around the two texts of a pair, learned from an example."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        sample = tokenizer("a", "b", return_token_type_ids=True)
        ids, kinds, owners = sample["input_ids"], sample["token_type_ids"], sample.sequence_ids()
        first, second = owners.index(0), owners.index(1)
        after_first = len(owners) - owners[::-1].index(0)
        after_second = len(owners) - owners[::-1].index(1)
        self._head, self._middle = ids[:first], ids[after_first:second]
        self._tail = ids[after_second:]
        # Token types are a part of the input only where the model asks for them.
        self._typed = "token_type_ids" in tokenizer.model_input_names
        self._kinds = kinds[0], kinds[second]
        cls = tokenizer.cls_token_id
        self.null = self._head.index(cls) if cls in self._head else 0
        self.size = len(self._head) + len(self._middle) + len(self._tail)

    def join(self, question: list[int], context: list[int]) -> tuple[dict[str, list[int]], int]:
        """The model's input, and the position of the context's first token in it."""
        front = [*self._head, *question, *self._middle]
        ids = [*front, *context, *self._tail]
        item = {"input_ids": ids, "attention_mask": [1] * len(ids)}
        if self._typed:
            first, second = self._kinds
            item["token_type_ids"] = [first] * len(front) + [second] * (len(ids) - len(front))
        return item, len(front)


class WindowedQuestions(TrainingSet):
    """Tokenized questions with windows of their contexts.

    An item is a question. From a context that is too long, each epoch takes a different window,
    usually one that contains the answer; from several right answers it takes a different one. The
    choice depends only on the seed. ``labels`` are the positions of the answer's first and last
    token, or the position of the first special token if the window does not contain the answer.

    Args:
        questions: The questions.
        tokenizer: A fast tokenizer.
        max_length: Maximum number of tokens: question, context and special tokens.
        seed: Random seed of the windows.
    """

    def __init__(
        self,
        questions: Sequence[Question],
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_length: int,
        seed: int,
    ) -> None:
        self.questions = list(questions)
        self._frame = PairLayout(tokenizer)
        self._seed = seed
        self._epoch = 0
        # At least half of a window is context.
        most = min(MAX_QUESTION, max_length // 2 - self._frame.size)
        asked = token_ids([question.question for question in questions], tokenizer)
        self._asked = [ids[:most].tolist() for ids in asked]
        self._contexts = _contexts(tokenizer, [q.context for q in self.questions])
        self._room = [max_length - self._frame.size - len(ids) for ids in self._asked]

    def __len__(self) -> int:
        return len(self.questions)

    def __getitem__(self, index: int) -> dict[str, Any]:
        context, room = self._context(index), self._room[index]
        rng = random.Random(f"{self._seed}/{self._epoch}/{index}")
        span = self._span(index, rng)
        begin = 0 if len(context.ids) <= room else _begin(len(context.ids), room, span, rng)
        item, front = self._frame.join(
            self._asked[index], context.ids[begin : begin + room].tolist()
        )
        label = [self._frame.null, self._frame.null]
        if span and begin <= span[0] and span[1] < begin + room:
            label = [front + span[0] - begin, front + span[1] - begin]
        return {**item, "labels": np.array(label, dtype=np.int64)}

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which determines the windows."""
        self._epoch = epoch

    def lengths(self) -> list[int]:
        """Number of tokens of each item without special tokens, for grouping by length."""
        return [
            len(asked) + min(len(self._context(index).ids), self._room[index])
            for index, asked in enumerate(self._asked)
        ]

    def _context(self, index: int) -> _Context:
        return self._contexts[self.questions[index].context]

    def _span(self, index: int, rng: random.Random) -> tuple[int, int] | None:
        """First and last token of a randomly chosen right answer; None without an answer."""
        answers, context = self.questions[index].answers, self._context(index)
        if not answers:
            return None
        start, end = rng.choice(answers)
        inside = np.flatnonzero((context.ends > start) & (context.starts < end))
        return (int(inside[0]), int(inside[-1])) if len(inside) else None


def _begin(length: int, room: int, span: tuple[int, int] | None, rng: random.Random) -> int:
    """First token of a training window."""
    low, high = 0, length - room
    if span and span[1] - span[0] < room and rng.random() >= _RANDOM_WINDOWS:
        low, high = max(0, span[1] - room + 1), min(span[0], length - room)
    return rng.randint(low, high)


def _contexts(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> dict[str, _Context]:
    """The tokens of each distinct context; many questions may share a context."""
    distinct = list(dict.fromkeys(texts))
    found: dict[str, _Context] = {}
    for begin in range(0, len(distinct), 1000):
        part = distinct[begin : begin + 1000]
        encoded = tokenizer(
            part, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        for text, ids, offsets in zip(
            part, encoded["input_ids"], encoded["offset_mapping"], strict=True
        ):
            bounds = np.array(offsets, dtype=np.int32).reshape(-1, 2)
            found[text] = _Context(np.array(ids, dtype=np.int32), bounds[:, 0], bounds[:, 1])
    return found
