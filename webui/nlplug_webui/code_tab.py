"""The tab with code: for the text, the options and the model of the page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from nlplug.server.pool import AUTO, ModelPool
from nlplug.task import Task
from nlplug_webui import snippets
from nlplug_webui.events import AS_SENT, AT_ONCE
from nlplug_webui.fields import Control, for_model, input_values, option_values
from nlplug_webui.forms import Translate
from nlplug_webui.messages import error_html
from nlplug_webui.texts import language_of

_ORIGIN = re.compile(r"https?://[^\s\"'<>\\]+")


class CodeTab:
    """Shows the code of the call on the page; the script of the page asks for it when it is open.

    Args:
        task: The task.
        pool: The models.
        translate: Returns the key of a text, which the browser translates.
    """

    def __init__(self, task: Task, pool: ModelPool, translate: Translate) -> None:
        self._task = task
        self._pool = pool
        self._translate = translate

    def layout(self) -> None:
        """Build the tab inside the open Blocks."""
        self._shown = gr.HTML(
            self._translate(f"{self._task.name}:code"), elem_classes="np-code", elem_id="code"
        )
        self._origin = gr.Textbox(visible=False)
        self._write = gr.Button(elem_id="np-write-code", elem_classes="np-script-only")

    def wire(
        self, chosen: Sequence[Any], inputs: Sequence[Control], options: Sequence[Control]
    ) -> None:
        """Wire the event.

        Args:
            chosen: Components of model and precision, the state with the model's options, and the
                components of inputs and options.
            inputs, options: The controls.
        """
        self._inputs = inputs
        self._options = options
        self._write.click(
            self._written,
            [self._origin, *chosen],
            self._shown,
            js="(...call) => nplug.coded(call)",
            trigger_mode="always_last",
            **AT_ONCE,
            **AS_SENT,
        )

    def _written(
        self,
        request: gr.Request,
        origin: str,
        model: str | None,
        precision: str,
        synced: Mapping[str, Any],
        *values: Any,
    ) -> str:
        language = language_of(request)
        count = len(self._inputs)
        try:
            item = input_values(self._inputs, values[:count])
            options = option_values(for_model(self._options, synced), values[count:])
        except Exception as error:
            return error_html(error, language)
        example = snippets.example(self._task)
        default = self._task.default_model
        call = snippets.ExampleCall(
            task=self._task,
            # Until a text is entered, the text of the first example.
            item=item if any(str(value).strip() for value in item.values()) else example.item,
            options=options,
            model=None if model in (None, "", default) else model,
            precision=precision or AUTO,
            origin=origin if _ORIGIN.fullmatch(origin or "") else example.origin,
            served=self._served(model),
        )
        return snippets.html(call, language)

    def _served(self, model: str | None) -> str | None:
        """The name under ``/models/`` of a model, or None."""
        if not model or model == self._task.default_model:
            return self._task.name
        if model == AUTO:
            return f"{self._task.name}-{AUTO}"
        names = {spec.name for spec in self._pool.packaged(self._task.name)}
        return model if model in names else None
