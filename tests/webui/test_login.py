"""The guard before the pages, met with a real browser: keys, the login, names of other sites."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest
from webui_kit import WAIT, web_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

KEY = {"X-API-Key": "second"}


@pytest.fixture(scope="module")
def locked(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a web UI that asks for one of two keys."""
    folders = {
        "NLPLUG_CACHE": str(tmp_path_factory.mktemp("cache")),
        "GRADIO_TEMP_DIR": str(tmp_path_factory.mktemp("uploads")),
    }
    variables = {"NLPLUG_OFFLINE": "1", "NLPLUG_API_KEY": "first,second", **folders}
    with web_server(site=site, environment=variables) as address:
        yield address


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a browser that has no cookies."""
    context = browser.new_context(locale="en-US")
    context.set_default_timeout(WAIT * 1000)
    yield context.new_page()
    context.close()


def log_in(page: Page, key: str) -> None:
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Log in").click()


def test_a_browser_logs_in_and_uses_the_page_that_it_asked_for(page: Page, locked: str) -> None:
    page.goto(locked + "tone")
    assert urlsplit(page.url).path == "/login"
    log_in(page, "wrong")
    assert page.get_by_role("alert").inner_text() == "This is not a valid key."
    log_in(page, "first")
    page.locator(".np-header").wait_for()
    assert urlsplit(page.url).path == "/tone"
    page.locator("#tone-input-text textarea, textarea").first.fill("a good day")
    page.locator("#run").click()
    page.locator("#result .np-answer").wait_for()
    assert page.locator("#result .np-bar-name").all_inner_texts() == ["positive", "negative"]


def test_a_page_whose_session_has_ended_leads_to_the_login(page: Page, locked: str) -> None:
    page.goto(f"{locked}compare#/tone")
    log_in(page, "first")
    page.locator("#np-c-ask").wait_for()
    assert urlsplit(page.url).fragment == "/tone"
    page.context.clear_cookies()  # as after a restart of the server
    page.locator("#np-c-ask").click()
    told = page.locator(".np-error", has_text="You are logged out")
    told.get_by_role("button", name="Log in").click()
    log_in(page, "second")
    page.locator("#np-c-ask").wait_for()
    opened = urlsplit(page.url)
    assert (opened.path, opened.fragment.partition("?")[0]) == ("/compare", "/tone")


def test_no_script_of_the_page_can_read_the_session(page: Page, locked: str) -> None:
    page.goto(locked)
    log_in(page, "second")
    page.locator(".np-header").wait_for()
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
    assert page.evaluate("document.cookie") == ""


def test_a_program_sends_its_key_in_a_header(locked: str) -> None:
    asked = {"inputs": "good"}
    assert httpx.post(f"{locked}models/tone", json=asked, timeout=WAIT).status_code == 401
    answer = httpx.post(f"{locked}models/tone", json=asked, headers=KEY, timeout=WAIT)
    assert answer.json()[0][0]["label"] == "positive"


def test_what_gradio_serves_is_closed_without_a_key(locked: str) -> None:
    for method, path in (
        ("GET", "config"),
        ("GET", "gradio_api/info"),
        ("GET", "gradio_api/startup-events"),
        ("GET", "gradio_api/heartbeat/x"),
        ("GET", "theme.css"),
        ("POST", "gradio_api/upload"),
        ("POST", "gradio_api/queue/join"),
        ("POST", "gradio_api/cancel"),
        ("POST", "gradio_api/reset"),
        ("POST", "gradio_api/run/predict"),
    ):
        answer = httpx.request(method, locked + path, timeout=WAIT)
        assert answer.status_code == 401, path
        assert "gradio" not in answer.text
    for path in ("", "tone", "plugins"):
        answer = httpx.get(locked + path, headers={"Accept": "text/html"}, timeout=WAIT)
        assert answer.status_code == 303
        assert answer.content == b""


def test_a_page_of_another_site_reaches_nothing_here(page: Page, server: str) -> None:
    port = urlsplit(server).port
    answer = page.goto(f"http://evil.example:{port}/tone")
    assert answer is not None
    assert answer.status == 421
    told = page.locator("main p").first.inner_text()
    assert told == "This server is not known as 'evil.example'."
    refused = page.goto(f"http://evil.example:{port}/config")
    assert refused is not None
    assert refused.status == 421
