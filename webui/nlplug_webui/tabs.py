"""The tabs of a task's page: radio buttons that the style sheet follows, without a script.

Not Gradio's own: several containers deep they never come to rest once an event has answered
(gradio 6.17), but reckon their widths a thousand times a second in every open page.
"""

from __future__ import annotations

from html import escape

import gradio as gr

from nlplug_webui.texts import say

TABS = ("try", "batch", "code")
"""In their order; the first one is open at first."""


def tabs_html(language: str) -> str:
    """The bar that picks a tab."""
    buttons = "".join(
        f'<label><input type="radio" name="np-tab" value="{name}"'
        f"{' checked' if name == TABS[0] else ''}>"
        f"<span>{escape(say(name, language))}</span></label>"
        for name in TABS
    )
    return f'<div class="np-tabbar" role="radiogroup">{buttons}</div>'


def panel(name: str) -> gr.Column:
    """What a tab shows, to be filled; it has to stand in the container of class ``np-tabbed``."""
    return gr.Column(elem_classes=["np-panel", f"np-panel-{name}"])
