"""The options of tasks that can explain their answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nlplug.task import TaskOptions, chinese

Method = Literal["occlusion", "shapley"]

ExplainLabel = Annotated[
    str | None,
    Field(
        title="Label to explain",
        description="Explain this label instead of the label of the answer.",
        json_schema_extra=chinese(
            "要解释的标签", "解释此标签，而不是结果中的标签。", advanced=True
        ),
    ),
]
"""The option ``explain_label`` of tasks whose models have labels."""

ExplainSpan = Annotated[
    str | None,
    Field(
        min_length=1,
        title="Part to explain",
        description="Explain this part of the text instead of the part with the highest score.",
        json_schema_extra=chinese(
            "要解释的片段", "解释文本中的此片段，而不是得分最高的片段。", advanced=True
        ),
    ),
]
"""The option ``explain_span`` of tasks that answer with parts of the text."""


class ExplanationOptions(TaskOptions):
    """Whether and how answers are explained."""

    explain: bool = Field(
        default=False,
        title="Explain",
        description="Also return how much each word contributes to the answer. The answer takes "
        "longer, because the model reads the text many times.",
        json_schema_extra=chinese(
            "解释", "同时返回每个词对结果的贡献。模型要多次读取文本，因此耗时更长。"
        ),
    )
    explain_method: Method = Field(
        default="occlusion",
        title="Method of explanation",
        description="occlusion: replace each word alone, and all words but this one. shapley: "
        "replace words in random orders; more accurate, and slower.",
        json_schema_extra=chinese(
            "解释方法",
            "occlusion：分别遮盖每个词，以及除该词外的所有词；"
            "shapley：按随机顺序遮盖词，更准确，但更慢。",
            advanced=True,
        ),
    )
    explain_passes: int = Field(
        default=512,
        ge=8,
        le=8192,
        title="Passes of an explanation",
        description="Maximum number of windows that the model reads for one explanation. If a text "
        "has too many words for this limit, neighboring words share one weight.",
        json_schema_extra=chinese(
            "解释的计算次数",
            "一次解释中模型最多读取的窗口数。若文本的词太多，相邻的词共用一个权重。",
            advanced=True,
        ),
    )
