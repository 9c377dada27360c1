"""The UI as one Gradio app with several pages, mounted in the app of the HTTP API."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

# Gradio reads this variable when it is imported.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio as gr
import gradio.blocks
from gradio.i18n import I18nData
from gradio.routes import App

from nlplug.server.pool import ModelPool
from nlplug_webui import look_and_feel, pages
from nlplug_webui.batch_runs import BatchRuns, runs_of
from nlplug_webui.bundled import GradioFiles
from nlplug_webui.error_pages import ErrorPages
from nlplug_webui.events import AT_ONCE
from nlplug_webui.hookspecs import PanelContext
from nlplug_webui.lasting import LastingFiles
from nlplug_webui.messages import card_html
from nlplug_webui.pages import (
    COMPARE_PAGE,
    CONTENT,
    HOME,
    INSIDE_PAGE,
    PLUGINS_PAGE,
    WORKSPACE_PAGE,
    Page,
)
from nlplug_webui.private import PrivatePages
from nlplug_webui.running_costs import reduce_costs
from nlplug_webui.sent_texts import texts_script
from nlplug_webui.task_page import build_task_page, page_texts
from nlplug_webui.texts import LANGUAGES, PREFIX, language_of, say, translations
from nlplug_webui.uploads import read_uploads_only
from nlplug_webui.workshop.batches import Batches
from nlplug_webui.workshop.compare import Comparing
from nlplug_webui.workshop.inside import Insides
from nlplug_webui.workshop.plugins import Plugins
from nlplug_webui.workshop.products import TaskTools
from nlplug_webui.workshop.routes import Workshop, off
from nlplug_webui.workshop.scripts import SentFile, scripts
from nlplug_webui.workshop.texts import workshop_texts

if TYPE_CHECKING:
    from fastapi import FastAPI

    from nlplug.plugins import PluginHost
    from nlplug.workspace import WorkspaceFolder

_log = logging.getLogger(__name__)
_FILES_KEPT_SECONDS = 3600


class _Pages(gr.Blocks):
    """A Gradio app whose routes and configuration are made once, when all of its pages are there.

    Gradio makes the routes at the start, and those and the configuration for browsers of all pages
    so far at the end of each page, and both once more when the app is mounted. Making the routes
    takes 60 ms each time.

    Attributes:
        complete: Whether all pages are there.
    """

    complete = False

    def __init__(self, **settings: Any) -> None:
        with _no_routes():
            super().__init__(**settings)

    def __exit__(self, *raised: Any) -> None:
        with _no_routes():
            super().__exit__(*raised)

    def get_config_file(self) -> Any:
        """The configuration; empty until the pages are complete."""
        return super().get_config_file() if self.complete else {}


class _NoApp:
    @staticmethod
    def create_app(*_: Any, **__: Any) -> None:
        """In place of the routes of Gradio."""


@contextmanager
def _no_routes() -> Iterator[None]:
    """Within, Gradio makes no routes."""
    names = vars(gradio.blocks)
    names["App"] = _NoApp
    try:
        yield
    finally:
        names["App"] = App


class WebUI:
    """Pages for the tasks of a host.

    Args:
        host: The plugins; all of them are loaded.
        pool: The models of the pages.
        reserved: First path segments that are in use.
        api: URL of the documentation of the HTTP API, for a link; None for no link.
        workspace: Whether there is a workspace, in which corrections can be stored.
    """

    def __init__(
        self,
        host: PluginHost,
        pool: ModelPool,
        *,
        reserved: Collection[str] = (),
        api: str | None = None,
        workspace: bool = False,
    ) -> None:
        self.host = host
        self.pool = pool
        self.pages = pages.collect(host, reserved)
        texts = pages.texts_of(self.pages, api)
        for page in self.pages:
            if page.task is not None:
                texts |= page_texts(page.task, pool)
        texts |= workshop_texts(any_folder=not pool.only_packaged, corrects=workspace)
        self._i18n = gr.I18n()  # makes keys only: each page gets its texts in texts_script
        failures = {page.path: self._rehearse(page) for page in self.pages}
        self.failed_pages = {path: cause for path, cause in failures.items() if cause}
        texts["plugins:html"] = {
            language: pages.plugins_html(host.records(), language, self.failed_pages)
            for language in LANGUAGES
        }
        self.texts = translations(texts)
        self.blocks = self._build()

    def _text(self, key: str) -> I18nData:
        return self._i18n(PREFIX + key)

    def _build(self) -> gr.Blocks:
        demo = _Pages(
            title="nlplug",
            analytics_enabled=False,
            fill_width=True,
            delete_cache=(_FILES_KEPT_SECONDS, _FILES_KEPT_SECONDS),
        )
        # With a single task, its page is the first page, without an overview.
        alone = self.pages[0] if len(self.pages) == 1 else None
        with demo:
            if alone:
                self._page(demo, alone, alone.path)
            else:
                self._home()
        for page in self.pages:
            with demo.route(page.name, f"/{page.path}", show_in_navbar=False):
                self._page(demo, page, page.path)
        with demo.route(PLUGINS_PAGE, f"/{PLUGINS_PAGE}", show_in_navbar=False):
            self._plugins(demo)
        for name in (WORKSPACE_PAGE, COMPARE_PAGE, INSIDE_PAGE):
            with demo.route(name, f"/{name}", show_in_navbar=False):
                self._scripted(name)
        demo.app = App.create_app(demo, mcp_server=False)  # the queue of calls needs one
        demo.complete = True
        return demo

    def _page(self, demo: gr.Blocks, page: Page, current: str) -> None:
        failure = self.failed_pages.get(page.path)
        self._frame_top(current)
        with gr.Column(elem_id=CONTENT, elem_classes="np-page"):
            gr.HTML(self._text(f"title:{page.path}"))
            if failure is None:
                self._fill(demo, page)
            else:
                title = say("error_page", "en")
                hint = say("error_unexpected_hint", "en", plugin="the plugin of this page")
                gr.HTML(card_html(title, failure, hint, "en", style="np-error"))
            gr.HTML(self._text("foot:html"))

    def _rehearse(self, page: Page) -> str | None:
        """Build a page on trial, so that a failure leaves no components in the real UI.

        Returns:
            The error as text, or None.
        """
        try:
            with _Pages(analytics_enabled=False) as rehearsal:
                self._fill(rehearsal, page)
            rehearsal.complete = True
            rehearsal.get_config_file()
        except Exception as error:
            _log.exception("the page %r cannot be built", page.name)
            return f"{type(error).__name__}: {error}"
        return None

    def _fill(self, blocks: gr.Blocks, page: Page) -> None:
        context = PanelContext(self.host, self.pool, blocks, page.task)
        if page.panel is not None:
            page.panel.build(context)
        else:
            build_task_page(context, self._text)

    def _home(self) -> None:
        self._frame_top(HOME.path)
        with gr.Column(elem_id=CONTENT, elem_classes="np-page"):
            gr.HTML(self._text("home:html"))
            gr.HTML(self._text("foot:html"))

    def _plugins(self, demo: gr.Blocks) -> None:
        self._frame_top(PLUGINS_PAGE)
        with gr.Column(elem_id=CONTENT, elem_classes="np-page"):
            gr.HTML(self._text(f"title:{PLUGINS_PAGE}"))
            shown = gr.HTML(self._text("plugins:html"), elem_id="plugins")
            demo.load(self._plugins_html, None, shown, **AT_ONCE)
            gr.HTML(self._text("plugins:root"))
            gr.HTML(self._text("foot:html"))

    def _scripted(self, name: str) -> None:
        """A page that its script fills."""
        self._frame_top(name)
        with gr.Column(elem_id=CONTENT, elem_classes="np-page"):
            gr.HTML(self._text(f"title:{name}"))
            gr.HTML(self._text(f"{name}:root"), elem_id=name)
            gr.HTML(self._text("foot:html"))

    def _plugins_html(self, request: gr.Request) -> str:
        return pages.plugins_html(self.host.records(), language_of(request), self.failed_pages)

    def _frame_top(self, current: str) -> None:
        gr.HTML(self._text(f"header:{current}"), elem_classes="np-frame")


def mount(
    app: FastAPI,
    host: PluginHost,
    pool: ModelPool | None = None,
    workspace: WorkspaceFolder | None = None,
    *,
    loopback: bool = False,
    protected: bool = False,
) -> WebUI:
    """Mount the UI at ``/`` of an app; existing routes take precedence.

    Args:
        app: The HTTP API, or an empty app.
        host: The plugins.
        pool: The models of the pages, shared with the API; None creates a pool.
        workspace: The workspace of the pages; None: they say how to get one.
        loopback: Whether only this machine reaches the server.
        protected: Whether browsers have to log in. Plugins can be installed from the page if it
            and `loopback` are true.
    """
    pool = pool or ModelPool(host)
    router = off() if workspace is None else Workshop(workspace, host, pool).router
    app.include_router(router)
    app.include_router(Comparing(host, pool).router)
    app.include_router(Insides(host, pool).router)
    app.include_router(TaskTools(host, pool).router)
    app.include_router(Batches(runs_of(pool)).router)
    app.include_router(Plugins(host, loopback=loopback, protected=protected).router)
    paths = [str(getattr(route, "path", "")) for route in app.routes]
    reserved = {path.strip("/").split("/")[0] for path in paths}
    ui = WebUI(
        host,
        pool,
        reserved=reserved,
        api="./openapi.json",  # a page of documentation would load from another host
        workspace=workspace is not None,
    )
    first, later = scripts()
    parts = GradioFiles(part.get_block_name() for part in ui.blocks.blocks.values())
    bundle = SentFile("np-gradio.js", "text/javascript", parts.script)
    styles = SentFile("np-gradio.css", "text/css", parts.styles)
    for file in (first, bundle, later, styles):
        app.add_api_route(f"/{file.name}", file.answer, methods=["GET"], include_in_schema=False)
    settings: dict[str, Any] = look_and_feel.settings()
    read_uploads_only(ui.blocks)
    gr.mount_gradio_app(
        app,
        ui.blocks,
        path="/",
        footer_links=[],
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        show_error=True,
        **settings,
    )
    reduce_costs(app, ui.blocks)
    sheet = f'<link rel="stylesheet" href="{styles.address}">'.encode()
    app.add_middleware(
        PrivatePages,
        head=look_and_feel.head((first.address, bundle.address), later.address),
        tail=lambda page: sheet + texts_script(page, ui.texts),
    )
    app.add_middleware(ErrorPages)
    app.add_middleware(LastingFiles)
    _end_with(app, runs_of(pool))
    return ui


def _end_with(app: FastAPI, runs: BatchRuns) -> None:
    """End the batches when the server ends, before its models are closed."""
    before = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[Any]:
        async with before(app) as state:
            yield state
            await asyncio.to_thread(runs.close)

    app.router.lifespan_context = lifespan
