"""The tabs of a task's page: radio buttons and CSS, without a script.

Gradio's own tabs are not used: inside several containers they recompute their widths endlessly
after an event (gradio 6.17), about a thousand times per second in every open page.
"""

from __future__ import annotations

from html import escape

import gradio as gr

from nlplug_webui.texts import say

TABS = ("try", "batch", "code")
"""The tabs in order; the first one is open at the start."""


def tabs_html(language: str) -> str:
    """The bar of tabs."""
    buttons = "".join(
        f'<label><input type="radio" name="np-tab" value="{name}"'
        f"{' checked' if name == TABS[0] else ''}>"
        f"<span>{escape(say(name, language))}</span></label>"
        for name in TABS
    )
    return f'<div class="np-tabbar" role="radiogroup">{buttons}</div>'


def panel(name: str, area: str) -> gr.Column:
    """An empty column of a tab; it must be inside the container of class ``np-tabbed``.

    Args:
        name: The tab.
        area: The class of its place in the layout.
    """
    return gr.Column(elem_classes=["np-panel", f"np-panel-{name}", area])
