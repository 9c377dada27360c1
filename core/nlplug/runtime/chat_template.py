"""Chats as prompts, by the Jinja template of a model."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from nlplug.errors import BundleError, InputError
from nlplug.extras import require
from nlplug.models.bundle import Bundle

# It ends in a space, which shows whether the template trims the messages.
_MARK = "CONTINUE_FINAL_MESSAGE_TAG "


class ChatTemplate:
    """A compiled template; it renders as ``apply_chat_template`` of transformers does.

    Args:
        source: The template.
        special_tokens: Names and texts that it may use, such as ``bos_token``.

    Raises:
        MissingExtra: Jinja is not installed.
        BundleError: The source is not a template.
    """

    def __init__(self, source: str, special_tokens: Mapping[str, str]) -> None:
        require("jinja2", "chat", purpose="A chat template")
        from jinja2 import TemplateError

        from nlplug.runtime.chat_sandbox import compile_template

        self._special = dict(special_tokens)
        try:
            self._template = compile_template(source)
        except TemplateError as error:
            raise BundleError(
                f"The model's chat template cannot be read: {error}.",
                hint="Correct chat_template in tokenizer_config.json, or give a plain text.",
            ) from error

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        continue_final: bool = False,
        opens: bool | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
        variables: Mapping[str, Any] | None = None,
    ) -> str:
        """The prompt for the next message.

        Args:
            messages: Each with ``role`` and ``content``, at least one. The content may be a text,
                a list of parts, or None, for example with ``tool_calls``.
            continue_final: Continue the last message instead of starting a new one.
            opens: Whether the beginning of a message of the assistant follows; None: unless the
                last message is continued.
            tools: The tools that the model may call, as JSON schemas.
            variables: Other variables of the template.

        Raises:
            InputError: The template refuses the messages, or drops the message to continue.
            BundleError: The template exceeds the limits of size and time.
        """
        from nlplug.runtime.chat_sandbox import TemplateLimitError, budget

        given = copy.deepcopy([dict(message) for message in messages])
        final = ""
        if continue_final:
            holder, key = _text_of(given[-1])
            final = holder[key]
            holder[key] += _MARK
        names: dict[str, Any] = {
            "documents": None,
            **self._special,
            **(variables or {}),
            "messages": given,
            "tools": None if tools is None else copy.deepcopy(list(tools)),
            "add_generation_prompt": not continue_final if opens is None else opens,
        }
        try:
            with budget():
                text: str = self._template.render(names)
        except TemplateLimitError as error:
            raise BundleError(
                f"The model's chat template was stopped: {error}.",
                hint="Give shorter messages, or use a model whose chat template is correct.",
            ) from error
        except Exception as error:  # a template may raise any error
            raise InputError(
                f"The model's chat template does not take these messages: {error}",
                hint="Most take an optional system message, then alternating messages of user "
                "and assistant.",
            ) from error
        return _until_mark(text, final) if continue_final else text


def append_text(message: Mapping[str, Any], text: str) -> dict[str, Any]:
    """A copy of a message with a text added to its content, or to the last part with text.

    Raises:
        InputError: The message has no text.
    """
    copied = copy.deepcopy(dict(message))
    holder, key = _text_of(copied)
    holder[key] += text
    return copied


def _text_of(message: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Where the text of a message is: the dict and the key that hold it.

    Raises:
        InputError: The message has no text.
    """
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    found = [(part, "text") for part in parts if isinstance(part.get("text"), str)]
    if isinstance(content, str):
        found = [(message, "content")]
    if not found:
        raise InputError(
            "The last message has no text, so it cannot be continued.",
            hint="End with a message of the user, or set continue_final_message to false.",
        )
    return found[-1]


def chat_template_of(bundle: Bundle, *, tools: bool = False) -> ChatTemplate | None:
    """The chat template of a bundle; None if it has none.

    Args:
        bundle: The model.
        tools: Prefer the template ``tool_use``, if the model has several.

    Raises:
        MissingExtra: Jinja is not installed.
        BundleError: The source is not a template.
    """
    source = bundle.repository.chat_template(tools=tools)
    if source is None:
        return None
    tokens = bundle.repository.special_tokens.items()
    return ChatTemplate(source, {f"{role}_token": text for role, text in tokens})


def _until_mark(text: str, final: str) -> str:
    """The text before the mark; if the space of the mark was trimmed, so is the end of the text."""
    place = text.rfind(_MARK.strip())
    if place < 0 or final.strip() not in text:
        raise InputError(
            "The model's chat template changes the last message, so it cannot be continued.",
            hint="End with a message of the user, or set continue_final_message to false.",
        )
    kept = text[:place]
    return kept if text.startswith(_MARK, place) else kept.rstrip()
