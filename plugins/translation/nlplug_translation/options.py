"""The input and the options of a translation."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from nlplug.errors import OptionError
from nlplug.families.seq2seq import Seq2SeqOptions
from nlplug.task import TaskInput, chinese
from nlplug_translation.protected import compiled


class TranslationInput(TaskInput):
    """A text of any length."""

    text: str = Field(
        title="Text",
        description="The text to translate, of any length. Lines and paragraphs are kept.",
        json_schema_extra=chinese("文本", "要翻译的文本，长度不限；保留换行和段落。"),
    )


class TranslationOptions(Seq2SeqOptions):
    """The languages, and how the text is divided and protected."""

    src_lang: str | None = Field(
        default=None,
        title="Source language",
        description="Language of the text, such as en. Empty: the model's source language; if it "
        "has several, the language is detected.",
        json_schema_extra=chinese(
            "源语言", "文本的语言，如 en。留空：模型的源语言；有多种时自动识别。", of_model=True
        ),
    )
    tgt_lang: str | None = Field(
        default=None,
        title="Target language",
        description="Language of the translation, such as fr. May be empty if the model has only "
        "one target language.",
        json_schema_extra=chinese(
            "目标语言", "译文的语言，如 fr；模型只有一种目标语言时可以留空。", of_model=True
        ),
    )
    sentences: bool = Field(
        default=True,
        title="Translate by sentence",
        description="Translate each sentence separately. Off: translate each line as a whole, as "
        "transformers does; better for models that were trained on paragraphs.",
        json_schema_extra=chinese(
            "逐句翻译",
            "逐句翻译；关闭则与 transformers 相同，整行一起翻译，适合用段落训练的模型。",
            advanced=True,
        ),
    )
    protect: bool = Field(
        default=True,
        title="Protect and check",
        description="Keep URLs, e-mail addresses, placeholders, tags, code, emoji, numbers, and "
        "words that the model cannot write unchanged, and check every translation.",
        json_schema_extra=chinese(
            "保护并检查",
            "网址、邮箱、占位符、标签、代码、表情、数字和模型无法写出的词保持不变，"
            "并检查每句译文。",
            advanced=True,
        ),
    )
    protect_patterns: list[str] = Field(
        default=[],
        max_length=64,
        title="Protected patterns",
        description="Regular expressions of further text to keep unchanged, in the syntax of "
        "Rust: no look-around and no backreferences.",
        json_schema_extra=chinese(
            "保护的模式",
            "其他保持不变的内容：Rust 语法的正则表达式，不支持环视和反向引用。",
            advanced=True,
        ),
    )
    tag_handling: Literal["none", "html"] = Field(
        default="none",
        title="Markup",
        description="html: the text is an HTML document or a part of one. Its tags, scripts, "
        "styles, comments and code are kept; the text between tags and in attributes such as alt "
        "is translated. Needs protect.",
        json_schema_extra=chinese(
            "标记语言",
            "html：文本是 HTML 文档或其片段。标签、脚本、样式、注释和代码不变，"
            "翻译标签之间的文本和 alt 等属性。需要开启保护。",
            advanced=True,
        ),
    )
    best_length: int = Field(
        default=60,
        ge=8,
        le=4096,
        title="Best sentence length (tokens)",
        description="Maximum number of tokens that the model translates well at once. Longer "
        "sentences are split, between clauses if possible. Applies if sentences and protect "
        "are on.",
        json_schema_extra=chinese(
            "最佳句长（词元）",
            "模型一次能译好的词元数；更长的句子会尽量在分句处切开。逐句翻译和保护都开启时有效。",
            advanced=True,
        ),
    )

    @field_validator("protect_patterns")
    @classmethod
    def _are_patterns(cls, patterns: list[str]) -> list[str]:
        for pattern in patterns:
            compiled(pattern)
        return patterns

    @model_validator(mode="after")
    def _protects_tags(self) -> Self:
        if self.tag_handling == "html" and not self.protect:
            raise OptionError(
                "tag_handling is html, but protect is off, so tags would go to the model.",
                hint="Set protect to true.",
            )
        return self
