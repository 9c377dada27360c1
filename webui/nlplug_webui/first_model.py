"""What the page of a task without a model of its own shows: which model to choose."""

from __future__ import annotations

from html import escape

from nlplug.server.pool import ModelPool
from nlplug.task import Task
from nlplug_webui.messages import card_html
from nlplug_webui.texts import say


def lacks_model(task: Task, pool: ModelPool) -> bool:
    """Whether a visitor has to choose a model before the task can answer."""
    return task.default_model is None and not pool.packaged(task.name)


def placeholder_html(task: Task, pool: ModelPool, language: str) -> str:
    """Stands before the placeholder of the result until a model is chosen (``static/work.css``)."""
    if not lacks_model(task, pool):
        return ""
    return (
        '<div class="np-model-first np-empty">'
        '<span class="np-empty-sign" aria-hidden="true">✦</span>'
        f"<strong>{escape(say('model_first', language))}</strong>"
        f"<span>{escape(_hint(pool, language))}</span>{_buttons(task, pool, language)}</div>"
    )


def message_html(task: Task, pool: ModelPool, language: str) -> str:
    """The answer to a call without a model."""
    title = say("model_first", language)
    message = say("model_first_none", language)
    card = card_html(title, message, _hint(pool, language), language, style="np-error-mild")
    return card + _buttons(task, pool, language)


def _hint(pool: ModelPool, language: str) -> str:
    key = "model_first_installed" if pool.only_packaged else "model_first_hint"
    return say(key, language)


def _buttons(task: Task, pool: ModelPool, language: str) -> str:
    names = () if pool.only_packaged else task.suggested_models
    buttons = "".join(
        f'<button type="button" class="np-button" data-use-model="{escape(name)}">'
        f"{escape(say('use_model', language, name=name))}</button>"
        for name in names
    )
    return f'<div class="np-model-buttons">{buttons}</div>' if buttons else ""
