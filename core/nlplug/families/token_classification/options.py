"""Inputs, options and answers of tasks that label the words of a text."""

from __future__ import annotations

from pydantic import Field
from typing_extensions import TypedDict

from nlplug.families.one_pass import Stride
from nlplug.language_guard import LanguageOptions
from nlplug.task import TaskInput, chinese


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
        title="Text",
        description="The text whose words are labelled.",
        json_schema_extra=chinese("文本", "要逐词标注的文本。"),
    )


class TokenClassificationOptions(LanguageOptions):
    """Labels to leave out, and the overlap of the windows of a long text."""

    ignore_labels: list[str] = Field(
        default=["O"],
        title="Ignored labels",
        description="Labels to leave out of the answer.",
        json_schema_extra=chinese("忽略的标签", "不出现在结果中的标签。", advanced=True),
    )
    stride: Stride = 64
