"""Options of a classification call."""

from __future__ import annotations

from pydantic import Field

from nlplug.families.sequence_classification import SequenceClassificationOptions
from nlplug.task import chinese


class ClassificationOptions(SequenceClassificationOptions):
    """The family's options, and a score threshold for each label."""

    threshold: float = Field(
        default=0.0,
        ge=0,
        le=1,
        title="Score threshold",
        description="Leave out labels with a score below this value. The answer may be empty.",
        json_schema_extra=chinese("得分阈值", "去掉得分低于此值的标签；结果可能为空。"),
    )
