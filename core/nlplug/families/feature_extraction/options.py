"""Inputs and options of tasks that return the hidden states of an encoder."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from nlplug.families.truncation import MaxLength, Truncation
from nlplug.language_guard import LanguageOptions
from nlplug.task import TaskInput, chinese

Pool = Literal["none", "mean", "cls", "auto"]


class FeatureInput(TaskInput):
    """One text."""

    text: str = Field(
        title="Text",
        description="The text to encode.",
        json_schema_extra=chinese("文本", "要编码的文本。"),
    )


class FeatureOptions(LanguageOptions):
    """One vector per token or per text, and what happens to long texts."""

    pool: Pool = Field(
        default="none",
        title="Pooling",
        description="none: one vector per token, special tokens included; mean: one vector per "
        "text, the mean over its tokens; cls: the vector of its first token; auto: the pooling "
        "named in the files of sentence-transformers, else mean.",
        json_schema_extra=chinese(
            "池化",
            "none：每个词元（含特殊词元）一个向量；mean：每段文本一个向量，即其词元的平均；"
            "cls：第一个词元的向量；auto：sentence-transformers 的文件所注明的，"
            "未注明时为 mean。",
        ),
    )
    normalize: bool = Field(
        default=False,
        title="Normalize",
        description="With pooling: divide a vector by its length, so that the dot product of two "
        "vectors is their cosine.",
        json_schema_extra=chinese(
            "归一化", "池化时：向量除以其长度，使两个向量的点积等于余弦相似度。"
        ),
    )
    truncation: Truncation = False
    max_length: MaxLength = None
    return_tensors: SkipJsonSchema[bool] = Field(
        default=False,
        title="Return arrays",
        description="Return numpy arrays instead of lists.",
        json_schema_extra=chinese(
            "返回数组", "返回 numpy 数组而不是列表。", advanced=True, by_name=True
        ),
    )
