"""The page that every task gets: try it, run a file through it, use it from code."""

from __future__ import annotations

import time
from collections.abc import Mapping
from html import escape
from typing import Any

import gradio as gr

from nlplug.task import Example, Task
from nlplug_webui import snippets
from nlplug_webui.batch_tab import BatchTab
from nlplug_webui.fields import (
    Control,
    input_controls,
    input_values,
    option_controls,
    option_values,
)
from nlplug_webui.forms import Translate, component, localized_choices, text_keys
from nlplug_webui.hookspecs import PanelContext
from nlplug_webui.messages import error_html
from nlplug_webui.model_card import ModelCard
from nlplug_webui.models import AUTO, ModelPool
from nlplug_webui.render import answer_html, empty_html
from nlplug_webui.texts import LANGUAGES, language_of, say

_EXAMPLE_CHARACTERS = 88


def page_texts(task: Task) -> dict[str, Mapping[str, str]]:
    """The texts of a task's page by the keys that the page uses."""

    def batch_empty(language: str) -> str:
        return empty_html("▤", say("batch_empty", language), say("batch_empty_hint", language))

    return {
        **text_keys(f"{task.name}:input", input_controls(task)),
        **text_keys(f"{task.name}:option", option_controls(task)),
        f"{task.name}:code": {name: snippets.html(task, name) for name in LANGUAGES},
        f"{task.name}:empty": {name: _empty(name) for name in LANGUAGES},
        f"{task.name}:batch-empty": {name: batch_empty(name) for name in LANGUAGES},
    }


