"""The form of a page for its script: names of the fields in the address, and defaults."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from nlplug.server.pool import AUTO
from nlplug.task import Task
from nlplug_webui.fields import Control, Kind, for_model

# Names in the address that have another meaning; `view` and `__theme` belong to Gradio.
_TAKEN = frozenset(("model", "precision", "long", "view", "deep_link", "__theme"))
_KINDS = {Kind.SWITCH: "switch", Kind.SLIDER: "number", Kind.NUMBER: "number"}


def option_key(name: str, inputs: Sequence[Control]) -> str:
    """The name of an option in the address, which differs from the names of the inputs."""
    taken = name in _TAKEN or name in {control.name for control in inputs}
    return f"option-{name}" if taken else name


def form_json(
    task: Task,
    model: str | None,
    defaults: Mapping[str, Any],
    inputs: Sequence[Control],
    options: Sequence[Control],
) -> str:
    """The form as JSON for `nplug.opened` of ``static/page.js``.

    Args:
        task: The task.
        model: The model that the page shows first.
        defaults: Its defaults.
        inputs, options: The controls, in the order of their components.
    """
    fields: list[dict[str, Any]] = [
        {"key": "model", "kind": "text", "initial": model or "", "input": False},
        {"key": "precision", "kind": "text", "initial": AUTO, "input": False},
    ]
    for control in inputs:
        key = f"input-{control.name}" if control.name in _TAKEN else control.name
        required = control.default is ... and control.kind is Kind.TEXT
        fields.append(_field(control, key) | {"input": True, "required": required})
    for control, first in zip(options, for_model(options, defaults), strict=True):
        field = _field(control, option_key(control.name, inputs)) | {"input": False}
        fields.append(field | {"first": first.to_form(first.initial)})
    if not any(field.get("required") for field in fields) and inputs:
        fields[2]["required"] = True
    form = {
        "task": task.name,
        "live": not task.family.streams,
        "continues": task.family.streams and task.family.continues_input,
        "fields": fields,
    }
    return json.dumps(form, ensure_ascii=True)


def defaults_html(
    options: Sequence[Control], inputs: Sequence[Control], defaults: Mapping[str, Any]
) -> str:
    """The defaults of a model for the script of the page, as values of the form."""
    values = {
        option_key(control.name, inputs): control.to_form(control.initial)
        for control in for_model(options, defaults)
        if control.name in defaults
    }
    return f'<span hidden data-defaults="{escape(json.dumps(values))}"></span>'


def choices_html(offered: Mapping[str, Sequence[tuple[str, str]]]) -> str:
    """The values that a model offers for options, each with its title, for scripts."""
    return f'<span hidden data-choices="{escape(json.dumps(offered))}"></span>' if offered else ""


def _field(control: Control, key: str) -> dict[str, Any]:
    kind = _KINDS.get(control.kind, "text")
    return {"key": key, "kind": kind, "initial": control.to_form(control.initial)}
