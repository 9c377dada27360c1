"""The card that picks a model and a precision, and says what the model is."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from nlplug.models.spec import ModelSpec
from nlplug.task import Task
from nlplug_webui.forms import Translate
from nlplug_webui.messages import error_html
from nlplug_webui.models import AUTO, ModelPool, describe
from nlplug_webui.texts import language_of, say

_LABELS_SHOWN = 6


class ModelCard:
    """Picker of the model and the precision; ``name`` and ``precision`` are its components.

    Args:
        task: Whose models.
        pool: Where models are found.
        blocks: The page.
        translate: Makes the keys that the browser translates.
    """

    name: gr.Dropdown
    precision: gr.Dropdown

    def __init__(
        self, task: Task, pool: ModelPool, blocks: gr.Blocks, translate: Translate
    ) -> None:
        self._task = task
        self._pool = pool
        self._blocks = blocks
        self._translate = translate

    def build(self) -> None:
        """Build inside the Blocks that is open."""
        specs = self._pool.packaged(self._task.name)
        names = [spec.name for spec in specs]
        first = self._task.default_model or next(iter(names), None)
        if first is not None and first not in names and not self._pool.only_packaged:
            names.insert(0, first)
        closed = self._pool.only_packaged
        with gr.Column(elem_classes="np-card", elem_id="model-card"):
            gr.HTML(self._translate("model"), elem_classes="np-card-title")
            self.name = gr.Dropdown(
                choices=names,
                value=first,
                allow_custom_value=not closed,
                show_label=False,
                label=self._translate("model"),
                info=self._translate("model_info_installed" if closed else "model_info"),
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
            facts = gr.HTML("", elem_id="model-facts", elem_classes="np-model-facts")
        shown: dict[str, Any] = {
            "inputs": self.name,
            "outputs": [self.precision, facts],
            "api_visibility": "private",
            "show_progress": "hidden",
        }
        self.name.change(self._picked, trigger_mode="always_last", **shown)
        self._blocks.load(self._opened, **shown)

    def _opened(self, request: gr.Request, model: str | None) -> list[Any]:
        """On opening the page nothing is fetched: a model that is not on disk is only named."""
        spec = next((s for s in self._pool.packaged(self._task.name) if s.name == model), None)
        if spec is None or spec.path is None:
            return [gr.update(), _spec_html(spec, language_of(request))]
        return self._picked(request, model)

    def _picked(self, request: gr.Request, model: str | None) -> list[Any]:
        language = language_of(request)
        try:
            facts = describe(self._pool.bundle(self._task, model))
        except Exception as error:
            return [gr.update(choices=[AUTO], value=AUTO), error_html(error, language)]
        choices = [AUTO, *facts["precisions"]]
        return [
            gr.update(choices=choices, value=AUTO, interactive=len(choices) > 2),
            facts_html(facts, language),
        ]


def facts_html(facts: dict[str, Any], language: str) -> str:
    """What `describe` found, as a short list."""
    labels = facts["labels"][:_LABELS_SHOWN]
    shown = ", ".join(labels)
    if len(facts["labels"]) > len(labels):
        shown += " " + say("more", language, n=len(facts["labels"]) - len(labels))
    rows = [
        ("labels", shown),
        ("window", say("tokens", language, n=facts["max_length"])),
        ("languages", ", ".join(facts["languages"])),
        ("size", readable_size(facts["size"])),
        ("license", facts["license"]),
    ]
    items = "".join(
        f"<div><dt>{escape(say(key, language))}</dt><dd>{escape(value)}</dd></div>"
        for key, value in rows
        if value
    )
    title = f'<p class="np-model-name" title="{escape(facts["path"])}">{escape(facts["name"])}</p>'
    told = f"<p>{escape(facts['description'])}</p>" if facts["description"] else ""
    return f"{title}{told}<dl>{items}</dl>"


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
    told = " · ".join(escape(part) for part in parts if part)
    return f"<p>{told}</p><p>{escape(say('not_fetched', language))}</p>"
