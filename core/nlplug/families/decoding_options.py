"""The decoding options of the tasks that generate text, and what a model's files say of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from nlplug.argument_rules import is_number, shown
from nlplug.errors import BundleError, OptionError
from nlplug.language_guard import LanguageOptions
from nlplug.models.bundle import Bundle
from nlplug.runtime.decoding.options import Allowed, DecodingOptions
from nlplug.runtime.decoding.settings import DecodingSettings
from nlplug.runtime.tokenizer import Tokenizer
from nlplug.task import chinese

Texts = Annotated[
    list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)
]
"""A list of texts; a single one is accepted too."""

Tokens = Annotated[
    list[Annotated[int, Field(ge=0)]] | None,
    BeforeValidator(lambda value: [value] if is_number(value) else value),
]
"""A list of token ids; a single one is accepted too; None: those of the model."""

_TOKENS = (
    "eos_token_id",
    "suppress_tokens",
    "begin_suppress_tokens",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "bad_words_ids",
    "decoder_start_token_id",
)
"""Options that replace the special tokens of a model's generation settings."""


def tokens_instead(title: str, what: str, chinese_title: str, chinese_what: str) -> Any:
    """An option that replaces tokens of the model's own settings."""
    return Field(
        default=None,
        title=title,
        description=f"{what} None: those of the model.",
        json_schema_extra=chinese(
            chinese_title, f"{chinese_what}None：使用模型自己的设置。", advanced=True, by_name=True
        ),
    )


class TextDecodingOptions(LanguageOptions, DecodingSettings):
    """`DecodingSettings`, and the options that are given as text.

    Raises:
        OptionError: Two options contradict each other.
    """

    stop: Texts = Field(
        default=[],
        max_length=16,
        title="Stop texts",
        description="Texts that end the generated text; they are not part of it. A special token "
        "such as <|im_end|> is matched too.",
        json_schema_extra=chinese(
            "停止文本",
            "遇到这些文本即结束；它们不包含在结果中。也可以是 <|im_end|> 等特殊词元。",
            advanced=True,
        ),
    )
    bad_words: Texts = Field(
        default=[],
        max_length=1000,
        title="Banned words",
        description="Words that are never generated.",
        json_schema_extra=chinese("禁用词", "不会生成的词。", advanced=True),
    )
    prefix_allowed_tokens_fn: SkipJsonSchema[Allowed | None] = Field(
        default=None,
        title="Prefix constraint",
        description="A function from the number of an input in its call, and an array with the "
        "ids of the prompt and of the text so far, to the ids of the tokens that may follow. It "
        "may be called from several threads.",
        json_schema_extra=chinese(
            "前缀约束",
            "函数：由输入的序号和至今的词元编号，给出允许的下一个词元的编号。",
            advanced=True,
        ),
    )

    stop_strings: SkipJsonSchema[Texts] = Field(
        default=[],
        max_length=16,
        title="Stop strings",
        description="As in transformers: texts that end the generated text and stay in it, with "
        "the rest of their last token.",
        json_schema_extra=chinese(
            "停止字符串",
            "与 transformers 相同：遇到即结束，并保留在结果中。",
            advanced=True,
            by_name=True,
        ),
    )
    eos_token_id: SkipJsonSchema[Tokens] = tokens_instead(
        "End tokens", "Tokens that end the text.", "结束词元", "使文本结束的词元。"
    )
    suppress_tokens: SkipJsonSchema[Tokens] = tokens_instead(
        "Suppressed tokens", "Tokens that are never generated.", "禁用词元", "不会生成的词元。"
    )
    begin_suppress_tokens: SkipJsonSchema[Tokens] = tokens_instead(
        "Tokens suppressed at the start",
        "Tokens that are not generated as the first one.",
        "开头禁用词元",
        "不会作为第一个词元生成的词元。",
    )
    forced_bos_token_id: SkipJsonSchema[Tokens] = tokens_instead(
        "First token",
        "The token that follows the start token of an encoder-decoder model.",
        "首词元",
        "编码器-解码器模型起始词元之后的词元。",
    )
    forced_eos_token_id: SkipJsonSchema[Tokens] = tokens_instead(
        "Last token",
        "The last token of a text that reaches max_new_tokens.",
        "末词元",
        "文本达到 max_new_tokens 时的最后一个词元。",
    )

    bad_words_ids: SkipJsonSchema[list[list[Annotated[int, Field(ge=0)]]] | None] = tokens_instead(
        "Banned sequences",
        "Sequences of tokens that are never generated.",
        "禁用词元序列",
        "不会生成的词元序列。",
    )

    return_tensors: SkipJsonSchema[bool] = Field(
        default=False,
        title="Return token ids",
        description="Return the ids of the tokens instead of the text.",
        json_schema_extra=chinese(
            "返回词元编号", "返回词元的编号而不是文本。", advanced=True, by_name=True
        ),
    )

    @field_validator("stop", "stop_strings", "bad_words")
    @classmethod
    def _no_empty_texts(cls, texts: list[str]) -> list[str]:
        if "" in texts:
            raise ValueError("An empty text is not allowed")
        return texts

    @model_validator(mode="after")
    def _check_stop(self) -> Self:
        name = "stop" if self.stop else "stop_strings"
        if (self.stop or self.stop_strings) and self.num_beams > 1:
            raise OptionError(
                f"{name} cannot be combined with num_beams={self.num_beams}.",
                hint="Leave one of them out.",
            )
        return self


