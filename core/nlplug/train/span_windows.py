"""Questions with windows of their contexts: one an epoch in training, all of them in evaluation."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from torch.utils.data import Dataset

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MAX_QUESTION = 64
"""Tokens of a question; the rest is cut off, as when answering."""

# Share of the training windows of a long context that are drawn without regard to the answer, so
# that the model learns to say that a window holds none.
_ANYWHERE = 0.1


@dataclass(frozen=True, slots=True)
class Question:
    """A question on a context, with its right answers as (start, end) characters of the context.

    No answers: the question cannot be answered from this context.
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


class PairFrame:
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


class WindowedQuestions(Dataset[dict[str, Any]]):
    """Tokenized questions with windows of their contexts.

    In training an item is a question; of a context that is too long each epoch takes another
    window, mostly one that holds the answer, and of several right answers another one: the same
    for the same seed. ``labels`` are the positions of the answer's first and last token; those of
    the first special token where the window holds no answer. In evaluation an item is a window.

    Args:
        questions: The questions.
        tokenizer: A fast tokenizer.
        max_length: Tokens of question, context and special tokens together.
        seed: Seed of the windows; None for evaluation.
    """

    def __init__(
        self,
        questions: Sequence[Question],
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_length: int,
        seed: int | None,
    ) -> None:
        self.questions = list(questions)
        self._frame = PairFrame(tokenizer)
        self._seed = seed
        self._epoch = 0
        # At least half of a window is context.
        most = min(MAX_QUESTION, max_length // 2 - self._frame.size)
        self._asked = [
            ids[:most] for ids in _encoded(tokenizer, [q.question for q in self.questions])
        ]
        self._contexts = _contexts(tokenizer, [q.context for q in self.questions])
        self._room = [max_length - self._frame.size - len(ids) for ids in self._asked]
        if seed is None:
            self.items = [(i, begin) for i in range(len(questions)) for begin in self._begins(i)]
            # Batches follow this order: like lengths together, as padding costs time.
            self.items.sort(key=self._length)
        else:
            self.items = [(i, 0) for i in range(len(questions))]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        owner, begin = self.items[index]
        context, room = self._context(owner), self._room[owner]
        chance = random.Random(f"{self._seed}/{self._epoch}/{owner}")
        span = self._span(owner, chance)
        if self._seed is not None and len(context.ids) > room:
            begin = _begin(len(context.ids), room, span, chance)
        item, front = self._frame.join(
            self._asked[owner], context.ids[begin : begin + room].tolist()
        )
        label = [self._frame.null, self._frame.null]
        if span and begin <= span[0] and span[1] < begin + room:
            label = [front + span[0] - begin, front + span[1] - begin]
        return {**item, "labels": np.array(label, dtype=np.int64)}

    def set_epoch(self, epoch: int) -> None:
        """Turn to the windows of this epoch."""
        self._epoch = epoch

    def lengths(self) -> list[int]:
        """Tokens of each item, without special ones, for grouping by length."""
        return [self._length(item) for item in self.items]

    def answers(self, logits: np.ndarray, max_answer: int = 30) -> list[tuple[str, float, float]]:
        """The best answer to each question over all windows of its context.

        Args:
            logits: Start and end logits of all items in their order, (items, positions, 2).
            max_answer: Tokens of an answer.

        Returns:
            The answer's text, its score, and the least score of "no answer" of any window; scores
            are sums of logits.
        """
        best: list[tuple[str, float, float]] = [("", -np.inf, np.inf)] * len(self.questions)
        for (owner, begin), window in zip(self.items, logits.astype(np.float64), strict=True):
            context = self._context(owner)
            _, front = self._frame.join(self._asked[owner], [])
            size = min(len(context.ids) - begin, self._room[owner])
            text, score, null = best[owner]
            null = min(null, float(window[self._frame.null].sum()))
            if size:
                start, end, found = _best(window[front : front + size], max_answer)
                if found > score:
                    first, last = context.starts[begin + start], context.ends[begin + end]
                    text, score = self.questions[owner].context[first:last], found
            best[owner] = text, score, null
        return best

    def _context(self, owner: int) -> _Context:
        return self._contexts[self.questions[owner].context]

    def _length(self, item: tuple[int, int]) -> int:
        owner, begin = item
        size = min(len(self._context(owner).ids) - begin, self._room[owner])
        return len(self._asked[owner]) + size

    def _span(self, owner: int, chance: random.Random) -> tuple[int, int] | None:
        """First and last token of one of the right answers."""
        answers, context = self.questions[owner].answers, self._context(owner)
        if not answers:
            return None
        start, end = chance.choice(answers) if self._seed is not None else answers[0]
        inside = np.flatnonzero((context.ends > start) & (context.starts < end))
        return (int(inside[0]), int(inside[-1])) if len(inside) else None

    def _begins(self, owner: int) -> list[int]:
        length, room = len(self._context(owner).ids), self._room[owner]
        if length <= room:
            return [0]
        return [*range(0, length - room, max(1, room // 2)), length - room]


def _begin(length: int, room: int, span: tuple[int, int] | None, chance: random.Random) -> int:
    """Where a training window begins."""
    low, high = 0, length - room
    if span and span[1] - span[0] < room and chance.random() >= _ANYWHERE:
        low, high = max(0, span[1] - room + 1), min(span[0], length - room)
    return chance.randint(low, high)


def _best(window: np.ndarray, max_answer: int) -> tuple[int, int, float]:
    """The span (first, last) of the highest sum, of at most so many tokens."""
    sums = window[:, None, 0] + window[None, :, 1]
    allowed = np.triu(np.ones(sums.shape, dtype=bool)) & ~np.triu(
        np.ones(sums.shape, dtype=bool), max_answer
    )
    sums = np.where(allowed, sums, -np.inf)
    start, end = np.unravel_index(int(sums.argmax()), sums.shape)
    return int(start), int(end), float(sums[start, end])


def _encoded(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    found: list[list[int]] = []
    for start in range(0, len(texts), 1000):  # in parts, so that memory stays flat
        part = list(texts[start : start + 1000])
        found += tokenizer(part, add_special_tokens=False, verbose=False)["input_ids"]
    return found


def _contexts(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> dict[str, _Context]:
    """Each context once, though many questions may be asked on it."""
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
