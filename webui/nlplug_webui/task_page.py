"""The generated page of a task: a form, a batch tab, and code examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from html import escape
from typing import Any

import gradio as gr

from nlplug.server.pool import ModelPool
from nlplug.task import Example, Task
from nlplug_webui import snippets
from nlplug_webui.answering import Answering, PageRequest
from nlplug_webui.batch_tab import BatchTab
from nlplug_webui.code_tab import CodeTab
from nlplug_webui.events import AS_SENT, AT_ONCE
from nlplug_webui.fields import Control, for_model, input_controls, option_controls
from nlplug_webui.first_model import placeholder_html
from nlplug_webui.forms import Translate, component, localized_choices, text_keys
from nlplug_webui.hookspecs import PanelContext
from nlplug_webui.model_card import ModelCard
from nlplug_webui.page_state import form_json
from nlplug_webui.render import empty_html
from nlplug_webui.result import ResultCard, bar_html, tagged
from nlplug_webui.runs import Ending
from nlplug_webui.tabs import panel, tabs_html
from nlplug_webui.texts import LANGUAGES, language_of, say, visitor_of

_EXAMPLE_CHARACTERS = 88
_STREAMED: dict[str, Any] = {
    "api_visibility": "private",
    "concurrency_limit": 4,
    "show_progress": "hidden",
}


def page_texts(task: Task, pool: ModelPool) -> dict[str, Mapping[str, str]]:
    """The texts of a task's page, by the keys that the page uses."""

    def batch_empty(language: str) -> str:
        return empty_html("▤", say("batch_empty", language), say("batch_empty_hint", language))

    return {
        **text_keys(f"{task.name}:input", input_controls(task)),
        **text_keys(f"{task.name}:option", option_controls(task)),
        f"{task.name}:code": {
            name: snippets.html(snippets.example(task), name) for name in LANGUAGES
        },
        f"{task.name}:empty": {
            name: placeholder_html(task, pool, name) + _empty(name) for name in LANGUAGES
        },
        f"{task.name}:batch-empty": {name: batch_empty(name) for name in LANGUAGES},
        "tabs:html": {name: tabs_html(name) for name in LANGUAGES},
        "result:bar": {name: bar_html(name) for name in LANGUAGES},
        "live:html": {name: _live_html(name) for name in LANGUAGES},
    }


