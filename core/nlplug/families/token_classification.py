"""A label for each word of a text: parts of speech, or with grouping the entities it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from typing_extensions import TypedDict

from nlplug.errors import BundleError
from nlplug.families.characters import widen
from nlplug.families.tagged_text import Tags, Tokens, merge, trim
from nlplug.models.bundle import Bundle
from nlplug.runtime.tokenizer import load_tokenizer
from nlplug.task import Display, Row, Task, TaskInput, TaskModel, TaskOptions


class WordLabel(TypedDict):
    """One word with its label; ``text[start:end]`` is the word."""

    entity: str
    score: float
    index: int
    word: str
    start: int
    end: int


class TokenClassificationInput(TaskInput):
    """One text of any length."""

    text: str = Field(
        description="The text whose words are labelled.",
        json_schema_extra={"zh": {"title": "文本", "description": "要逐词标注的文本。"}},
    )


class TokenClassificationOptions(TaskOptions):
    """Which labels are left out and how long texts are covered."""

    ignore_labels: list[str] = Field(
        default=["O"],
        description="Labels to leave out of the answer.",
        json_schema_extra={
            "advanced": True,
            "zh": {"title": "忽略的标签", "description": "不出现在结果中的标签。"},
        },
    )
    stride: int = Field(
        default=64,
        ge=0,
        le=4096,
        description="Tokens that neighbouring windows of a long text share.",
        json_schema_extra={
            "advanced": True,
            "zh": {"title": "窗口重叠", "description": "长文本相邻窗口共有的词元数。"},
        },
    )


class TokenClassificationModel(TaskModel[TokenClassificationInput, TokenClassificationOptions]):
    """Covers texts by windows, makes the windows' scores one sequence, and answers from that.

    A subclass that answers otherwise than with words overrides `answer`.
    """

    token_level = True

    def __init__(self, bundle: Bundle) -> None:
        self._name = bundle.name
        self.labels: list[str] = bundle.labels
        self._tokenizer = load_tokenizer(bundle)
        self._has_words = self._tokenizer.knows_words
        bare = None if self._has_words else self._tokenizer.token_id("▁")
        self._bare = -1 if bare is None else bare
        self.pad_token_id = self._tokenizer.pad_token_id

    def encode(
        self, inputs: Sequence[TokenClassificationInput], options: TokenClassificationOptions
    ) -> list[list[Row]]:
        """Tokenize; a text longer than the model's window becomes several rows."""
        stride = self._stride(options)
        rows = []
        for encoding in self._tokenizer.pieces([item.text for item in inputs]):
            tokens = Tokens(
                ids=np.array(encoding.ids, dtype=np.int32),
                offsets=np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2),
                words=np.array(encoding.word_ids, dtype=np.float32),
            )
            windows = self._tokenizer.windows(encoding.ids, stride=stride)
            # A tokenizer without special tokens makes nothing of an empty text; a graph needs one.
            rows.append(
                [Row({"input_ids": ids or [self.pad_token_id]}, meta=tokens) for ids in windows]
            )
        return rows

    def decode(
        self,
        item: TokenClassificationInput,
        rows: Sequence[Row],
        outputs: Sequence[Mapping[str, np.ndarray]],
        options: TokenClassificationOptions,
    ) -> Any:
        """What `answer` makes of the text; nothing where the text has no tokens."""
        tokens: Tokens = rows[0].meta
        logits = [output["logits"] for output in outputs]
        for row, values in zip(rows, logits, strict=True):
            self._check(values.shape, len(row))
        if not len(tokens):
            return []
        before, behind = self._tokenizer.text_frame
        own = [values[len(before) : len(values) - len(behind)] for values in logits]
        starts, ends = widen(item.text, *trim(item.text, tokens.offsets))
        tags = Tags(
            text=item.text,
            first=len(before),
            starts=starts,
            ends=ends,
            unknown=tokens.ids == self._tokenizer.unk_token_id,
            bare=tokens.ids == self._bare,
            words=tokens.words if self._has_words else None,
            scores=_softmax(merge(own, self._stride(options))),
        )
        return self.answer(tags, options)

    def answer(self, tags: Tags, options: TokenClassificationOptions) -> Any:
        """The answer for one text: each word with the label of its first token.

        Args:
            tags: Its tokens with their scores, at least one.
            options: The options of the call.
        """
        firsts = tags.word_starts
        scores = tags.scores[firsts]
        ids = scores.argmax(axis=1)
        starts, ends = tags.spans(firsts)
        ignored = [name in options.ignore_labels for name in self.labels]
        kept = np.flatnonzero(~np.array(ignored)[ids] & (starts < ends))
        best = scores[kept, ids[kept]].tolist()
        columns = (ids, firsts + tags.first, starts, ends)
        return [
            WordLabel(
                entity=self.labels[label],
                score=score,
                index=index,
                word=tags.text[start:end],
                start=start,
                end=end,
            )
            for score, label, index, start, end in zip(
                best, *(column[kept].tolist() for column in columns), strict=True
            )
        ]

    def _check(self, shape: tuple[int, ...], tokens: int) -> None:
        if len(shape) != 2 or shape[0] != tokens:
            raise BundleError(
                f"The model {self._name!r} gives logits of the shape {shape} for {tokens} tokens: "
                "it does not label tokens.",
                hint="Use a model for token classification.",
            )
        if shape[1] != len(self.labels):
            raise BundleError(
                f"The model {self._name!r} gives {shape[1]} logits a token, but its config.json "
                f"names {len(self.labels)} labels.",
                hint="Correct id2label in config.json, or export the model again.",
            )

    def _stride(self, options: TokenClassificationOptions) -> int:
        # A default made for windows of 512 tokens must not break a model with short ones.
        if "stride" in options.model_fields_set:
            return options.stride
        return min(options.stride, self._tokenizer.max_length // 8)


class TokenClassificationTask(Task):
    """Base of the tasks that label words; a subclass brings names, texts and examples."""

    hub_task: ClassVar[str] = "token-classification"
    Input: ClassVar[type[TaskInput]] = TokenClassificationInput
    Options: ClassVar[type[TaskOptions]] = TokenClassificationOptions
    Output: ClassVar[Any] = list[WordLabel]
    answers_blank: ClassVar[bool] = True
    display: ClassVar[Display] = Display.HIGHLIGHT
    training: ClassVar[str | None] = "nlplug.train.token_classification:TokenClassificationRecipe"
    evaluation: ClassVar[str | None] = (
        "nlplug.evaluation.token_classification:TokenClassificationEvaluation"
    )

    def bind(self, bundle: Bundle) -> TokenClassificationModel:
        """Bind to a token-classification bundle."""
        return TokenClassificationModel(bundle)


def _softmax(logits: np.ndarray) -> np.ndarray:
    logits = logits.astype(np.float32, copy=False)
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores: np.ndarray = exponents / exponents.sum(axis=1, keepdims=True)
    return scores
