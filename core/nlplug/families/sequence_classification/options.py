"""What the tasks that label a whole text take and give."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from typing_extensions import TypedDict

from nlplug.task import TaskInput, TaskOptions

Activation = Literal["softmax", "sigmoid", "none"]


class LabelScore(TypedDict):
    """One label with its score."""

    label: str
    score: float


class SequenceClassificationInput(TaskInput):
    """One text, or a pair of texts (a premise and a hypothesis, say)."""

    text: str = Field(
        description="The text to classify.",
        json_schema_extra={"zh": {"title": "文本", "description": "要分类的文本。"}},
    )
    text_pair: str | None = Field(
        default=None,
        description="A second text, for models that judge pairs.",
        json_schema_extra={
            "advanced": True,
            "zh": {"title": "第二个文本", "description": "供判断文本对的模型使用。"},
        },
    )


class SequenceClassificationOptions(TaskOptions):
    """How the labels are chosen and how long texts are covered."""

    top_k: int | None = Field(
        default=1,
        ge=1,
        description="How many labels to return, best first; none for all.",
        json_schema_extra={
            "zh": {"title": "标签数量", "description": "返回得分最高的几个标签；留空则返回全部。"}
        },
    )
    function_to_apply: Activation | None = Field(
        default=None,
        description="Turns logits into scores; by default what the model was trained for.",
        json_schema_extra={
            "advanced": True,
            "zh": {
                "title": "激活函数",
                "description": "把 logits 变成得分；默认按模型的训练方式。",
            },
        },
    )
    truncation: bool = Field(
        default=False,
        description="Judge the beginning of a long text alone, instead of the whole by windows.",
        json_schema_extra={
            "advanced": True,
            "zh": {"title": "截断", "description": "只判断长文本的开头，而不是用窗口覆盖全文。"},
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
