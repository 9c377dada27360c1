"""Options of text generation: those of a call, and the defaults that a model brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from nlplug.errors import OptionError
from nlplug.models.bundle import Bundle
from nlplug.models.writer import read_object
from nlplug.runtime.decoding.options import Allowed, DecodingOptions
from nlplug.task import TaskOptions, chinese

GENERATION_CONFIG_FILE = "generation_config.json"

_EARLY: dict[str, bool | Literal["never"]] = {"false": False, "true": True, "never": "never"}
EarlyStopping = Annotated[
    Literal["false", "true", "never"],
    BeforeValidator(lambda value: str(value).lower() if isinstance(value, bool) else value),
]


MaxNewTokens = Annotated[
    int,
    Field(
        ge=1,
        le=4096,
        title="Maximum number of new tokens",
        description="Maximum number of new tokens.",
        json_schema_extra=chinese("最多新词元数", "新生成词元的最大数量。"),
    ),
]
DoSample = Annotated[
    bool,
    Field(
        title="Sample",
        description="Sample tokens instead of taking the most likely one. Beam search does not "
        "sample.",
        json_schema_extra=chinese("随机采样", "随机采样词元，而不总取最可能的。束搜索不采样。"),
    ),
]
Temperature = Annotated[
    float,
    Field(
        gt=0,
        le=5,
        title="Temperature",
        description="When sampling: values below 1 favor likely tokens, values above 1 give more "
        "varied text.",
        json_schema_extra=chinese("温度", "采样时：小于 1 偏向最可能的词元，大于 1 结果更多样。"),
    ),
]


class TextDecodingOptions(TaskOptions):
    """Options of text generation. Names and defaults are those of transformers, except the length.

    Raises:
        OptionError: Options that cannot be combined.
    """

    max_new_tokens: MaxNewTokens = 256
    do_sample: DoSample = False
    temperature: Temperature = 1.0
    top_k: int = Field(
        default=50,
        ge=0,
        le=1000,
        title="Top-k",
        description="When sampling: number of most likely tokens to sample from. 0: all.",
        json_schema_extra=chinese("Top-k", "采样时只考虑最可能的若干词元；0 表示全部。"),
    )
    top_p: float = Field(
        default=1.0,
        gt=0,
        le=1,
        title="Top-p",
        description="When sampling: sample from the smallest set of most likely tokens whose "
        "probabilities add up to this value.",
        json_schema_extra=chinese("Top-p", "采样时只考虑累计概率达到该值的最可能的词元。"),
    )
    min_p: float = Field(
        default=0.0,
        ge=0,
        le=1,
        title="Min-p",
        description="When sampling: leave out tokens whose probability is below this fraction of "
        "the highest probability.",
        json_schema_extra=chinese(
            "Min-p", "采样时舍弃概率低于最高概率该倍数的词元。", advanced=True
        ),
    )
    typical_p: float = Field(
        default=1.0,
        gt=0,
        le=1,
        title="Typical-p",
        description="When sampling: sample from the tokens whose information content is closest "
        "to the expected one, up to this total probability.",
        json_schema_extra=chinese(
            "Typical-p", "采样时只考虑信息量最接近预期的词元，累计概率达到该值为止。", advanced=True
        ),
    )
    seed: int | None = Field(
        default=None,
        ge=0,
        title="Random seed",
        description="When sampling: the same seed gives the same text. Empty: a random seed.",
        json_schema_extra=chinese(
            "随机种子", "采样时：相同的种子得到相同的文本。留空：随机种子。", advanced=True
        ),
    )
    num_beams: int = Field(
        default=1,
        ge=1,
        le=32,
        title="Number of beams",
        description="Number of candidate texts that beam search keeps. 1: no beam search.",
        json_schema_extra=chinese(
            "束宽", "束搜索保留的候选文本数；1 表示不用束搜索。", advanced=True
        ),
    )
    num_return_sequences: int = Field(
        default=1,
        ge=1,
        le=32,
        title="Number of texts",
        description="Number of texts to return: independent samples, or the best beams.",
        json_schema_extra=chinese(
            "返回数量", "返回的文本数：独立采样的文本，或最好的几条束。", advanced=True
        ),
    )
    length_penalty: float = Field(
        default=1.0,
        ge=-10,
        le=10,
        title="Length penalty",
        description="With beam search: values above 0 favor long texts, values below 0 short ones.",
        json_schema_extra=chinese(
            "长度惩罚", "束搜索时：大于 0 偏向长文本，小于 0 偏向短文本。", advanced=True
        ),
    )
    early_stopping: EarlyStopping = Field(
        default="false",
        title="Early stopping",
        description="When beam search stops: true: at num_beams finished texts; false: when a "
        "better text is unlikely; never: when a better text is impossible.",
        json_schema_extra=chinese(
            "提前停止",
            "束搜索何时停止：true 为已有 num_beams 条完整文本时，false 为不大可能有更好的文本时，"
            "never 为不可能有更好的文本时。",
            advanced=True,
        ),
    )
    min_new_tokens: int = Field(
        default=0,
        ge=0,
        le=4096,
        title="Minimum number of new tokens",
        description="Minimum number of new tokens.",
        json_schema_extra=chinese("最少新词元数", "新生成词元的最小数量。", advanced=True),
    )
    stop: list[str] = Field(
        default=[],
        max_length=16,
        title="Stop texts",
        description="Texts at which generation stops. They are not part of the answer.",
        json_schema_extra=chinese(
            "停止文本", "遇到这些文本即停止；它们不包含在结果中。", advanced=True
        ),
    )
    bad_words: list[str] = Field(
        default=[],
        max_length=1000,
        title="Banned words",
        description="Words that are never generated.",
        json_schema_extra=chinese("禁用词", "不会生成的词。", advanced=True),
    )
    repetition_penalty: float = Field(
        default=1.0,
        gt=0,
        le=5,
        title="Repetition penalty",
        description="Values above 1 make tokens that already occur in the text less likely.",
        json_schema_extra=chinese("重复惩罚", "大于 1 时降低文本中已有词元的概率。", advanced=True),
    )
    frequency_penalty: float = Field(
        default=0.0,
        ge=-2,
        le=2,
        title="Frequency penalty",
        description="Values above 0 make a new token less likely each time it occurs.",
        json_schema_extra=chinese(
            "频率惩罚", "大于 0 时，新词元每出现一次，其概率就降低一些。", advanced=True
        ),
    )
    presence_penalty: float = Field(
        default=0.0,
        ge=-2,
        le=2,
        title="Presence penalty",
        description="Values above 0 make a new token less likely once it has occurred.",
        json_schema_extra=chinese(
            "出现惩罚", "大于 0 时，新词元只要出现过，其概率就降低。", advanced=True
        ),
    )
    no_repeat_ngram_size: int = Field(
        default=0,
        ge=0,
        le=100,
        title="No repeated n-grams",
        description="Length of token sequences that may not occur twice. 0: no limit.",
        json_schema_extra=chinese(
            "禁止重复的 n 元组", "不允许出现两次的词元序列的长度；0 表示不限制。", advanced=True
        ),
    )
    prefix_allowed_tokens_fn: SkipJsonSchema[Allowed | None] = Field(
        default=None,
        title="Allowed next tokens",
        description="A function that returns the ids of the allowed next tokens. Its arguments "
        "are the index of the input in the call, and an array with the ids of the prompt and of "
        "the tokens generated so far. Several threads may call it at the same time.",
        json_schema_extra=chinese(
            "允许的下一个词元",
            "返回允许的下一个词元编号的函数。参数为输入在调用中的序号，以及提示和已生成词元的编号"
            "数组。可能被多个线程同时调用。",
            advanced=True,
        ),
    )

    @field_validator("stop", "bad_words")
    @classmethod
    def _no_empty_texts(cls, texts: list[str]) -> list[str]:
        if "" in texts:
            raise ValueError("An empty text is not allowed")
        return texts

    @model_validator(mode="after")
    def _can_be_combined(self) -> Self:
        if self.stop and self.num_beams > 1:
            raise OptionError(
                f"stop cannot be combined with beam search (num_beams={self.num_beams}).",
                hint="Leave out stop, or set num_beams to 1.",
            )
        _shared(self)
        return self


def _shared(options: TextDecodingOptions) -> DecodingOptions:
    """The part of the options that needs no tokenizer.

    Raises:
        OptionError: Options that cannot be combined.
    """
    sample = options.do_sample
    if options.num_beams > 1 and "do_sample" not in options.model_fields_set:
        sample = False  # beam search was requested, sampling was not
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
    """The generation settings of a model: ``generation_config.json``, else its ``config.json``.

    Attributes:
        values: Names and values as transformers writes them, without null values.
    """

    values: Mapping[str, Any]

    @classmethod
    def of(cls, bundle: Bundle) -> GenerationConfig:
        """The settings of a bundle.

        Raises:
            BundleCorrupt: The file is not a JSON object.
        """
        path = bundle.path / GENERATION_CONFIG_FILE
        found = read_object(path) if path.is_file() else bundle.config
        return cls({name: value for name, value in found.items() if value is not None})

    def tokens(self, name: str) -> tuple[int, ...]:
        """The token ids of an entry such as ``eos_token_id``; empty if the entry is missing."""
        value = self.values.get(name)
        values = value if isinstance(value, list) else [value]
        return tuple(token for token in values if type(token) is int)

    def token(self, name: str) -> int | None:
        """The first token id of an entry; None if there is none."""
        return next(iter(self.tokens(name)), None)

    def default_options(self, options: type[TextDecodingOptions]) -> dict[str, Any]:
        """The options for which the model sets another default; invalid values are ignored."""
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
        """The decoding options of a call, with the special tokens of the model.

        Args:
            options: The options of the call, with the model's defaults filled in.
            encode: Returns the token ids of a text, without special tokens.
            **more: Further fields of `DecodingOptions`.

        Raises:
            OptionError: Options that cannot be combined.
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
        """The model's banned words, and each given word with and without a leading space."""
        own = self.values.get("bad_words_ids")
        found = [tuple(word) for word in own if word] if isinstance(own, list) else []
        for word in words:
            found += [tuple(encode(form)) for form in (word, f" {word}")]
        return tuple(dict.fromkeys(word for word in found if word))
