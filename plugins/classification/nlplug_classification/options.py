"""Options of a classification call: a score threshold, and abstaining."""

from __future__ import annotations

from pydantic import Field

from nlplug.families.sequence_classification import SequenceClassificationOptions
from nlplug.task import chinese


class ClassificationOptions(SequenceClassificationOptions):
    """The family's options, and the scores below which an answer is withheld.

    With the defaults all labels are returned, as in Hugging Face's pipeline.
    """

    threshold: float = Field(
        default=0.0,
        ge=0,
        le=1,
        title="Score threshold",
        description="Leave out labels with a score below this value. The answer may be empty.",
        json_schema_extra=chinese("得分阈值", "去掉得分低于此值的标签；结果可能为空。"),
    )
    abstain_below: float = Field(
        default=0.0,
        ge=0,
        le=1,
        title="Abstain below",
        description="Return only the abstain label if the best score is below this value, or if "
        "the model has the abstain label and ranks it first. 0: never abstain.",
        json_schema_extra=chinese(
            "弃权界限",
            "最高得分低于此值，或模型有弃权标签且将其排在首位时，只返回弃权标签。0：从不弃权。",
        ),
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
