"""The card to choose a model and a precision, with facts about the model."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from nlplug.errors import NlplugError
from nlplug.models.bundle import Bundle
from nlplug.models.spec import ModelSpec
from nlplug.models.tuned import Tuned
from nlplug.server.pool import AUTO, ModelPool
from nlplug.task import Task
from nlplug_webui.events import AT_ONCE
from nlplug_webui.fields import Control, for_model
from nlplug_webui.forms import Translate
from nlplug_webui.label_names import answers_of
from nlplug_webui.messages import error_html
from nlplug_webui.models import describe
from nlplug_webui.page_state import choices_html, defaults_html
from nlplug_webui.texts import language_of, say, visitor_of

_LABELS_SHOWN = 6
_VISITORS = 1000


class ModelCard:
    """Lets the visitor choose model and precision, and sets the form to the model's defaults.

    Attributes:
        name, precision: The components.
        first: The model that the page shows first.
        defaults: Its defaults of the options.
        synced: State of the page: the model's options that the form shows as defaults.

    Args:
        task: The task.
        pool: The models.
        blocks: The page.
        translate: Returns the key of a text, which the browser translates.
    """

    name: gr.Dropdown
    precision: gr.Dropdown
    synced: gr.State

    def __init__(
        self, task: Task, pool: ModelPool, blocks: gr.Blocks, translate: Translate
    ) -> None:
        self._task = task
        self._pool = pool
        self._blocks = blocks
        self._translate = translate
        names = [spec.name for spec in pool.packaged(task.name)]
        default = task.default_model or next(iter(names), None)
        self.first = AUTO if pool.has_languages(task) else default
        self.defaults = _defaults(pool, task, default)

    def build(self) -> None:
        """Build the card inside the open Blocks."""
        closed = self._pool.only_packaged
        choices = self._choices()
        with gr.Column(elem_classes="np-card", elem_id="model-card"):
            gr.HTML(self._translate("model"), elem_classes="np-card-title")
            self.name = gr.Dropdown(
                choices=choices,
                value=self.first,
                allow_custom_value=not closed,
                show_label=False,
                label=self._translate("model"),
                info=self._translate(
                    ("model_info_installed" if closed else "model_info")
                    + ("_auto" if any(value == AUTO for _, value in choices) else "")
                ),
                elem_id="model",
                interactive=True,
            )
            self.precision = gr.Dropdown(
                choices=[AUTO],
                value=AUTO,
                label=self._translate("precision"),
                info=self._translate("precision_info"),
                elem_id="precision",
                interactive=True,
            )
            self._facts = gr.HTML("", elem_id="model-facts", elem_classes="np-model-facts")
        self.synced = gr.State(dict(self.defaults))
        self._changes: OrderedDict[str, str | None] = OrderedDict()

    def wire(
        self, inputs: Sequence[Control], options: Sequence[Control], parts: Sequence[Any]
    ) -> None:
        """Wire the events.

        Args:
            inputs: The controls of the input.
            options: The controls of the options.
            parts: Their components.
        """
        self._inputs = list(inputs)
        self._options = list(options)
        shown: dict[str, Any] = {
            "inputs": [self.name, self.synced],
            "outputs": [self.precision, self._facts, self.synced, *parts],
            **AT_ONCE,
        }
        # The values that the address names replace the defaults of the model.
        again: dict[str, Any] = {
            "fn": None,
            "outputs": [self.precision, *parts],
            "js": "() => nplug.reapplied()",
            "api_visibility": "private",
        }
        self.name.change(self._changed, trigger_mode="always_last", **shown).then(**again)
        opened = self._blocks.load(self._opened, **shown).then(self._settled, **shown)
        opened.then(**again)
        if not self._pool.only_packaged:  # models that were trained since the server started
            self._blocks.load(self._listed, outputs=self.name, **AT_ONCE)

    def _choices(self) -> list[tuple[str, str]]:
        """The models to choose from, as (text, value); of several, with their languages."""
        specs = self._pool.packaged(self._task.name)
        installed = [spec for spec in specs if spec.path is not None]
        several = len(installed) > 1
        shown = [(_with_languages(spec) if several else spec.name, spec.name) for spec in specs]
        names = [spec.name for spec in specs]
        if not self._pool.only_packaged:
            made = self._pool.folders(self._task.name)
            others = [*self._task.suggested_models, *made]
            shown += [(Path(name).name if name in made else name, name) for name in others]
            if self.first is not None and self.first not in [*names, *others, AUTO]:
                shown.insert(0, (self.first, self.first))
        if several:
            shown.insert(1, (AUTO, AUTO))  # the language of the text chooses
        return shown

    def _listed(self) -> Any:
        return gr.update(choices=self._choices())

    def _opened(
        self, request: gr.Request, model: str | None, synced: Mapping[str, Any]
    ) -> list[Any]:
        """When the page opens. Downloads nothing: a model that is not on disk is only named."""
        spec = next((s for s in self._pool.packaged(self._task.name) if s.name == model), None)
        if model != AUTO and (spec is None or spec.path is None):
            found = [gr.update(), _spec_html(spec, language_of(request)), *self._kept(synced)]
        else:
            found = self._picked(request, model, synced)
        # If the visitor has chosen another model in the meantime, do not overwrite it.
        return [gr.skip() for _ in found] if visitor_of(request) in self._changes else found

    def _settled(
        self, request: gr.Request, model: str | None, synced: Mapping[str, Any]
    ) -> list[Any]:
        """After `_opened`: show the model that the visitor chose in the meantime, if any.

        `_opened`, `_changed` and this are separate requests, and a later one may be answered first.
        So nothing is shown here if the visitor has chosen another model since this one was sent.
        """
        if (model or None) != self.first and model == self._changes.get(visitor_of(request), model):
            return self._picked(request, model, synced)
        return [gr.skip() for _ in range(3 + len(self._options))]

    def _changed(
        self, request: gr.Request, model: str | None, synced: Mapping[str, Any]
    ) -> list[Any]:
        visitor = visitor_of(request)
        self._changes[visitor] = model
        self._changes.move_to_end(visitor)
        while len(self._changes) > _VISITORS:
            self._changes.popitem(last=False)
        return self._picked(request, model, synced)

    def _picked(
        self, request: gr.Request, model: str | None, synced: Mapping[str, Any]
    ) -> list[Any]:
        language = language_of(request)
        try:
            bundle = self._pool.bundle(self._task, model)
            facts = describe(bundle)
        except Exception as error:
            card = error_html(error, language)
            return [gr.update(choices=[AUTO], value=AUTO), card, *self._kept(synced)]
        choices = [AUTO, *facts["precisions"]]
        defaults = self._task.default_options(bundle)
        offered = self._offered(bundle, language)
        return [
            gr.update(choices=choices, value=AUTO, interactive=len(choices) > 2),
            facts_html(facts, language)
            + defaults_html(self._options, self._inputs, defaults)
            + choices_html(offered)
            + f'<span hidden data-chats="{str(self._task.chats(bundle)).lower()}"></span>',
            *self._synced(synced, defaults, offered),
        ]

    def _kept(self, synced: Mapping[str, Any]) -> list[Any]:
        return [synced, *(gr.skip() for _ in self._options)]

    def _offered(self, bundle: Bundle, language: str) -> dict[str, list[tuple[str, str]]]:
        """The choices of options for which the model has values."""
        every = self._task.choices(bundle)
        return {
            control.name: control.offered(every.get(control.name, {}), language)
            for control in self._options
            if control.of_model
        }

    def _synced(
        self,
        before: Mapping[str, Any],
        now: Mapping[str, Any],
        offered: Mapping[str, list[tuple[str, str]]],
    ) -> list[Any]:
        """Update options whose default has changed; other options keep their value."""
        pairs = zip(for_model(self._options, before), for_model(self._options, now), strict=True)
        updates = []
        for old, new in pairs:
            changes: dict[str, Any] = {}
            if new.name in offered:
                changes["choices"] = offered[new.name]
            if old.initial != new.initial:
                changes["value"] = new.to_form(new.initial)
            updates.append(gr.update(**changes) if changes else gr.skip())
        return [dict(now), *updates]


def _defaults(pool: ModelPool, task: Task, model: str | None) -> dict[str, Any]:
    """The defaults of a model that is on disk; empty if it cannot be used, as its card tells."""
    spec = next((spec for spec in pool.packaged(task.name) if spec.name == model), None)
    if spec is None or spec.path is None:
        return {}
    try:
        return dict(task.default_options(Bundle.open(Path(spec.path))))
    except Exception:
        return {}


def _with_languages(spec: ModelSpec) -> str:
    """The name of an installed model, with its languages if it states them."""
    if spec.path is None:
        return spec.name
    try:
        languages = ", ".join(Bundle.open(Path(spec.path)).languages)
    except NlplugError:  # its card tells what is wrong
        return spec.name
    return f"{spec.name} ({languages})" if languages else spec.name


def facts_html(facts: dict[str, Any], language: str) -> str:
    """The result of `describe` as a short list."""
    # transformers writes these names into the configuration of a model without labels.
    labels = [label for label in facts["labels"] if not label.startswith("LABEL_")]
    answers = answers_of(labels, language)
    shown = ", ".join(answers[:_LABELS_SHOWN])
    if len(answers) > _LABELS_SHOWN:
        shown += " " + say("more", language, n=len(answers) - _LABELS_SHOWN)
    rows = [
        ("labels", shown),
        ("window", say("tokens", language, n=facts["max_length"])),
        ("languages", ", ".join(facts["languages"])),
        ("size", readable_size(facts["size"])),
        ("license", facts["license"]),
        ("tuned", _tuned(facts["tuned"], language)),
    ]
    items = "".join(
        f"<div><dt>{escape(say(key, language))}</dt><dd>{escape(value)}</dd></div>"
        for key, value in rows
        if value
    )
    title = f'<p class="np-model-name" title="{escape(facts["path"])}">{escape(facts["name"])}</p>'
    about = f"<p>{escape(facts['description'])}</p>" if facts["description"] else ""
    return f"{title}{about}<dl>{items}</dl>"


def _tuned(tuned: Tuned | None, language: str) -> str:
    """The settings that ``nlplug models tune`` measured as the fastest ones."""
    if tuned is None:
        return ""
    rate = f"{tuned.rate:,.0f}"
    ratio = f"{tuned.ratio:.2f}"
    where = f"{tuned.precision}, {tuned.device}"
    return say("tuned_as", language, settings=where, rate=rate, ratio=ratio)


def readable_size(size: int) -> str:
    """Bytes as ``22.4 MB``."""
    if size < 1_000_000:
        return f"{size / 1000:.0f} kB"
    if size < 1_000_000_000:
        return f"{size / 1e6:.1f} MB"
    return f"{size / 1e9:.2f} GB"


def _spec_html(spec: ModelSpec | None, language: str) -> str:
    if spec is None:
        return ""
    where = spec.hub_id or (Path(spec.path).name if spec.path else "")
    parts = [spec.description, where, readable_size(spec.size) if spec.size else "", spec.license]
    about = " · ".join(escape(part) for part in parts if part)
    return f"<p>{about}</p><p data-absent>{escape(say('not_fetched', language))}</p>"