class TaskPage:
    """Builds the page of one task and its events.

    Args:
        task: The task.
        pool: The loaded models.
        blocks: The page.
        translate: Returns the key of a text, which the browser translates.
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
        self._model = ModelCard(task, pool, blocks, translate)

    def build(self) -> None:
        """Build the page inside the open Blocks."""
        self._batch = BatchTab(self.task, self.pool, self._translate)
        self._code = CodeTab(self.task, self.pool, self._translate)
        with gr.Column(elem_classes="np-tabbed"):
            gr.HTML(self._translate("tabs:html"))
            # Where the parts are, beside or below each other, is in static/work.css.
            with gr.Column(elem_classes="np-work"):
                with panel("try", "np-area-form"):
                    self._form_card()
                with panel("try", "np-area-result"):
                    self._result_card()
                with panel("batch", "np-area-main"):
                    self._batch.layout()
                with panel("code", "np-area-main"):
                    self._code.layout()
                with gr.Column(elem_classes="np-area-options"):
                    self._options_card()
                with gr.Column(elem_classes="np-area-model"):
                    self._model.build()
        chosen = [self._model.name, self._model.precision]
        fields = [*self._input_parts, *self._option_parts]
        self._wire(chosen)
        self._keep([*chosen, *fields])
        self._model.wire(self._inputs, self._options, self._option_parts)
        self._code.wire([*chosen, self._model.synced, *fields], self._inputs, self._options)
        self._batch.wire(
            [*chosen, self._model.synced, *self._option_parts, *self._input_parts],
            self._inputs,
            self._options,
        )

    def _keep(self, parts: list[Any]) -> None:
        """Wire the script that keeps the form in the address and asks while the visitor types."""
        silent: dict[str, Any] = {"fn": None, "api_visibility": "private"}
        first = self._model.first, self._model.defaults
        form = form_json(self.task, *first, self._inputs, self._options)
        self._blocks.load(js=f"() => {{ nplug.opened({form}) }}", **silent)
        restore = gr.Button(elem_id="np-restore", elem_classes="np-script-only")
        restore.click(outputs=parts, js="() => nplug.returned()", **silent)
        gr.on(
            [part.change for part in parts],
            inputs=parts,
            js="(...values) => { nplug.changed(values) }",
            **silent,
        )

    def _form_card(self) -> None:
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
                gr.HTML(self._translate("live:html"), elem_classes="np-live-frame")
                self._clear = gr.Button(self._translate("clear"), elem_id="clear", min_width=90)
                if self.task.family.streams:
                    self._stop = gr.Button(
                        self._translate("stop"), elem_id="stop", min_width=90, interactive=False
                    )
                self._run = gr.Button(
                    self._translate("run"), variant="primary", elem_id="run", min_width=120
                )
            self._ask = gr.Button(elem_id="np-ask", elem_classes="np-script-only")
            self._token = gr.Textbox(visible=False)
            self._examples = self._example_chips()

    def _result_card(self) -> None:
        self._result = ResultCard(
            self.task.display, self._translate(f"{self.task.name}:empty"), self._translate
        )
        self._result.build()
        self._answering = Answering(self.task, self.pool, self._inputs, self._options, self._result)

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
            # From the start as the model wants them: a visitor may be faster than its card.
            options = for_model(self._options, self._model.defaults)
            for control in (c for c in options if not c.advanced):
                parts[control.name] = component(control, prefix, self._translate)
            folded = [c for c in options if c.advanced]
            if folded:
                with gr.Accordion(self._translate("more_options"), open=False):
                    for control in folded:
                        parts[control.name] = component(control, prefix, self._translate)
        self._option_parts = [parts[control.name] for control in self._options]

    def _wire(self, chosen: list[Any]) -> None:
        streams = self.task.family.streams
        gr.on(
            [
                self._run.click,
                self._ask.click,
                *(part.submit for part in self._input_parts if isinstance(part, gr.Textbox)),
            ],
            self._answers if streams else self._answer,
            [
                self._token,
                *chosen,
                self._model.synced,
                *self._input_parts,
                *self._option_parts,
            ],
            self._outputs(),
            js="(...call) => nplug.asked(call)",
            # A text that is generated is replaced by the next one; other calls are short, so that
            # the next one waits for the one before it.
            trigger_mode="multiple" if streams else "always_last",
            **(_STREAMED if streams else AT_ONCE),
            **AS_SENT,
        )
        forms = [*self._input_parts, *self._option_parts]
        self._example = gr.State(None)
        if self._examples is not None:
            self._examples.click(
                self._load_example,
                [self._examples, self._model.synced],
                [self._example, *forms],
                **AT_ONCE,
            ).then(fn=None, js="() => { nplug.run() }", api_visibility="private")
        self._clear.click(
            self._cleared,
            [self._example, self._model.synced, *self._option_parts],
            [self._example, *forms, *self._result.outputs],
            **AT_ONCE,
            **AS_SENT,
        )
        if self.task.family.streams:
            self._stop.click(self._stopped, None, None, **AT_ONCE)
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

        self._blocks.load(localize, None, list(parts), **AT_ONCE)

    def _outputs(self) -> list[Any]:
        return [*self._result.outputs, *([self._stop] if self.task.family.streams else [])]

    def _answer(
        self,
        request: gr.Request,
        asked: str,
        model: str,
        precision: str,
        synced: Mapping[str, Any],
        *values: Any,
    ) -> Any:
        question = _question(request, model, precision, synced, values)
        runs = self._answering.runs
        run = runs.start(question.visitor)
        try:
            shown = self._answering.whole(question)
        finally:
            runs.done(question.visitor, run)
        if run.ending is not None:  # cleared, or another call has begun
            return _values([gr.skip() for _ in shown])
        return _values(tagged(shown, asked))

    def _answers(
        self,
        request: gr.Request,
        asked: str,
        model: str,
        precision: str,
        synced: Mapping[str, Any],
        *values: Any,
    ) -> Iterator[list[Any]]:
        """The answer while it is generated, and whether it can be stopped."""
        question = _question(request, model, precision, synced, values)
        same = [gr.skip() for _ in self._result.outputs]
        with closing(self._answering.growing(question, _empty(question.language))) as growing:
            for place, shown in enumerate(growing):
                stop = gr.skip() if place else gr.update(interactive=True)
                yield [*tagged(shown, asked), stop]
        busy = self._answering.runs.busy(question.visitor)
        yield [*same, gr.update(interactive=busy)]

    def _stopped(self, request: gr.Request) -> None:
        self._answering.runs.end(visitor_of(request), Ending.STOPPED)

    def _load_example(self, index: int, synced: Mapping[str, Any]) -> list[Any]:
        example = self.task.examples[index]
        options = for_model(self._options, synced)
        return [
            index,
            *(c.to_form(example.input.get(c.name, c.initial)) for c in self._inputs),
            *(c.to_form(example.options.get(c.name, c.initial)) for c in options),
        ]

    def _cleared(
        self, request: gr.Request, index: int | None, synced: Mapping[str, Any], *values: Any
    ) -> list[Any]:
        """Empty the form; options that the last example set return to their defaults."""
        self._answering.runs.end(visitor_of(request), Ending.CLEARED)
        example = {} if index is None else self.task.examples[index].options
        options = [
            control.to_form(control.initial)
            if control.name in example and value == control.to_form(example[control.name])
            else gr.skip()
            for control, value in zip(for_model(self._options, synced), values, strict=True)
        ]
        return [
            None,
            *(control.to_form(control.initial) for control in self._inputs),
            *options,
            *self._result.nothing(_empty(language_of(request))),
        ]


def _values(values: list[Any]) -> Any:
    """The result of an event: a single value as it is, several as a list."""
    return values if len(values) > 1 else values[0]


def build_task_page(context: PanelContext, translate: Translate) -> None:
    """The generated page of ``context.task``."""
    if context.task is not None:
        TaskPage(context.task, context.pool, context.blocks, translate).build()


def _question(
    request: gr.Request, model: str, precision: str, synced: Mapping[str, Any], values: Any
) -> PageRequest:
    language = language_of(request)
    return PageRequest(visitor_of(request), language, model, precision, synced, values)


def _empty(language: str) -> str:
    return empty_html("✦", say("result_empty", language), say("result_empty_hint", language))


def _live_html(language: str) -> str:
    """The switch for answers while typing; its state belongs to the script of the page."""
    return (
        f'<label class="np-live" id="np-live"><input type="checkbox"> '
        f"<span>{escape(say('live', language))}</span></label>"
    )


def _chip(example: Example) -> str:
    text = " · ".join(
        ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        for value in example.input.values()
    )
    short = " ".join(text.split())
    return short if len(short) <= _EXAMPLE_CHARACTERS else short[: _EXAMPLE_CHARACTERS - 1] + "…"
