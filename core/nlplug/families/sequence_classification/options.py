"""Inputs, options and answers of tasks that classify whole texts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema
from typing_extensions import TypedDict

from nlplug.explanations.options import ExplainLabel, ExplanationOptions
from nlplug.families.one_pass import Stride
from nlplug.language_guard import LanguageOptions
from nlplug.task import TaskInput, chinese

Activation = Literal["softmax", "sigmoid", "none"]
MaxLength = Annotated[
    SkipJsonSchema[int | None],
    Field(
        ge=1,
        title="Maximum length",
        description="With truncation: number of tokens to keep, special tokens included. Empty: "
        "the model's window.",
        json_schema_extra=chinese(
            "最大长度", "截断时保留的词元数（含特殊词元）。留空：模型的窗口。", advanced=True
        ),
    ),
]
"""The option ``max_length`` of tasks that can truncate."""
Truncation = Annotated[
    bool,
    Field(
        title="Truncate long texts",
        description="Classify only the first window of a long text. Off: average over all windows.",
        json_schema_extra=chinese(
            "截断长文本", "只对长文本的第一个窗口分类；关闭则对所有窗口取平均。", advanced=True
        ),
    ),
]
"""The option ``truncation`` of tasks that average over windows."""


class LabelScore(TypedDict):
    """One label with its score."""

    label: str
    score: float


class SequenceClassificationInput(TaskInput):
    """One text, or a pair of texts such as a premise and a hypothesis."""

    text: str = Field(
        title="Text",
        description="The text to classify.",
        json_schema_extra=chinese("文本", "要分类的文本。"),
    )
    text_pair: str | None = Field(
        default=None,
        title="Second text",
        description="The second text, for models that classify pairs of texts.",
        json_schema_extra=chinese("第二个文本", "供分类文本对的模型使用。", advanced=True),
    )


class SequenceClassificationOptions(ExplanationOptions, LanguageOptions):
    """Number and scores of the labels, and the handling of long texts."""

    top_k: int | None = Field(
        default=1,
        ge=1,
        title="Number of labels",
        description="Number of labels to return, best first. Empty: all labels.",
        json_schema_extra=chinese("标签数量", "返回得分最高的几个标签。留空：返回全部标签。"),
    )
    function_to_apply: Activation | None = Field(
        default=None,
        title="Activation function",
        description="Function that turns logits into scores. Empty: the one that the model was "
        "trained for.",
        json_schema_extra=chinese(
            "激活函数", "把 logits 变成得分的函数。留空：模型训练时所用的函数。", advanced=True
        ),
    )
    truncation: Truncation = False
    stride: Stride = 64
    max_length: MaxLength = None
    return_all_scores: SkipJsonSchema[bool] = Field(
        default=False,
        title="All labels by id",
        description="Old form of top_k=None: all labels, in the order of their ids.",
        json_schema_extra=chinese(
            "按编号返回全部标签", "top_k=None 的旧写法：按编号顺序返回全部标签。", advanced=True
        ),
    )
    explain_label: ExplainLabel = None
