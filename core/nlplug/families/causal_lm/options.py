"""Inputs, options and answers of tasks that continue a text or answer a chat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NotRequired

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    with_config,
)
from pydantic.json_schema import SkipJsonSchema
from typing_extensions import TypedDict

from nlplug.families.decoding_options import TextDecodingOptions
from nlplug.families.text_ends import TextEnd
from nlplug.json_text import parse_json
from nlplug.runtime.decoding.settings import DoSample, Temperature
from nlplug.task import TaskInput, chinese


@with_config(ConfigDict(extra="allow"))
class Message(TypedDict):
    """One message of a chat.

    The role is mostly ``system``, ``user``, ``assistant`` or ``tool``. The content is a text, a
    list of parts such as ``{"type": "text", "text": "Hello"}``, or None with ``tool_calls``.
    Other keys are passed to the chat template.
    """

    role: str
    content: str | list[dict[str, Any]] | None


def _with_content(message: Any) -> Any:
    """A message with tool calls may lack its content."""
    calls = isinstance(message, Mapping) and "tool_calls" in message
    return {"content": None, **message} if calls else message


def _from_json(value: Any) -> Any:
    """JSON texts, as a command line and a form give them, as values."""
    if isinstance(value, str):
        return parse_json(value, unique_keys=True)
    if isinstance(value, list):
        return [
            parse_json(item, unique_keys=True) if isinstance(item, str) else item for item in value
        ]
    return value


def _kind(value: Any) -> str:
    return "messages" if isinstance(value, list | tuple) else "text"


class CausalInput(TaskInput):
    """A prompt, or a chat."""

    text: Annotated[
        Annotated[str, Tag("text")]
        | Annotated[
            list[Annotated[Message, BeforeValidator(_with_content)]],
            Tag("messages"),
            Field(min_length=1),
        ],
        Discriminator(_kind),
    ] = Field(
        title="Prompt",
        description="The text to continue. Models with a chat template also accept a chat: a list "
        "of messages with role and content.",
        json_schema_extra=chinese(
            "提示",
            "要续写的文本；对带有对话模板的模型，也可以是由 role 和 content 组成的消息列表。",
            columns=["messages"],
        ),
    )


class CausalOptions(TextDecodingOptions):
    """Options of decoding, and of the form of the answer."""

    do_sample: DoSample = True
    temperature: Temperature = 0.7
    return_full_text: bool = Field(
        default=True,
        title="Return the full text",
        description="Include the prompt in the answer. Off: return only the new text.",
        json_schema_extra=chinese("返回全文", "结果包含提示；关闭则只返回新文本。", advanced=True),
    )
    truncation: Literal["error", "left"] = Field(
        default="error",
        title="Prompts that are too long",
        description="What to do with a prompt longer than the model's context. error: raise an "
        "error; left: remove its beginning, so that max_new_tokens fit, in at most half of the "
        "context.",
        json_schema_extra=chinese(
            "超长提示",
            "提示超出模型上下文时：error 报错；left 舍去开头，在至多一半的上下文内"
            "为 max_new_tokens 留出空间。",
            advanced=True,
        ),
    )
    continue_final_message: bool | None = Field(
        default=None,
        title="Continue the last message",
        description="In a chat: continue the last message instead of answering it. Empty: only if "
        "it is the assistant's.",
        json_schema_extra=chinese(
            "续写最后一条消息",
            "对话中续写最后一条消息而不是回复它。留空：仅当它来自助手时。",
            advanced=True,
        ),
    )
    tools: Annotated[list[dict[str, Any]] | None, BeforeValidator(_from_json)] = Field(
        default=None,
        title="Tools",
        description="In a chat: the tools that the model may call, as a list of JSON schemas.",
        json_schema_extra=chinese(
            "工具", "对话中模型可以调用的工具：JSON Schema 的列表。", advanced=True
        ),
    )
    chat_template_kwargs: Annotated[dict[str, Any] | None, BeforeValidator(_from_json)] = Field(
        default=None,
        title="Chat template variables",
        description="In a chat: further variables of the chat template, as a JSON object.",
        json_schema_extra=chinese("对话模板变量", "对话模板的其他变量：JSON 对象。", advanced=True),
    )
    max_length: SkipJsonSchema[int | None] = Field(
        default=None,
        ge=1,
        le=1_000_000,
        title="Maximum length",
        description="Maximum number of tokens of prompt and new text together; if given, "
        "max_new_tokens is not used.",
        json_schema_extra=chinese(
            "最大长度",
            "提示与新文本的词元总数上限；给出后不使用 max_new_tokens。",
            advanced=True,
            by_name=True,
        ),
    )
    min_length: SkipJsonSchema[int | None] = Field(
        default=None,
        ge=0,
        le=1_000_000,
        title="Minimum length",
        description="Minimum number of tokens of prompt and new text together.",
        json_schema_extra=chinese(
            "最小长度", "提示与新文本的词元总数下限。", advanced=True, by_name=True
        ),
    )
    prefix: SkipJsonSchema[str] = Field(
        default="",
        title="Prefix",
        description="A text that the model reads before the prompt and that is not returned; "
        "not used for chats.",
        json_schema_extra=chinese(
            "前缀", "模型在提示之前读到、但不返回的文本；对话不使用。", advanced=True, by_name=True
        ),
    )
    skip_special_tokens: SkipJsonSchema[bool] = Field(
        default=True,
        title="Leave out special tokens",
        description="Leave special tokens out of the new text.",
        json_schema_extra=chinese(
            "省略特殊词元", "新文本中不包含特殊词元。", advanced=True, by_name=True
        ),
    )
    add_special_tokens: SkipJsonSchema[bool] = Field(
        default=True,
        title="Add special tokens",
        description="Add the special tokens of the model before a prompt; chats have their own.",
        json_schema_extra=chinese(
            "添加特殊词元",
            "在提示之前加上模型的特殊词元；对话使用自己的。",
            advanced=True,
            by_name=True,
        ),
    )
    prompt_length: SkipJsonSchema[int | None] = Field(
        default=None,
        ge=1,
        title="Prompt length",
        description="Number of tokens of the prompt that the model reads, special tokens included. "
        "The end of a longer prompt is not read, or with truncation=left its beginning. Empty: all "
        "tokens.",
        json_schema_extra=chinese(
            "提示长度",
            "模型读取的提示词元数（含特殊词元）；更长的提示不读其末尾，"
            "truncation=left 时不读其开头。留空：全部。",
            advanced=True,
            by_name=True,
        ),
    )
    details: bool = Field(
        default=False,
        title="Details",
        description="Also return each new token with its log-probability, and the reason why "
        "generation stopped.",
        json_schema_extra=chinese(
            "详细信息",
            "同时返回每个新词元及其对数概率，以及停止的原因。",
            advanced=True,
            whole=True,
        ),
    )


class TokenDetails(TypedDict):
    """One new token; ``logprob`` is the model's log-probability, None with beam search."""

    id: int
    text: str
    logprob: float | None
    special: bool


class Details(TextEnd):
    """How a text was generated."""

    prefill: list[Any]
    tokens: list[TokenDetails]


class GeneratedText(TypedDict):
    """One text; for a chat, its messages including the new one."""

    generated_text: str | list[Message]
    details: NotRequired[Details]


class GeneratedTokens(TypedDict):
    """With ``return_tensors``: the ids of the tokens of the prompt and of the new text."""

    generated_token_ids: list[int]
    details: NotRequired[Details]


def is_chat(value: Any) -> bool:
    """Whether a value is a list of messages, not a list of inputs."""
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str | bytes)
        and len(value) > 0
        and all(isinstance(item, Mapping) and "role" in item for item in value)
    )
