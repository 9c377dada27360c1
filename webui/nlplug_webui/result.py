"""The card with the answer: HTML, and for tasks that mark a text `gr.HighlightedText` with a table.

Each mark has its name beside its colour, and the table repeats it as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import gradio as gr
from gradio.i18n import I18nData

from nlplug.task import Display
from nlplug_webui.forms import Translate
from nlplug_webui.render import Shown
from nlplug_webui.spans import Marked
from nlplug_webui.texts import say


class ResultCard:
    """Shows an answer, an error, or a placeholder.

    Args:
        display: How the task shows its answers.
        empty: The placeholder, as a key that the browser translates.
        translate: Returns the key of a text.

    Attributes:
        outputs: The components that the values of `answer`, `message` and `nothing` are for.
    """

    outputs: list[Any]

    def __init__(self, display: Display, empty: I18nData, translate: Translate) -> None:
        self._display = display
        self._empty = empty
        self._translate = translate

    def build(self) -> None:
        """Build the card inside the open Blocks."""
        with gr.Column(elem_classes="np-card np-result-card", elem_id="result"):
            gr.HTML(self._translate("result:bar"), elem_classes="np-result-bar-frame")
            head = gr.HTML(self._empty, elem_id="result-head", elem_classes="np-result")
            self.outputs = [head]
            if self._display is Display.HIGHLIGHT:
                marked = gr.HighlightedText(
                    visible=False,
                    label=self._translate("marked"),
                    show_label=False,
                    container=False,
                    elem_id="marked",
                    elem_classes="np-marked",
                )
                self.outputs += [marked, gr.HTML("", elem_id="result-tail")]
            # Scripts add the tools of the task here: presets, downloads, the history.
            gr.HTML(self._translate("products:root"), elem_classes="np-products-frame")
            # The script of the workspace shows here how to confirm or correct the answer.
            gr.HTML(self._translate("workshop:correct"), elem_classes="np-correct-frame")

    def answer(
        self,
        shown: Shown,
        facts: Sequence[str],
        notice: str = "",
        *,
        seconds: float | None = None,
    ) -> list[Any]:
        """An answer with facts about the computation, such as its time.

        Args:
            shown: The answer.
            facts: Short texts.
            notice: HTML above the answer.
            seconds: Duration of the call, by which the page decides whether to ask while typing.
        """
        chips = "".join(
            f'<span class="np-chip{" np-chip-time" if place == 0 else ""}">{escape(fact)}</span>'
            for place, fact in enumerate(facts)
        )
        took = "" if seconds is None else f' data-seconds="{seconds:.4f}"'
        line = f'<p class="np-facts"{took}>{chips}</p>'
        if self._display is not Display.HIGHLIGHT:
            return [_mended(f'{notice}<div class="np-answer">{shown.html}</div>{line}')]
        return [
            _mended(f'{notice}<div class="np-answer">{shown.head}</div>'),
            _marked(shown.marked),
            _mended(shown.tail + line),
        ]

    def message(self, html: str) -> list[Any]:
        """A partial answer, or an error instead of an answer."""
        return [_mended(html), *self._hidden()]

    def nothing(self, html: str) -> list[Any]:
        """The placeholder."""
        return [html, *self._hidden()]

    def _hidden(self) -> list[Any]:
        return [gr.update(visible=False, value=None), ""][: len(self.outputs) - 1]


def bar_html(language: str) -> str:
    """The title of the card, the mark of an outdated answer, and the copy button."""
    copy, copied = escape(say("copy", language)), escape(say("copied", language))
    return (
        f'<div class="np-result-bar"><h2>{escape(say("result", language))}</h2>'
        f'<span class="np-outdated">{escape(say("outdated", language))}</span>'
        f'<button type="button" class="np-copy" data-copy="link" data-done="✓ {copied}" '
        f'data-partly="{escape(say("copied_partly", language))}" '
        f'title="{escape(say("copy_link_hint", language))}">{escape(say("copy_link", language))}'
        '</button><button type="button" class="np-copy" data-copy="answer" '
        f'data-done="✓ {copied}">{copy}</button></div>'
    )


def tagged(values: Sequence[Any], asked: str) -> list[Any]:
    """The values of the card with the token of the call, by which the page knows its answer."""
    head, *rest = values
    if isinstance(head, str):
        head = f'<div class="np-reply" data-asked="{escape(asked)}">{head}</div>'
    return [head, *rest]


def _marked(marked: Marked | None) -> Any:
    if marked is None:
        return gr.update(visible=False, value=None)
    segments = [(_mended(text), name and _mended(name)) for text, name in marked.segments]
    colors = {_mended(name): color for name, color in marked.colors.items()}
    return gr.update(visible=True, value=segments, color_map=colors)


def _mended(text: str) -> str:
    """A text that can be sent: invalid Unicode becomes question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")
