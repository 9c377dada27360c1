"""The generated page of a task: a form, a batch tab, and code examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import gradio as gr

from nlplug.server.pool import ModelPool
from nlplug.task import Display, Example, Task
from nlplug_webui import snippets
from nlplug_webui.answering import Answering, Question
from nlplug_webui.batch_tab import BatchTab
from nlplug_webui.events import AT_ONCE
from nlplug_webui.fields import Control, for_model, input_controls, option_controls
from nlplug_webui.forms import Translate, component, localized_choices, text_keys
from nlplug_webui.hookspecs import PanelContext
from nlplug_webui.model_card import ModelCard
from nlplug_webui.render import empty_html
from nlplug_webui.result import ResultCard
from nlplug_webui.runs import Ending
from nlplug_webui.tabs import panel, tabs_html
from nlplug_webui.texts import LANGUAGES, language_of, say, visitor_of

_EXAMPLE_CHARACTERS = 88


def page_texts(task: Task) -> dict[str, Mapping[str, str]]:
    """The texts of a task's page, by the keys that the page uses."""

    def batch_empty(language: str) -> str:
        return empty_html("▤", say("batch_empty", language), say("batch_empty_hint", language))

    return {
        **text_keys(f"{task.name}:input", input_controls(task)),
        **text_keys(f"{task.name}:option", option_controls(task)),
        f"{task.name}:code": {name: snippets.html(task, name) for name in LANGUAGES},
        f"{task.name}:empty": {name: _empty(name) for name in LANGUAGES},
        f"{task.name}:batch-empty": {name: batch_empty(name) for name in LANGUAGES},
        "tabs:html": {name: tabs_html(name) for name in LANGUAGES},
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

    def build(self) -> None:
        """Build the page inside the open Blocks."""
        if self._beside():
            self._tabs()
            with gr.Row(elem_classes="np-columns", equal_height=False):
                with gr.Column(scale=1, min_width=320):
                    self._options_card()
                with gr.Column(scale=1, min_width=300, elem_classes="np-side"):
                    self._model_card()
        else:
            with gr.Row(elem_classes="np-columns", equal_height=False):
                with gr.Column(scale=8, min_width=320):
                    self._tabs()
                with gr.Column(scale=5, min_width=300, elem_classes="np-side"):
                    self._model_card()
                    self._options_card()
        chosen = [self._model.name, self._model.precision]
        self._wire(chosen)
        self._model.wire(self._options, self._option_parts)
        self._batch.wire(
            [*chosen, self._model.synced, *self._option_parts, *self._input_parts],
            self._inputs,
            self._options,
        )

    def _beside(self) -> bool:
        """Whether the answer is a separate text, shown beside the input, such as a translation."""
        return self.task.display is Display.TEXT and not self.task.family.continues_input

    def _tabs(self) -> None:
        with gr.Column(elem_classes="np-tabbed"):
            gr.HTML(self._translate("tabs:html"))
            with panel("try"):
                if self._beside():
                    with gr.Row(elem_classes="np-beside"):
                        with gr.Column(scale=1, min_width=320):
                            self._form_card()
                        with gr.Column(scale=1, min_width=320):
                            self._result_card()
                else:
                    self._form_card()
                    self._result_card()
            with panel("batch"):
                self._batch = BatchTab(self.task, self.pool, self._translate)
                self._batch.layout()
            with panel("code"):
                gr.HTML(self._translate(f"{self.task.name}:code"), elem_classes="np-code")

    def _model_card(self) -> None:
        self._model = ModelCard(self.task, self.pool, self._blocks, self._translate)
        self._model.build()

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
                self._clear = gr.Button(self._translate("clear"), elem_id="clear", min_width=90)
                if self.task.family.streams:
                    self._stop = gr.Button(
                        self._translate("stop"), elem_id="stop", min_width=90, interactive=False
                    )
                self._run = gr.Button(
                    self._translate("run"), variant="primary", elem_id="run", min_width=120
                )
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
            "fn": self._answers if self.task.family.streams else self._answer,
            "inputs": [
                *chosen,
                self._model.synced,
                *self._input_parts,
                *self._option_parts,
            ],
            "outputs": self._outputs(),
            "api_visibility": "private",
            "concurrency_limit": 4,
            "show_progress": "hidden" if self.task.family.streams else "minimal",
            "show_progress_on": self._result.outputs[0],
        }
        self._run.click(**run)
        for part in self._input_parts:
            if isinstance(part, gr.Textbox):
                part.submit(**run)
        forms = [*self._input_parts, *self._option_parts]
        if self._examples is not None:
            self._examples.click(
                self._load_example,
                [self._examples, self._model.synced],
                forms,
                **AT_ONCE,
            ).then(**run)
        self._clear.click(
            self._cleared,
            None,
            [*self._input_parts, *self._result.outputs],
            **AT_ONCE,
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
        model: str,
        precision: str,
        synced: Mapping[str, Any],
        *values: Any,
    ) -> Any:
        question = _question(request, model, precision, synced, values)
        return _values(self._answering.whole(question))

    def _answers(
        self,
        request: gr.Request,
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
                yield [*shown, gr.skip() if place else gr.update(interactive=True)]
        busy = self._answering.runs.busy(question.visitor)
        yield [*same, gr.update(interactive=busy)]

    def _stopped(self, request: gr.Request) -> None:
        self._answering.runs.end(visitor_of(request), Ending.STOPPED)

    def _load_example(self, index: int, synced: Mapping[str, Any]) -> Any:
        example = self.task.examples[index]
        options = for_model(self._options, synced)
        return _values(
            [
                *(c.to_form(example.input.get(c.name, c.initial)) for c in self._inputs),
                *(c.to_form(example.options.get(c.name, c.initial)) for c in options),
            ]
        )

    def _cleared(self, request: gr.Request) -> list[Any]:
        self._answering.runs.end(visitor_of(request), Ending.CLEARED)
        return [
            *(control.to_form(control.initial) for control in self._inputs),
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
) -> Question:
    language = language_of(request)
    return Question(visitor_of(request), language, model, precision, synced, values)


def _empty(language: str) -> str:
    return empty_html("✦", say("result_empty", language), say("result_empty_hint", language))


def _chip(example: Example) -> str:
    text = " · ".join(
        ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        for value in example.input.values()
    )
    short = " ".join(text.split())
    return short if len(short) <= _EXAMPLE_CHARACTERS else short[: _EXAMPLE_CHARACTERS - 1] + "…"