def refuse_token_ids(options: TextDecodingOptions) -> None:
    """Refuse token ids where a text is streamed.

    Raises:
        OptionError: ``return_tensors`` is set.
    """
    if options.return_tensors:
        raise OptionError(
            "return_tensors is True, but a stream consists of text.",
            hint="Leave it out, or call the pipeline.",
        )


_LAST_TOKEN = 2**31 - 1


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
            BundleCorrupt: The file cannot be read.
        """
        found = bundle.repository.generation
        return cls({name: value for name, value in found.items() if value is not None})

    def tokens(self, name: str) -> tuple[int, ...]:
        """The tokens of an entry such as ``eos_token_id``; empty if it is missing.

        Raises:
            BundleError: A number is larger than that of any token.
        """
        value = self.values.get(name)
        values = value if isinstance(value, list) else [value]
        found = tuple(token for token in values if type(token) is int)
        if found and max(found) > _LAST_TOKEN:
            raise BundleError(
                f"The generation settings have {name}={shown(value)}, which is not a token.",
                hint="Correct it in generation_config.json or config.json.",
            )
        return found

    def token(self, name: str) -> int | None:
        """The token of an entry; the first one of several; None if it is missing."""
        return next(iter(self.tokens(name)), None)

    def default_options(self, options: type[TextDecodingOptions], model: str) -> dict[str, Any]:
        """The values of options for which the model has a default of its own.

        Args:
            options: The options of the task.
            model: Name of the model for errors.

        Raises:
            BundleError: A value is of the wrong type or out of the bounds of its option.
        """
        values = dict(self.values)
        if "stop_strings" in values:
            values["stop"] = values["stop_strings"]
        found = {}
        for name in options.model_fields:
            if name not in values:
                continue
            try:
                options.model_validate({name: values[name]})
            except ValidationError as error:
                # Without a place it contradicts another option, which the call may give.
                faults = [fault["msg"] for fault in error.errors() if fault["loc"]]
                if faults:
                    raise BundleError(
                        f"The generation settings of {model!r} have {name}="
                        f"{shown(values[name])}: {faults[0]}.",
                        hint="Correct it in generation_config.json, or in config.json where there "
                        "is no such file.",
                    ) from None
            if name not in (*_TOKENS, "stop_strings"):
                found[name] = values[name]
        return found

    def decoding(
        self, options: TextDecodingOptions, tokenizer: Tokenizer, **more: Any
    ) -> DecodingOptions:
        """The options of a call with the special tokens of the model.

        Args:
            options: Those of the call.
            tokenizer: The tokenizer of the generated text.
            **more: Other fields of `DecodingOptions`.
        """
        given = options.model_dump(include=set(_TOKENS), exclude_none=True)
        config = GenerationConfig({**self.values, **given})
        tokens = {
            "do_sample": options.samples,
            "eos": config.tokens("eos_token_id"),
            "stop_sequences": _special_sequences(options.stop, tokenizer),
            "bad_words": config._bad_words(options.bad_words, tokenizer.ids),
            "suppress_tokens": config.tokens("suppress_tokens"),
            "begin_suppress_tokens": config.tokens("begin_suppress_tokens"),
            "forced_bos": config.token("forced_bos_token_id"),
            "forced_eos": config.token("forced_eos_token_id"),
            "allowed_tokens": options.prefix_allowed_tokens_fn,
        }
        return DecodingOptions.of(options, {**tokens, **more})

    def _bad_words(
        self, words: Sequence[str], encode: Callable[[str], Sequence[int]]
    ) -> tuple[tuple[int, ...], ...]:
        """Those of the model, and each given word at the start of a text and within it."""
        own = self.values.get("bad_words_ids")
        found = [tuple(word) for word in own if word] if isinstance(own, list) else []
        for word in words:
            found += [tuple(encode(form)) for form in (word, f" {word}")]
        return tuple(dict.fromkeys(word for word in found if word))


def _special_sequences(stop: Sequence[str], tokenizer: Tokenizer) -> tuple[tuple[int, ...], ...]:
    """The tokens of stop texts that contain special tokens, which decoded text does not show."""
    found = []
    for text in stop:
        ids = tuple(tokenizer.ids(text))
        if any(_is_special(token, text, tokenizer) for token in ids):
            found.append(ids)
    return tuple(found)


def _is_special(token: int, text: str, tokenizer: Tokenizer) -> bool:
    """Whether a token of a text is a special token that is written there."""
    written = tokenizer.added_tokens.get(token)
    return written is not None and written in text and not tokenizer.decode([token])
