"""Inputs, options and answers of tasks that predict masked tokens."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field
from typing_extensions import TypedDict

from nlplug.families.truncation import MaxLength, Truncation
from nlplug.language_guard import LanguageOptions
from nlplug.task import TaskInput, chinese

MASKS = ("[MASK]", "<mask>")
"""Texts that stand for the mask token of every model."""


class MaskedLMInput(TaskInput):
    """A text with one or more masks."""

    text: str = Field(
        title="Text",
        description="A text with [MASK] at each place to fill; <mask> and the model's own mask "
        "token mean the same.",
        json_schema_extra=chinese(
            "文本", "在每个要填的位置写 [MASK]；<mask> 和模型自己的掩码词元含义相同。", minLength=1
        ),
    )


class MaskedLMOptions(LanguageOptions):
    """Number of the predictions, and which tokens are considered."""

    top_k: int = Field(
        default=5,
        ge=1,
        title="Number of predictions",
        description="Number of predictions for each mask, best first.",
        json_schema_extra=chinese("预测数量", "每个掩码返回得分最高的几个预测。", slider=1000),
    )
    targets: Annotated[
        list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)
    ] = Field(
        default=[],
        max_length=1000,
        title="Candidates",
        description="Only these words are predicted, with the scores that they have among all "
        "tokens. If a word has several tokens, its first token is used, with a warning. Empty: all "
        "tokens.",
        json_schema_extra=chinese(
            "候选词",
            "只预测这些词，得分仍是其在全部词元中的概率。由多个词元组成的词只用第一个词元，"
            "并给出警告。留空：全部词元。",
        ),
    )
    truncation: Truncation = False
    max_length: MaxLength = None


class Filling(TypedDict):
    """One prediction for a mask.

    ``token_str`` is the text of the token with the id ``token``, and ``sequence`` the text with it
    in place of the mask. If there are several masks, the others and all special tokens are kept in
    ``sequence``.
    """

    score: float
    token: int
    token_str: str
    sequence: str
