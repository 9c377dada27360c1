"""One server and one browser for all browser tests, with every request written down."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from webui_kit import Visitor, install_plugins, web_server

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
    # As without a network: no name leads anywhere but this machine's own, and one of another site
    # that points to it.
    "--host-resolver-rules=MAP evil.example 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, "
    "EXCLUDE localhost",
)


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
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of the server."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def server(site: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running ``nlplug webui`` that may not fetch anything."""
    folders = {
        "NLPLUG_CACHE": str(cache),
        "GRADIO_TEMP_DIR": str(tmp_path_factory.mktemp("uploads")),
    }
    with web_server(site=site, environment={"NLPLUG_OFFLINE": "1", **folders}) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium with a profile of its own.

    Ended with the module: as long as playwright is there, an event loop runs in this thread, and
    no other test could start one.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=list(_ARGUMENTS))
        yield running
        running.close()


@pytest.fixture(scope="module")
def visitor(browser: Browser, server: str) -> Visitor:
    """Whoever visits the server."""
    return Visitor(browser, server)


@pytest.fixture
def open_page(visitor: Visitor) -> Iterator[Callable[..., Page]]:
    """Opens a page of the UI; afterwards fails if anything was asked of another host."""
    with visitor.visit():
        yield visitor.open
