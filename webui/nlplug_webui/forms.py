"""Gradio components for controls, with their texts as keys that the browser translates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr
from gradio.components import Component
from gradio.i18n import I18nData

from nlplug_webui.fields import Control, Kind

Translate = Callable[[str], I18nData]

_FEW = 4


def text_keys(prefix: str, controls: Sequence[Control]) -> dict[str, Mapping[str, str]]:
    """The texts of controls, by the keys that `component` uses."""
    keys: dict[str, Mapping[str, str]] = {}
    for control in controls:
        keys[f"{prefix}:{control.name}:title"] = control.title
        keys[f"{prefix}:{control.name}:help"] = control.help
    return keys


def control_id(prefix: str, name: str) -> str:
    """The id of a control's element in the page."""
    return f"{prefix}-{name}".replace(":", "-")


def component(control: Control, prefix: str, translate: Translate) -> Component:
    """The Gradio component of a control."""
    common: dict[str, Any] = {
        "value": control.to_form(control.initial),
        "label": translate(f"{prefix}:{control.name}:title"),
        "info": translate(f"{prefix}:{control.name}:help") if any(control.help.values()) else None,
        "elem_id": control_id(prefix, control.name),
        "interactive": True,
    }
    match control.kind:
        case Kind.CHOICE:
            kind = gr.Radio if len(control.choices) + control.optional <= _FEW else gr.Dropdown
            return kind(choices=list(control.named_choices("en")), **common)
        case Kind.SWITCH:
            return gr.Checkbox(**common)
        case Kind.SLIDER:
            # Values outside the bounds (such as an emptied box) are checked by the task.
            return gr.Slider(
                minimum=control.low or 0,
                maximum=control.high if control.high is not None else 1,
                step=control.step,
                buttons=["reset"],
                **common,
            )
        case Kind.NUMBER:
            # No bounds here: the error of the task names the value and what is allowed.
            return gr.Number(
                placeholder=translate("default") if control.optional else None,
                step=1 if control.whole else 0.01,
                **common,
            )
    if control.of_model:
        value = common["value"]
        return gr.Dropdown(
            choices=control.offered({value: value} if value else {}, "en"),
            allow_custom_value=True,
            **common,
        )
    placeholder = translate("default") if control.optional and control.default is None else None
    return gr.Textbox(
        lines=control.lines,
        max_lines=max(control.lines, 12),
        placeholder=placeholder,
        **common,
    )


def localized_choices(controls: Sequence[Control], language: str) -> list[Any]:
    """Updates with the choices in ``language``; the browser cannot translate choices."""
    return [
        gr.update(choices=list(control.named_choices(language)))
        for control in controls
        if control.kind is Kind.CHOICE
    ]
