"""Inputs, options and answers of tasks that classify whole texts."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import AfterValidator, Field
from pydantic.json_schema import SkipJsonSchema
from typing_extensions import TypedDict

from nlplug.explanations.options import ExplainLabel, ExplanationOptions
from nlplug.families.one_pass import Stride, min_score
from nlplug.families.truncation import MaxLength
from nlplug.language_guard import LanguageOptions
from nlplug.task import TaskInput, chinese

Activation = Literal["softmax", "sigmoid", "none"]
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
    """One label with its score.

    ``abstained`` is true in the answer of a model that abstains, and missing in all others. The
    label is then the abstain label, and the score is one minus the best score of a label.
    """

    label: str
    score: float
    abstained: NotRequired[bool]


class SequenceClassificationInput(TaskInput):
    """One text, or a pair of texts such as a premise and a hypothesis."""

    text: str = Field(
        title="Text",
        description="The text to classify.",
        json_schema_extra=chinese("文本", "要分类的文本。"),
    )
    # An empty cell of a table, or an empty field of a form, is no text.
    text_pair: Annotated[str | None, AfterValidator(lambda text: text or None)] = Field(
        default=None,
        title="Second text",
        description="The second text, for models that classify pairs of texts.",
        json_schema_extra=chinese("第二个文本", "供分类文本对的模型使用。", advanced=True),
    )


class SequenceClassificationOptions(ExplanationOptions, LanguageOptions):
    """Number and scores of the labels, abstaining, and the handling of long texts.

    With the defaults all labels are returned, as in Hugging Face's pipeline.
    """

    top_k: int | None = Field(
        default=1,
        ge=1,
        title="Number of labels",
        description="Number of labels to return, best first. Empty: all labels.",
        json_schema_extra=chinese("标签数量", "返回得分最高的几个标签。留空：返回全部标签。"),
    )
    min_score: float = min_score(
        "Abstain if the best score is below this value, or if the model has the abstain label and "
        "ranks it first. The answer is then the abstain label; with a higher number of labels, "
        "the labels with their scores follow it. 0: never abstain.",
        "最高得分低于此值，或模型有弃权标签且将其排在首位时弃权：返回弃权标签；若标签数量大于 1，"
        "其后列出各标签及其得分。0：从不弃权。",
    )
    abstain_label: str = Field(
        default="none",
        min_length=1,
        title="Abstain label",
        description="Label to return when abstaining. If the model has a label with this name, "
        "that label is for texts that fit no other label.",
        json_schema_extra=chinese(
            "弃权标签",
            "弃权时返回的标签。若模型有同名标签，则该标签表示不属于其他类别的文本。",
            advanced=True,
        ),
    )
    coverage: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        title="Coverage of the label set",
        description="Return the set of labels that contains the right one with this probability, "
        "such as 0.9. The set may be empty. The number of labels and the minimum score do not "
        "apply. The model needs a record of held-out rows (nlplug models confidence). Empty: off.",
        json_schema_extra=chinese(
            "标签集合的覆盖率",
            "返回以此概率（如 0.9）包含正确标签的标签集合；集合可能为空，"
            "标签数量和最低得分不起作用。"
            "模型需要留出数据的记录（nlplug models confidence）。留空：关闭。",
            advanced=True,
        ),
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
    truncated_text: SkipJsonSchema[Literal["longest_first", "only_first", "only_second"]] = Field(
        default="longest_first",
        title="Truncated text of a pair",
        description="With truncation: which text of a pair loses its end; longest_first: the "
        "longer one, until both have the same length, then both.",
        json_schema_extra=chinese(
            "截断句对中的哪段",
            "截断时舍去句对中哪段文本的末尾；longest_first：先截较长的一段，等长后两段同截。",
            advanced=True,
            by_name=True,
        ),
    )
    stride: Stride = 64
    max_length: MaxLength = None
    return_all_scores: SkipJsonSchema[bool] = Field(
        default=False,
        title="All labels by id",
        description="Old form of top_k=None: all labels, in the order of their ids.",
        json_schema_extra=chinese(
            "按编号返回全部标签",
            "top_k=None 的旧写法：按编号顺序返回全部标签。",
            advanced=True,
            by_name=True,
        ),
    )
    explain_label: ExplainLabel = None
