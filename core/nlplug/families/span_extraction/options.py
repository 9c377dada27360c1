"""Inputs, options and answers of tasks that find the answer to a question in a text."""

from __future__ import annotations

from typing import Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from nlplug.explanations.options import ExplainSpan, ExplanationOptions
from nlplug.families.one_pass import min_score
from nlplug.language_guard import LanguageOptions
from nlplug.task import TaskInput, chinese


class SpanExtractionInput(TaskInput):
    """A question, and the text that contains its answer."""

    question: str = Field(
        title="Question",
        description="The question.",
        json_schema_extra=chinese("问题", "要回答的问题。", minLength=1),
    )
    context: str = Field(
        title="Context",
        description="The text that contains the answer, of any length. It may consist of several "
        "passages.",
        json_schema_extra=chinese(
            "上下文", "包含答案的文本，长度不限，可由多个段落组成。", minLength=1
        ),
    )


class SpanExtractionOptions(ExplanationOptions, LanguageOptions):
    """Number and length of the answers, "no answer", and the handling of long contexts."""

    top_k: int = Field(
        default=1,
        ge=1,
        title="Number of answers",
        description="Number of answers to return, best first. 1 returns one answer, more return a "
        "list.",
        json_schema_extra=chinese(
            "答案数量", "返回得分最高的几个答案。1 返回一个答案，大于 1 返回列表。"
        ),
    )
    distinct: bool = Field(
        default=False,
        title="Answers at different places",
        description="Leave out answers that overlap a better one.",
        json_schema_extra=chinese("不同位置的答案", "去掉与更好答案重叠的答案。"),
    )
    handle_impossible_answer: bool = Field(
        default=False,
        title="Allow no answer",
        description='Also consider "no answer": an empty text with its score.',
        json_schema_extra=chinese("允许无答案", "也考虑“无答案”：空文本及其得分。"),
    )
    null_score_diff_threshold: float = Field(
        default=0.0,
        ge=-1000,
        le=1000,
        title="Threshold of no answer",
        description='If "no answer" is allowed: it is given if the logarithm of its score exceeds '
        "that of the best answer by more than this. Below 0: more often; above 0: more rarely.",
        json_schema_extra=chinese(
            "无答案阈值",
            "允许无答案时：若“无答案”得分的对数比最佳答案得分的对数高出该值以上，则回答“无答案”。"
            "小于 0：更常回答；大于 0：更少回答。",
            advanced=True,
        ),
    )
    min_score: float = min_score(
        'Answer "no answer" if the best score is below this value. With a higher number of '
        "answers, the answers with their scores follow it. 0: never.",
        "最高得分低于此值时回答“无答案”；若答案数量大于 1，其后列出各答案及其得分。0：从不。",
    )
    max_answer_len: int = Field(
        default=15,
        ge=1,
        title="Longest answer (tokens)",
        description="Maximum number of tokens in an answer.",
        json_schema_extra=chinese("最长答案（词元）", "一个答案的最大词元数。"),
    )
    align_to_words: bool = Field(
        default=True,
        title="Align answers to words",
        description="Extend answers to whole words. Turn it off for languages without spaces if "
        "the tokenizer treats a whole sentence as one word.",
        json_schema_extra=chinese(
            "对齐到词",
            "把答案扩展到完整的词。对不用空格分词、且分词器把整句当作一个词的语言，请关闭。",
            advanced=True,
        ),
    )
    doc_stride: int | None = Field(
        default=None,
        ge=0,
        title="Window overlap (tokens)",
        description="Number of tokens that neighboring windows of a long context share. Empty: "
        "128, or half a window that is shorter than 256.",
        json_schema_extra=chinese(
            "窗口重叠（词元）",
            "长文本相邻窗口共有的词元数。留空：128，窗口短于 256 时为其一半。",
            advanced=True,
        ),
    )
    max_seq_len: int | None = Field(
        default=None,
        ge=1,
        title="Window length (tokens)",
        description="Number of tokens in a window, question included. Empty: 384, or the model's "
        "maximum if that is less.",
        json_schema_extra=chinese(
            "窗口长度（词元）",
            "每个窗口（含问题）的词元数。留空：384，模型上限更小时为其上限。",
            advanced=True,
        ),
    )
    max_question_len: int | None = Field(
        default=None,
        ge=1,
        title="Longest question (tokens)",
        description="Number of tokens after which a question is cut off. Empty: no limit.",
        json_schema_extra=chinese(
            "最长问题（词元）", "问题超过该词元数的部分被截去。留空：不限制。", advanced=True
        ),
    )
    window_scores: Literal["sum", "max"] = Field(
        default="sum",
        title="Scores over windows",
        description="How to combine the scores that several windows give to the same answer. sum: "
        "add them, as transformers does; the result may exceed 1. max: take the highest, which is "
        "better for contexts of about ten windows or more, where a sum favours frequent words.",
        json_schema_extra=chinese(
            "窗口得分",
            "如何合并多个窗口给同一答案的得分。sum：相加（与 transformers 相同，可能大于 1）；"
            "max：取最大值，适合约十个窗口以上的长文本，此时相加会偏向高频词。",
            advanced=True,
        ),
    )
    explain_span: ExplainSpan = None


class Answer(TypedDict):
    """One answer: ``answer`` is ``context[start:end]``.

    ``abstained`` is true if the best score is below ``min_score``, and missing in all other
    answers. The answer is then empty, and its score is one minus the best score.
    """

    answer: str
    score: float
    start: int
    end: int
    abstained: NotRequired[bool]
