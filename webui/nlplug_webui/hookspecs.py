"""The hook that the web UI adds to those of nlplug: pages beyond the generated ones.

A plugin implements it without depending on the web UI, by marking it optional:

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
    """What a page is built with.

    Attributes:
        host: The plugins of this process.
        pool: The loaded models; lease one instead of loading it again.
        blocks: The page itself, for events of the page such as ``context.blocks.load(…)``.
        task: The task that the page stands for, or None where the page's name is no task.
    """

    host: PluginHost
    pool: ModelPool
    blocks: gr.Blocks
    task: Task | None = None


@dataclass(frozen=True)
class Panel:
    """One page of the web UI.

    Attributes:
        name: The page's address (``/name``); the name of a task replaces that task's page.
        title: What the navigation calls it.
        build: Called inside a Gradio ``Blocks``; it lays out the page and wires its events.
            It is called twice: once for nothing, to see that it does not fail halfway.
        description: One line under the title.
    """

    name: str
    title: Localized
    build: Callable[[PanelContext], None]
    description: Localized = field(default="")


@hookspec
def register_panels() -> Iterable[Panel]:  # type: ignore[empty-body]
    """Pages to add to the web UI, or to put in the place of a task's generated page."""
