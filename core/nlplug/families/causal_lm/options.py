"""What the tasks that continue a text or a chat take and give."""

from __future__ import annotations

import json
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
from typing_extensions import TypedDict

from nlplug.families.decoding_options import TextDecodingOptions
from nlplug.runtime.decoding.options import DoSample, Temperature
from nlplug.task import TaskInput


@with_config(ConfigDict(extra="allow"))
class Message(TypedDict):
    """One message of a chat.

    The role is mostly ``system``, ``user``, ``assistant`` or ``tool``. The content is a text, a
    list of parts such as ``{"type": "text", "text": "Hello"}``, or None beside ``tool_calls``.
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
        return json.loads(value)
    if isinstance(value, list):
        return [json.loads(item) if isinstance(item, str) else item for item in value]
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
        description="The text to continue; or a chat, as a list of messages with role and "
        "content, for models that have a chat template.",
        json_schema_extra={
            "zh": {
                "title": "提示",
                "description": "要续写的文本；对带有对话模板的模型，也可以是由 role 和 content "
                "组成的消息列表。",
            }
        },
    )


class CausalOptions(TextDecodingOptions):
    """How the text is generated, and what is returned."""

    do_sample: DoSample = True
    temperature: Temperature = 0.7
    return_full_text: bool = Field(
        default=True,
        title="Return the full text",
        description="Return the prompt with the new text. Off: the new text only.",
        json_schema_extra={
            "advanced": True,
            "zh": {"title": "返回全文", "description": "结果以提示开头；关闭则只返回新文本。"},
        },
    )
    truncation: Literal["error", "left"] = Field(
        default="error",
        title="Prompts that are too long",
        description="For a prompt longer than the model's context: an error, or left, which cuts "
        "off its beginning to make room for max_new_tokens in up to half of the context.",
        json_schema_extra={
            "advanced": True,
            "zh": {
                "title": "超长提示",
                "description": "提示超出模型上下文时：error 报错；left 舍去开头，"
                "在至多一半的上下文内为新文本留出空间。",
            },
        },
    )
    continue_final_message: bool | None = Field(
        default=None,
        title="Continue the last message",
        description="In a chat: continue the last message instead of answering it. Empty: only if "
        "it is the assistant's.",
        json_schema_extra={
            "advanced": True,
            "zh": {
                "title": "续写最后一条消息",
                "description": "对话中续写最后一条消息而不是回复它；默认仅当它来自助手时如此。",
            },
        },
    )
    tools: Annotated[list[dict[str, Any]] | None, BeforeValidator(_from_json)] = Field(
        default=None,
        title="Tools",
        description="In a chat: the tools that the model may call, as a list of JSON schemas.",
        json_schema_extra={
            "advanced": True,
            "zh": {
                "title": "工具",
                "description": "对话中模型可以调用的工具：JSON Schema 的列表。",
            },
        },
    )
    chat_template_kwargs: Annotated[dict[str, Any] | None, BeforeValidator(_from_json)] = Field(
        default=None,
        title="Chat template variables",
        description="In a chat: other variables of the chat template, as a JSON object.",
        json_schema_extra={
            "advanced": True,
            "zh": {"title": "对话模板变量", "description": "对话模板的其他变量：JSON 对象。"},
        },
    )
    details: bool = Field(
        default=False,
        title="Details",
        description="Also return each new token with its log-probability, and why the text ended.",
        json_schema_extra={
            "advanced": True,
            "whole": True,
            "zh": {
                "title": "详细信息",
                "description": "同时返回每个新词元及其对数概率，以及结束原因。",
            },
        },
    )


class TokenDetails(TypedDict):
    """One new token; ``logprob`` is as the model gives it, and None for beams."""

    id: int
    text: str
    logprob: float | None
    special: bool


class Details(TypedDict):
    """How a text came about."""

    finish_reason: Literal["length", "eos_token", "stop_sequence"]
    generated_tokens: int
    seed: int | None
    prefill: list[Any]
    tokens: list[TokenDetails]


class GeneratedText(TypedDict):
    """One text; of a chat, its messages with the new one."""

    generated_text: str | list[Message]
    details: NotRequired[Details]


def is_chat(value: Any) -> bool:
    """Whether a value is a list of messages, and not of inputs."""
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str | bytes)
        and len(value) > 0
        and all(isinstance(item, Mapping) and "role" in item for item in value)
    )
