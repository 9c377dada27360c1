"""What a call may ask of a classifier beyond its labels: a threshold, and to abstain."""

from __future__ import annotations

from pydantic import Field

from nlplug.families.sequence_classification import SequenceClassificationOptions


class ClassificationOptions(SequenceClassificationOptions):
    """The family's options, and which answers are too unsure to be given.

    With the defaults nothing is left out, as in Hugging Face's pipeline.
    """

    threshold: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Leave out labels with a score below this; what is left may be nothing.",
        json_schema_extra={
            "zh": {"title": "阈值", "description": "去掉得分低于此值的标签；可能一个也不剩。"}
        },
    )
    abstain_below: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Answer with the abstaining label alone where the best score is below this, "
        "or the model itself says that no label fits; 0 to always answer.",
        json_schema_extra={
            "zh": {
                "title": "弃权界限",
                "description": "最高得分低于此值，或模型认为没有合适的标签时，只回答弃权标签；"
                "0 表示从不弃权。",
            }
        },
    )
    abstain_label: str = Field(
        default="none",
        min_length=1,
        description="Label of the abstaining answer; if the model has a label of this name, "
        "it is the one for texts that fit no other.",
        json_schema_extra={
            "advanced": True,
            "zh": {
                "title": "弃权标签",
                "description": "弃权时回答的标签；若模型有同名标签，则它表示不属于其他类别。",
            },
        },
    )
