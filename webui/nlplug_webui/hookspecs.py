"""The hook of the web UI for pages of plugins.

A plugin that marks it as optional does not depend on the web UI:

    @hookimpl(optionalhook=True)
    def register_panels():
        from nlplug_webui import Panel

        def build(context):
            import gradio as gr

            name = gr.Textbox(label="Name")
            answer = gr.Markdown()
            name.submit(lambda text: f"Hello {text}", name, answer)

        return [Panel(name="hello", title={"en": "Hello", "zh": "你好"}, build=build)]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nlplug.hookspecs import hookspec

if TYPE_CHECKING:
    import gradio as gr

    from nlplug.plugins import PluginHost
    from nlplug.server.pool import ModelPool
    from nlplug.task import Localized, Task


@dataclass(frozen=True)
class PanelContext:
    """The context in which a page is built.

    Attributes:
        host: The plugins of this process.
        pool: The loaded models; lease a model instead of loading it again.
        blocks: The page, for events such as ``context.blocks.load(…)``.
        task: The task of the page, or None if no task has the page's name.
    """

    host: PluginHost
    pool: ModelPool
    blocks: gr.Blocks
    task: Task | None = None


@dataclass(frozen=True)
class Panel:
    """One page of the web UI.

    Attributes:
        name: Path of the page (``/name``); the name of a task replaces the page of that task.
        title: Title in the navigation.
        build: Builds the page and its events inside an open Gradio ``Blocks``. It is called
            twice: the first time on trial, to detect failures.
        description: One line under the title.
    """

    name: str
    title: Localized
    build: Callable[[PanelContext], None]
    description: Localized = field(default="")


@hookspec
def register_panels() -> Iterable[Panel]:  # type: ignore[empty-body]
    """Return pages that are added to the web UI or replace the generated page of a task."""
