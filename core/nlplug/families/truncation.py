"""The options of families that can cut a text: whether and where a longer one ends."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from nlplug.task import chinese

Truncation = Annotated[
    bool,
    Field(
        title="Truncate long texts",
        description="Remove the end of a text that is longer than the model's window. Off: such a "
        "text is an error.",
        json_schema_extra=chinese(
            "截断长文本", "截去文本超出模型窗口的末尾；关闭则报错。", advanced=True
        ),
    ),
]
"""The option ``truncation`` of tasks that read one window."""
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
