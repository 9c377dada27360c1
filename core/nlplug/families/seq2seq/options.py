"""What the tasks that answer a text with a text take."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from nlplug.families.decoding_options import TextDecodingOptions

Truncation = Annotated[
    Literal["do_not_truncate", "longest_first", "only_first"],
    BeforeValidator(
        lambda value: (
            {True: "longest_first", False: "do_not_truncate"}[value]
            if isinstance(value, bool)
            else value
        )
    ),
]


class Seq2SeqOptions(TextDecodingOptions):
    """How the text is decoded, and what is done with one that is too long."""

    truncation: Truncation = Field(
        default="do_not_truncate",
        description="Whether a text longer than the model's window is refused or cut at its end.",
        json_schema_extra={
            "advanced": True,
            "zh": {"title": "截断", "description": "文本超出模型窗口时报错，还是截去末尾。"},
        },
    )
    clean_up_tokenization_spaces: bool = Field(
        default=False,
        description="Remove the spaces that some models leave before marks and in contractions.",
        json_schema_extra={
            "advanced": True,
            "zh": {"title": "清理空格", "description": "去掉标点和缩写前多余的空格。"},
        },
    )
