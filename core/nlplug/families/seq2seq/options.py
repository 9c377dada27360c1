"""The options of tasks that answer a text with a text."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic.json_schema import SkipJsonSchema

from nlplug.families.decoding_options import TextDecodingOptions, Tokens, tokens_instead
from nlplug.runtime.decoding.settings import NumBeams
from nlplug.task import chinese

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
    """Options of decoding, and what to do with a text that is too long."""

    truncation: Truncation = Field(
        default="do_not_truncate",
        title="Truncation",
        description="What to do with a text longer than the model's window. do_not_truncate: "
        "raise an error; longest_first, only_first: remove its end.",
        json_schema_extra=chinese(
            "截断",
            "文本超出模型窗口时：do_not_truncate 报错；longest_first、only_first 截去末尾。",
            advanced=True,
        ),
    )
    clean_up_tokenization_spaces: bool = Field(
        default=False,
        title="Clean up spaces",
        description="Remove the spaces that some models leave before punctuation and in "
        "contractions.",
        json_schema_extra=chinese("清理空格", "去掉标点前和缩写中多余的空格。", advanced=True),
    )
    details: bool = Field(
        default=False,
        title="Details",
        description="Also return the reason why each text ended, and the number of tokens that "
        "were generated for it.",
        json_schema_extra=chinese(
            "详细信息",
            "同时返回每段文本停止的原因，以及为它生成的词元数。",
            advanced=True,
            whole=True,
        ),
    )
    decoder_start_token_id: SkipJsonSchema[Tokens] = tokens_instead(
        "Start token",
        "The token that each text begins with; it is not part of the text.",
        "起始词元",
        "每段文本由此词元开始，它不属于文本。",
    )


class BeamOptions(Seq2SeqOptions):
    """Options of tasks whose pipelines in transformers use 4 beams if the model has no number."""

    num_beams: NumBeams = 4
