"""Inputs, options and answers of tasks that label the words of a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic.json_schema import SkipJsonSchema
from typing_extensions import TypedDict

from nlplug.data.annotated import join
from nlplug.errors import InputError
from nlplug.explanations.options import ExplainLabel, ExplainSpan, ExplanationOptions
from nlplug.families.one_pass import Stride, min_score
from nlplug.language_guard import LanguageOptions
from nlplug.task import TaskInput, chinese


class WordLabel(TypedDict):
    """One word with its label; ``text[start:end]`` is the word.

    ``words`` has the indices of the words of the input, if it was given as words.
    """

    entity: str
    score: float
    index: int
    word: str
    start: int
    end: int
    words: NotRequired[list[int]]


class TaggedWords(TypedDict):
    """An answer, and the label of each word of the input: that of its first token."""

    answer: list[Any]
    tags: list[str]


class TokenClassificationInput(TaskInput):
    """One text of any length, or its words."""

    text: str = Field(
        default="",
        title="Text",
        description="The text whose words are labelled.",
        json_schema_extra=chinese("文本", "要逐词标注的文本。"),
    )
    words: list[str] | None = Field(
        default=None,
        title="Words",
        description="Instead of a text, its words as a list. Each is labelled as a whole, and "
        "answers have the indices of the words. Positions are those in the text of the words "
        "with spaces between them, except next to Chinese or Japanese characters.",
        json_schema_extra=chinese(
            "词",
            "代替文本的词列表；每个词作为整体标注，结果包含词的序号。"
            "位置以空格连接各词（中日文字符旁除外）的文本为准。",
            advanced=True,
            columns=["tokens"],
        ),
    )
    joined_by: SkipJsonSchema[str | None] = Field(
        default=None,
        title="Between the words",
        description="Positions in answers are those in the text of the words with this between "
        "them. Empty: spaces, except next to Chinese or Japanese characters.",
        json_schema_extra=chinese(
            "词间字符",
            "结果中的位置以用该字符连接各词的文本为准。留空：空格，中日文字符旁除外。",
            advanced=True,
        ),
    )

    @model_validator(mode="after")
    def _text_or_words(self) -> Self:
        if self.words is None:
            if "text" not in self.model_fields_set:
                raise InputError(
                    "The input lacks 'text'.", hint="Give a value for 'text', or for 'words'."
                )
            return self
        if self.text:
            raise InputError("Both text and words are given.", hint="Give one of the two.")
        for number, word in enumerate(self.words):
            if not word.strip():
                raise InputError(
                    f"Word {number} is {word!r}.", hint="Leave out words without characters."
                )
        return self

    def written(self) -> tuple[str, np.ndarray]:
        """The text, and where its words are: (words, 2) of characters; none for a text."""
        if self.words is None:
            return self.text, np.zeros((0, 2), dtype=np.int32)
        text, starts = join(self.words)
        return text, _places(self.words, starts)

    def told(self) -> tuple[str, np.ndarray]:
        """As `written`, but the text that the positions in answers are of."""
        if self.words is None or self.joined_by is None:
            return self.written()
        steps = [0, *(len(word) + len(self.joined_by) for word in self.words)]
        starts = np.cumsum(steps[: len(self.words)]).tolist()
        return self.joined_by.join(self.words), _places(self.words, starts)


def _places(words: Sequence[str], starts: Sequence[int]) -> np.ndarray:
    ends = [start + len(word) for start, word in zip(starts, words, strict=True)]
    return np.array([starts, ends], dtype=np.int32).T.reshape(-1, 2)


class TokenClassificationOptions(ExplanationOptions, LanguageOptions):
    """Labels to leave out, and the overlap of the windows of a long text."""

    ignore_labels: list[str] = Field(
        default=["O"],
        title="Ignored labels",
        description="Labels to leave out of the answer.",
        json_schema_extra=chinese("忽略的标签", "不出现在结果中的标签。", advanced=True),
    )
    min_score: float = min_score(
        "Leave out of the answer what has a score below this value.",
        "得分低于此值的项不出现在结果中。",
    )
    stride: Stride = 64
    explain_label: ExplainLabel = None
    explain_span: ExplainSpan = None
    word_tags: SkipJsonSchema[bool] = Field(
        default=False,
        title="Tags of words",
        description="For inputs that are words: answer as for their text, and also return the "
        "label of the first token of each word.",
        json_schema_extra=chinese(
            "词的标签", "输入为词列表时：按文本回答，并返回每个词首个词元的标签。", advanced=True
        ),
    )


def label_of(item: Mapping[str, Any]) -> str:
    """The label of an item of an answer: the type of an entity, or the label of a word or token."""
    label: str = item["entity_group"] if "entity_group" in item else item["entity"]
    return label
