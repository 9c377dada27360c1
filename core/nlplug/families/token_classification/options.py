"""What the tasks that label the words of a text take and give."""

from __future__ import annotations

from pydantic import Field
from typing_extensions import TypedDict

from nlplug.task import TaskInput, TaskOptions


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
