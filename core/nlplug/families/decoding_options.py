"""How text is made, as the tasks that make text offer it, and as the model wants it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from nlplug.errors import OptionError
from nlplug.models.bundle import Bundle
from nlplug.runtime.decoding.options import Allowed, DecodingOptions
from nlplug.task import TaskOptions

_EARLY: dict[str, bool | Literal["never"]] = {"false": False, "true": True, "never": "never"}
EarlyStopping = Annotated[
    Literal["false", "true", "never"],
    BeforeValidator(lambda value: str(value).lower() if isinstance(value, bool) else value),
]


def _zh(title: str, description: str, *, advanced: bool = True) -> dict[str, Any]:
    return {"advanced": advanced, "zh": {"title": title, "description": description}}


class TextDecodingOptions(TaskOptions):
    """Named as in transformers, with its defaults but for the length.

    Raises:
        OptionError: Options that do not go together.
    """

    max_new_tokens: int = Field(
        default=256,
        ge=1,
        le=4096,
        description="Tokens to make at most.",
        json_schema_extra=_zh("最多新词元数", "最多生成多少个词元。", advanced=False),
    )
    do_sample: bool = Field(
        default=False,
        description="Draw tokens by chance instead of taking the likeliest; beams never do.",
        json_schema_extra=_zh("随机采样", "按概率随机抽取词元，而不总取最可能的。", advanced=False),
    )
    temperature: float = Field(
        default=1.0,
        gt=0,
        le=5,
        description="When drawing: below 1 keeps to likely tokens, above 1 is bolder.",
        json_schema_extra=_zh("温度", "采样时：小于 1 更稳妥，大于 1 更大胆。", advanced=False),
    )
    top_k: int = Field(
        default=50,
        ge=0,
        le=1000,
        description="When drawing: only so many likeliest tokens; 0 for all.",
        json_schema_extra=_zh(
            "Top-k", "采样时只考虑最可能的若干词元；0 表示全部。", advanced=False
        ),
    )
    top_p: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="When drawing: only the likeliest tokens that together have this probability.",
        json_schema_extra=_zh("Top-p", "采样时只考虑累计概率达到该值的词元。", advanced=False),
    )
    min_p: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="When drawing: only tokens at least so many times as likely as the likeliest.",
        json_schema_extra=_zh("Min-p", "采样时舍弃概率低于最高概率该倍数的词元。"),
    )
    typical_p: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="When drawing: only tokens about as surprising as is to be expected.",
        json_schema_extra=_zh("Typical-p", "采样时只考虑信息量接近预期的词元。"),
    )
    seed: int | None = Field(
        default=None,
        ge=0,
        description="When drawing: a number that makes the same text again.",
        json_schema_extra=_zh("随机种子", "采样时固定该数即可重现同样的文本。"),
    )
    num_beams: int = Field(
        default=1,
        ge=1,
        le=32,
        description="Texts that are followed at the same time to find the likeliest; 1 for none.",
        json_schema_extra=_zh("束宽", "同时保留多少条候选以寻找最可能的文本；1 表示不用束搜索。"),
    )
    num_return_sequences: int = Field(
        default=1,
        ge=1,
        le=32,
        description="Texts to return: draws, or the best beams.",
        json_schema_extra=_zh("返回数量", "返回多少条文本：多次采样，或最好的几条束。"),
    )
    length_penalty: float = Field(
        default=1.0,
        ge=-10,
        le=10,
        description="With beams: above 0 favours long texts, below 0 short ones.",
        json_schema_extra=_zh("长度惩罚", "束搜索时：大于 0 偏向长文本，小于 0 偏向短文本。"),
    )
    early_stopping: EarlyStopping = Field(
        default="false",
        description="With beams: end with the first num_beams texts (true), when no better one is "
        "likely (false), or when none is possible (never).",
        json_schema_extra=_zh(
            "提前停止",
            "束搜索何时结束：true 为找到足够文本即止，false 为不大可能更好时，"
            "never 为不可能更好时。",
        ),
    )
    min_new_tokens: int = Field(
        default=0,
        ge=0,
        le=4096,
        description="Tokens to make at least.",
        json_schema_extra=_zh("最少新词元数", "至少生成多少个词元。"),
    )
    stop: list[str] = Field(
        default=[],
        max_length=16,
        description="Texts that end the answer; they are not part of it.",
        json_schema_extra=_zh("停止文本", "遇到这些文本即结束；它们不包含在结果中。"),
    )
    bad_words: list[str] = Field(
        default=[],
        max_length=1000,
        description="Words that never come.",
        json_schema_extra=_zh("禁用词", "不允许出现的词。"),
    )
    repetition_penalty: float = Field(
        default=1.0,
        gt=0,
        le=5,
        description="Above 1 makes tokens that stand in the text already less likely.",
        json_schema_extra=_zh("重复惩罚", "大于 1 时降低已出现词元的概率。"),
    )
    frequency_penalty: float = Field(
        default=0.0,
        ge=-2,
        le=2,
        description="Makes a new token less likely, each time that it has come.",
        json_schema_extra=_zh("频率惩罚", "词元每出现一次，其概率就降低一些。"),
    )
    presence_penalty: float = Field(
        default=0.0,
        ge=-2,
        le=2,
        description="Makes a new token less likely, once it has come.",
        json_schema_extra=_zh("出现惩罚", "词元只要出现过，其概率就降低。"),
    )
    no_repeat_ngram_size: int = Field(
        default=0,
        ge=0,
        le=100,
        description="No so many tokens in a row come twice; 0 for no such rule.",
        json_schema_extra=_zh("禁止重复的 n 元组", "连续这么多个词元不会出现两次；0 表示不限制。"),
    )
    prefix_allowed_tokens_fn: SkipJsonSchema[Allowed | None] = Field(
        default=None,
        description="A function from the number of an input in its call, and the ids of the prompt "
        "and of what follows as an array, to the ids of the tokens that may come next. It may be "
        "called from several threads.",
        json_schema_extra=_zh(
            "前缀约束", "函数：由输入的序号和至今的词元编号，给出允许的下一个词元的编号。"
        ),
    )

    @field_validator("stop", "bad_words")
    @classmethod
    def _no_empty_texts(cls, texts: list[str]) -> list[str]:
        if "" in texts:
            raise ValueError("Give no empty text")
        return texts

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        if self.stop and self.num_beams > 1:
            raise OptionError(
                f"stop and num_beams={self.num_beams} do not go together.",
                hint="Leave one of them out.",
            )
        _shared(self)
        return self


def _shared(options: TextDecodingOptions) -> DecodingOptions:
    """The options that need no tokenizer.

    Raises:
        OptionError: Options that do not go together.
    """
    sample = options.do_sample
    if options.num_beams > 1 and "do_sample" not in options.model_fields_set:
        sample = False  # beams were asked for, and drawing was not
    return DecodingOptions(
        max_new_tokens=options.max_new_tokens,
        min_new_tokens=options.min_new_tokens,
        num_beams=options.num_beams,
        num_return_sequences=options.num_return_sequences,
        length_penalty=options.length_penalty,
        early_stopping=_EARLY[options.early_stopping],
        do_sample=sample,
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        min_p=options.min_p,
        typical_p=options.typical_p,
        seed=options.seed,
        repetition_penalty=options.repetition_penalty,
        frequency_penalty=options.frequency_penalty,
        presence_penalty=options.presence_penalty,
        no_repeat_ngram_size=options.no_repeat_ngram_size,
        allowed_tokens=options.prefix_allowed_tokens_fn,
    )


@dataclass(frozen=True)
class GenerationConfig:
    """What a model says of generation: ``generation_config.json``, else its ``config.json``.

    Attributes:
        values: Names and values as transformers writes them, less those that are null.
    """

    values: Mapping[str, Any]

    @classmethod
    def of(cls, bundle: Bundle) -> GenerationConfig:
        """That of a bundle.

        Raises:
            BundleCorrupt: The file is broken.
        """
        found = bundle.repository.generation
        return cls({name: value for name, value in found.items() if value is not None})

    def tokens(self, name: str) -> tuple[int, ...]:
        """The token or tokens of an entry such as ``eos_token_id``; none where it is missing."""
        value = self.values.get(name)
        values = value if isinstance(value, list) else [value]
        return tuple(token for token in values if type(token) is int)

    def token(self, name: str) -> int | None:
        """The one token of an entry; of several the first."""
        return next(iter(self.tokens(name)), None)

    def wishes(self, options: type[TextDecodingOptions]) -> dict[str, Any]:
        """The options that the model wants otherwise; values that none can be are passed over."""
        values = dict(self.values)
        if isinstance(stop := values.get("stop_strings"), str | list):
            values["stop"] = [stop] if isinstance(stop, str) else stop
        found = {}
        for name, field in options.model_fields.items():
            if name in values and values[name] != field.default:
                try:
                    options.model_validate({name: values[name]})
                except (ValidationError, OptionError):
                    continue
                found[name] = values[name]
        return found

    def decoding(
        self,
        options: TextDecodingOptions,
        encode: Callable[[str], Sequence[int]],
        **more: Any,
    ) -> DecodingOptions:
        """How to decode: the options of a call, and the special tokens of the model.

        Args:
            options: Those of the call, with the model's own wishes where it gives none.
            encode: The tokens of a text, without special ones.
            **more: Other members of `DecodingOptions`.

        Raises:
            OptionError: Options that do not go together.
        """
        given: dict[str, Any] = {
            "eos": self.tokens("eos_token_id"),
            "bad_words": self._bad_words(options.bad_words, encode),
            "suppress_tokens": self.tokens("suppress_tokens"),
            "begin_suppress_tokens": self.tokens("begin_suppress_tokens"),
            "forced_bos": self.token("forced_bos_token_id"),
            "forced_eos": self.token("forced_eos_token_id"),
        }
        return replace(_shared(options), **given, **more)

    def _bad_words(
        self, words: Sequence[str], encode: Callable[[str], Sequence[int]]
    ) -> tuple[tuple[int, ...], ...]:
        """The model's own, and each given word as it stands at the start and within a text."""
        own = self.values.get("bad_words_ids")
        found = [tuple(word) for word in own if word] if isinstance(own, list) else []
        for word in words:
            found += [tuple(encode(form)) for form in (word, f" {word}")]
        return tuple(dict.fromkeys(word for word in found if word))
