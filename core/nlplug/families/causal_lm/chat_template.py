"""Chats as prompts, by the Jinja template that a model brings; it runs in Jinja's sandbox."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from nlplug.errors import BundleError, InputError
from nlplug.extras import require
from nlplug.models.bundle import Bundle

# Ends in a space, so that a template that trims what the messages hold can be told.
_MARK = "CONTINUE_FINAL_MESSAGE_TAG "


class ChatTemplate:
    """A template, compiled; renders as ``apply_chat_template`` in transformers does.

    Args:
        source: The template.
        special_tokens: Names and texts that it may write, such as ``bos_token``.

    Raises:
        MissingExtra: Jinja is not installed.
        BundleError: The template is no template.
    """

    def __init__(self, source: str, special_tokens: Mapping[str, str]) -> None:
        require("jinja2", "chat", purpose="A chat template")
        from jinja2 import TemplateError

        self._special = dict(special_tokens)
        try:
            self._template = _environment().from_string(source)
        except TemplateError as error:
            raise BundleError(
                f"The model's chat template cannot be read: {error}.",
                hint="Correct chat_template in tokenizer_config.json, or give a plain text.",
            ) from error

    def render(self, messages: Sequence[Mapping[str, Any]], *, continue_final: bool = False) -> str:
        """The prompt that asks for the next message.

        Args:
            messages: Each with ``role`` and ``content``, at least one.
            continue_final: The last message is only begun: the text goes on with it.

        Raises:
            InputError: The template refuses the messages, or loses the one to go on with.
        """
        given = copy.deepcopy([dict(message) for message in messages])
        final = str(given[-1]["content"])
        if continue_final:
            given[-1]["content"] = final + _MARK
        try:
            text: str = self._template.render(
                messages=given,
                tools=None,
                documents=None,
                add_generation_prompt=not continue_final,
                **self._special,
            )
        except Exception as error:  # a template may do anything, and be wrong about it
            raise InputError(
                f"The model's chat template does not take these messages: {error}",
                hint="Most take an optional system message, then user and assistant in turn.",
            ) from error
        return _until_mark(text, final) if continue_final else text


def chat_template_of(bundle: Bundle) -> ChatTemplate | None:
    """The chat template of a bundle; None where it has none.

    Raises:
        MissingExtra: Jinja is not installed.
        BundleError: The template is no template.
    """
    source = bundle.repository.chat_template
    if source is None:
        return None
    tokens = bundle.repository.special_tokens.items()
    return ChatTemplate(source, {f"{role}_token": text for role, text in tokens})


def _until_mark(text: str, final: str) -> str:
    """What stands before the mark; where its space was trimmed, so were those before it."""
    place = text.rfind(_MARK.strip())
    if place < 0 or final.strip() not in text:
        raise InputError(
            "The model's chat template changes the last message, so it cannot be continued.",
            hint="End with a message of the user, or set continue_final_message to false.",
        )
    kept = text[:place]
    return kept if text.startswith(_MARK, place) else kept.rstrip()


def _environment() -> Any:
    """What templates on the Hub are written for: the helpers that transformers gives them."""
    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.parser import Parser
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """``{% generation %}`` marks what the assistant says; that is of use in training only."""

        end = "endgeneration"
        tags = {end.removeprefix("end")}  # noqa: RUF012 - as Jinja declares it

        def parse(self, parser: Parser) -> nodes.Node:
            scope = nodes.Scope(lineno=next(parser.stream).lineno)
            scope.body = parser.parse_statements((f"name:{self.end}",), drop_needle=True)
            return scope

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    def tojson(
        value: Any,
        ensure_ascii: bool = False,
        indent: int | None = None,
        separators: tuple[str, str] | None = None,
        sort_keys: bool = False,
    ) -> str:  # Jinja's own escapes HTML
        return json.dumps(
            value,
            ensure_ascii=ensure_ascii,
            indent=indent,
            separators=separators,
            sort_keys=sort_keys,
        )

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment
