"""What the tasks that find a span of a text take and give."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from typing_extensions import TypedDict

from nlplug.task import TaskInput, TaskOptions


class SpanExtractionInput(TaskInput):
    """A question, and the text that holds its answer."""

    question: str = Field(
        description="The question.",
        json_schema_extra={
            "minLength": 1,
            "zh": {"title": "问题", "description": "要回答的问题。"},
        },
    )
    context: str = Field(
        description="The text to find the answer in, of any length.",
        json_schema_extra={
            "minLength": 1,
            "zh": {"title": "上下文", "description": "从中寻找答案的文本，长度不限。"},
        },
    )


class SpanExtractionOptions(TaskOptions):
    """How many answers, how long, whether "none" is one, and how long contexts are covered."""

    top_k: int = Field(
        default=1,
        ge=1,
        description="How many answers to return, best first; with 1 the answer stands alone.",
        json_schema_extra={
            "zh": {
                "title": "答案数量",
                "description": "返回得分最高的几个答案；为 1 时只返回一个。",
            }
        },
    )
    handle_impossible_answer: bool = Field(
        default=False,
        description='Whether "no answer" may be the answer: an empty text with its score.',
        json_schema_extra={
            "zh": {"title": "允许无答案", "description": "答案可以为“无”：返回空文本及其得分。"}
        },
    )
    max_answer_len: int = Field(
        default=15,
        ge=1,
        description="Most tokens that an answer may have.",
        json_schema_extra={
            "zh": {"title": "答案最大长度", "description": "一个答案最多包含的词元数。"}
        },
    )
    align_to_words: bool = Field(
        default=True,
        description="Widen answers to whole words; switch it off for languages without spaces "
        "where the tokenizer takes a whole sentence for a word.",
        json_schema_extra={
            "advanced": True,
            "zh": {
                "title": "对齐到词",
                "description": "把答案扩展到完整的词；对不用空格分词的语言可关闭。",
            },
        },
    )
    doc_stride: int | None = Field(
        default=None,
        ge=0,
        description="Tokens that neighbouring windows of a long context share; "
        "by default 128, or half a window that is shorter than 256.",
        json_schema_extra={
            "advanced": True,
            "zh": {"title": "窗口重叠", "description": "长文本相邻窗口共有的词元数；默认 128。"},
        },
    )
    max_seq_len: int | None = Field(
        default=None,
        ge=1,
        description="Tokens in a window, question included; "
        "by default 384, or what the model takes if that is less.",
        json_schema_extra={
            "advanced": True,
            "zh": {"title": "窗口长度", "description": "每个窗口（含问题）的词元数；默认 384。"},
        },
    )
    max_question_len: int | None = Field(
        default=None,
        ge=1,
        description="Most tokens of the question that are read; by default all of them.",
        json_schema_extra={
            "advanced": True,
            "zh": {"title": "问题最大长度", "description": "最多读取问题的词元数；默认全部读取。"},
        },
    )
    window_scores: Literal["sum", "max"] = Field(
        default="sum",
        description="How the scores that windows of a long context give one answer make one: their "
        "sum, as in transformers, which may exceed 1, or the highest; better from some ten "
        "windows on, where else a frequent word wins.",
        json_schema_extra={
            "advanced": True,
            "zh": {
                "title": "窗口得分",
                "description": "多个窗口给同一答案的得分如何合并：相加（与 transformers 相同，"
                "可能大于 1）或取最大值（适合很长的文本）。",
            },
        },
    )


class Answer(TypedDict):
    """One answer: ``answer`` is ``context[start:end]``."""

    answer: str
    score: float
    start: int
    end: int
