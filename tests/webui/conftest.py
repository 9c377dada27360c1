"""One server and one browser for all browser tests, with every request written down."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from webui_kit import install_plugins, web_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def chromium() -> str | None:
    """Where a Chromium is: ``NLPLUG_CHROMIUM``, else the one on the PATH."""
    named = os.environ.get("NLPLUG_CHROMIUM")
    return named or shutil.which("chromium") or shutil.which("chromium-browser")


def missing_browser() -> str | None:
    """Why browser tests cannot run here, or None."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed"
    return None if chromium() else "there is no chromium"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests are skipped where there is no browser."""
    reason = missing_browser()
    if reason is None:
        return
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a healthy plugin, broken ones and one of many displays are installed."""
    return install_plugins(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="session")
def server(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running ``nlplug webui`` that may not fetch anything."""
    folders = {
        "NLPLUG_CACHE": str(tmp_path_factory.mktemp("cache")),
        "GRADIO_TEMP_DIR": str(tmp_path_factory.mktemp("uploads")),
    }
    with web_server(site=site, environment={"NLPLUG_OFFLINE": "1", **folders}) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium with a profile of its own."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=list(_ARGUMENTS))
        yield running
        running.close()


@pytest.fixture
def open_page(browser: Browser, server: str) -> Iterator[Callable[..., Page]]:
    """Opens a page of the UI; afterwards fails if anything was asked of another host.

    Every address but this machine's is refused, as without a network.
    """
    contexts: list[Any] = []
    foreign: list[str] = []

    def watch(route: Any) -> None:
        host = urlsplit(route.request.url).hostname
        if host in _LOOPBACK:
            route.continue_()
        else:
            foreign.append(route.request.url)
            route.abort()

    def note(request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in _LOOPBACK:
            foreign.append(request.url)

    def go(path: str = "", *, width: int = 1280, **settings: Any) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, **{"locale": "en-US", **settings}
        )
        contexts.append(context)
        context.set_default_timeout(60_000)
        context.on("request", note)
        context.route("**/*", watch)
        page = context.new_page()
        page.goto(server + path)
        page.locator(".np-header").wait_for()
        return page

    yield go
    for context in contexts:
        context.close()
    assert foreign == []
