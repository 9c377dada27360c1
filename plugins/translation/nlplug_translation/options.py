"""What a translation takes: a text, the languages, and how the text is handled."""

from __future__ import annotations

from pydantic import Field, field_validator

from nlplug.families.seq2seq import Seq2SeqOptions
from nlplug.task import TaskInput
from nlplug_translation.protected import compiled


class TranslationInput(TaskInput):
    """A text of any length."""

    text: str = Field(
        description="The text to translate, of any length; its lines and paragraphs stay.",
        json_schema_extra={
            "zh": {"title": "文本", "description": "要翻译的文本，长度不限；保留换行和段落。"}
        },
    )


class TranslationOptions(Seq2SeqOptions):
    """From and to which language, and how a text is taken apart."""

    src_lang: str | None = Field(
        default=None,
        description="Language of the text, such as en; by default the model's, or guessed where "
        "the model has several.",
        json_schema_extra={
            "of_model": True,
            "zh": {
                "title": "源语言",
                "description": "文本的语言，如 en；默认为模型的源语言，有多种时自动识别。",
            },
        },
    )
    tgt_lang: str | None = Field(
        default=None,
        description="Language of the translation, such as fr; by default the model's, where it "
        "has only one.",
        json_schema_extra={
            "of_model": True,
            "zh": {
                "title": "目标语言",
                "description": "译文的语言，如 fr；模型只有一种目标语言时可以不填。",
            },
        },
    )
    sentences: bool = Field(
        default=True,
        description="Translate sentence by sentence; off for a line at a time, as transformers "
        "does, where the model was trained on paragraphs.",
        json_schema_extra={
            "advanced": True,
            "zh": {"title": "逐句翻译", "description": "逐句翻译；关闭则整行一起翻译。"},
        },
    )
    protect: bool = Field(
        default=True,
        description="Keep addresses, e-mails, placeholders, tags, code, emoji, numbers, and words "
        "that the model cannot write exactly as they are, and check every translation.",
        json_schema_extra={
            "advanced": True,
            "zh": {
                "title": "保留原样",
                "description": "网址、邮箱、占位符、标签、代码、表情、数字和模型不认识的词"
                "保持不变，并检查每句译文。",
            },
        },
    )
    protect_patterns: list[str] = Field(
        default=[],
        max_length=64,
        description="Regular expressions of what else to keep as it is, in the syntax of Rust: "
        "no look-around and no backreferences.",
        json_schema_extra={
            "advanced": True,
            "zh": {
                "title": "自定义保留",
                "description": "其他保持不变的内容：Rust 语法的正则表达式，不支持环视和反向引用。",
            },
        },
    )
    best_length: int = Field(
        default=60,
        ge=8,
        le=4096,
        description="Tokens that the model translates best at once. A longer sentence is cut, "
        "between clauses where possible. Used where sentences and protect are on.",
        json_schema_extra={
            "advanced": True,
            "zh": {
                "title": "最佳长度",
                "description": "模型一次翻译效果最好的词元数；更长的句子会尽量在分句处切开。",
            },
        },
    )

    @field_validator("protect_patterns")
    @classmethod
    def _are_patterns(cls, patterns: list[str]) -> list[str]:
        for pattern in patterns:
            compiled(pattern)
        return patterns