class TaskPage:
    """Lays out one task's page and wires its events.

    Args:
        task: The task.
        pool: The loaded models.
        blocks: The page.
        translate: Makes the keys that the browser translates.
    """

    def __init__(
        self, task: Task, pool: ModelPool, blocks: gr.Blocks, translate: Translate
    ) -> None:
        self.task = task
        self.pool = pool
        self._blocks = blocks
        self._translate = translate
        self._inputs = input_controls(task)
        self._options = option_controls(task)

    def build(self) -> None:
        """Build inside the Blocks that is open."""
        with gr.Row(elem_classes="np-columns", equal_height=False):
            with gr.Column(scale=8, min_width=320), gr.Tabs(elem_classes="np-tabs"):
                with gr.Tab(self._translate("try"), id="try", elem_id="tab-try"):
                    self._try_tab()
                with gr.Tab(self._translate("batch"), id="batch", elem_id="tab-batch"):
                    batch = BatchTab(self.task, self.pool, self._translate)
                    batch.layout()
                with gr.Tab(self._translate("code"), id="code", elem_id="tab-code"):
                    gr.HTML(self._translate(f"{self.task.name}:code"), elem_classes="np-code")
            with gr.Column(scale=5, min_width=300, elem_classes="np-side"):
                self._model = ModelCard(self.task, self.pool, self._blocks, self._translate)
                self._model.build()
                self._options_card()
        chosen = [self._model.name, self._model.precision]
        self._wire(chosen)
        batch.wire([*chosen, *self._option_parts], self._options)

    def _try_tab(self) -> None:
        with gr.Column(elem_classes="np-card", elem_id="try-card"):
            prefix = f"{self.task.name}:input"
            parts = {
                c.name: component(c, prefix, self._translate)
                for c in self._inputs
                if not c.advanced
            }
            folded = [c for c in self._inputs if c.advanced]
            if folded:
                with gr.Accordion(self._translate("more_fields"), open=False):
                    parts |= {c.name: component(c, prefix, self._translate) for c in folded}
            self._input_parts = [parts[control.name] for control in self._inputs]
            with gr.Row(elem_classes="np-buttons"):
                self._clear = gr.Button(self._translate("clear"), elem_id="clear", min_width=90)
                self._run = gr.Button(
                    self._translate("run"), variant="primary", elem_id="run", min_width=120
                )
            self._examples = self._example_chips()
        with gr.Column(elem_classes="np-card np-result-card"):
            self._result = gr.HTML(
                self._translate(f"{self.task.name}:empty"),
                elem_id="result",
                elem_classes="np-result",
            )

    def _example_chips(self) -> gr.Dataset | None:
        if not self.task.examples:
            return None
        chips = [_chip(example) for example in self.task.examples]
        return gr.Dataset(
            components=["textbox"],
            samples=[[chip] for chip in chips],
            sample_labels=chips,
            type="index",
            layout="gallery",
            label=self._translate("examples"),
            elem_id="examples",
            samples_per_page=12,
        )

    def _options_card(self) -> None:
        self._option_parts: list[Any] = []
        if not self._options:
            return
        prefix = f"{self.task.name}:option"
        parts: dict[str, Any] = {}
        with gr.Column(elem_classes="np-card", elem_id="options"):
            gr.HTML(self._translate("options"), elem_classes="np-card-title")
            for control in (c for c in self._options if not c.advanced):
                parts[control.name] = component(control, prefix, self._translate)
            folded = [c for c in self._options if c.advanced]
            if folded:
                with gr.Accordion(self._translate("more_options"), open=False):
                    for control in folded:
                        parts[control.name] = component(control, prefix, self._translate)
        self._option_parts = [parts[control.name] for control in self._options]

    def _wire(self, chosen: list[Any]) -> None:
        run: dict[str, Any] = {
            "fn": self._answer,
            "inputs": [*chosen, *self._input_parts, *self._option_parts],
            "outputs": self._result,
            "api_visibility": "private",
            "concurrency_limit": 4,
            "show_progress": "minimal",
        }
        self._run.click(**run)
        for part in self._input_parts:
            if isinstance(part, gr.Textbox):
                part.submit(**run)
        forms = [*self._input_parts, *self._option_parts]
        if self._examples is not None:
            self._examples.click(
                self._load_example,
                self._examples,
                forms,
                api_visibility="private",
                show_progress="hidden",
            ).then(**run)
        self._clear.click(
            self._cleared,
            None,
            [*self._input_parts, self._result],
            api_visibility="private",
            show_progress="hidden",
        )
        named = [
            (control, part)
            for control, part in zip([*self._inputs, *self._options], forms, strict=True)
            if control.choices
        ]
        if named:
            self._localize_choices(*zip(*named, strict=True))

    def _localize_choices(self, controls: tuple[Control, ...], parts: tuple[Any, ...]) -> None:
        def localize(request: gr.Request) -> Any:
            updates = localized_choices(controls, language_of(request))
            return updates if len(updates) > 1 else updates[0]

        self._blocks.load(
            localize,
            None,
            list(parts),
            api_visibility="private",
            show_progress="hidden",
        )

    def _answer(self, request: gr.Request, model: str, precision: str, *values: Any) -> str:
        language = language_of(request)
        count = len(self._inputs)
        try:
            item = input_values(self._inputs, values[:count])
            options = option_values(self._options, values[count:])
            with self.pool.lease(self.task, model, precision or AUTO) as lease:
                started = time.perf_counter()
                answer = next(iter(lease.pipeline.answers([item], **options)))
                seconds = time.perf_counter() - started
                facts = [
                    duration(seconds),
                    lease.pipeline.bundle.name,
                    lease.pipeline.precision,
                    lease.pipeline.device,
                ]
                if lease.loaded_in:
                    facts.append(say("loaded_in", language, time=duration(lease.loaded_in)))
        except Exception as error:
            return error_html(error, language)
        chips = "".join(
            f'<span class="np-chip{" np-chip-time" if place == 0 else ""}">{escape(fact)}</span>'
            for place, fact in enumerate(facts)
        )
        body = answer_html(self.task.display, answer, item, language)
        return f'<div class="np-answer">{body}</div><p class="np-facts">{chips}</p>'

    def _load_example(self, index: int) -> list[Any]:
        example = self.task.examples[index]
        values = [
            *(c.to_form(example.input.get(c.name, c.initial)) for c in self._inputs),
            *(c.to_form(example.options.get(c.name, c.initial)) for c in self._options),
        ]
        return values if len(values) > 1 else values[0]

    def _cleared(self, request: gr.Request) -> list[Any]:
        return [
            *(control.to_form(control.initial) for control in self._inputs),
            _empty(language_of(request)),
        ]


def build_task_page(context: PanelContext, translate: Translate) -> None:
    """The generated page of ``context.task``."""
    if context.task is not None:
        TaskPage(context.task, context.pool, context.blocks, translate).build()


def duration(seconds: float) -> str:
    """Seconds as people read them: ``3.4 ms``, ``1.2 s``, ``2 min 5 s``."""
    if seconds < 1:
        milliseconds = seconds * 1000
        return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def _empty(language: str) -> str:
    return empty_html("✦", say("result_empty", language), say("result_empty_hint", language))


def _chip(example: Example) -> str:
    text = " · ".join(
        ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        for value in example.input.values()
    )
    short = " ".join(text.split())
    return short if len(short) <= _EXAMPLE_CHARACTERS else short[: _EXAMPLE_CHARACTERS - 1] + "…"
