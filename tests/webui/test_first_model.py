"""The page of a task without a model of its own leads to a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from nlplug import PluginHost
from nlplug.server.pool import ModelPool
from nlplug_webui.first_model import lacks_model, message_html, placeholder_html

if TYPE_CHECKING:
    from playwright.sync_api import Page

TITLES = [("en", "Choose a model first"), ("zh", "请先选择模型")]
SUGGESTED = "Xenova/nli-deberta-v3-xsmall"


@pytest.fixture(scope="module")
def plugins() -> PluginHost:
    return PluginHost.discover()


def test_only_a_task_without_any_model_asks_for_one(plugins: PluginHost) -> None:
    pool = ModelPool(plugins)
    assert lacks_model(plugins.task("fill-mask"), pool)
    assert not lacks_model(plugins.task("sentiment"), pool)
    assert placeholder_html(plugins.task("sentiment"), pool, "en") == ""


@pytest.mark.parametrize(
    ("language", "title"), [("en", "Choose a model first"), ("zh", "请先选择模型")]
)
def test_models_are_suggested_where_they_can_be_opened(
    plugins: PluginHost, language: str, title: str
) -> None:
    task = plugins.task("zero-shot-classification")
    for make in (message_html, placeholder_html):
        shown = make(task, ModelPool(plugins), language)
        assert title in shown and f'data-use-model="{SUGGESTED}"' in shown
        closed = make(task, ModelPool(plugins, only_packaged=True), language)
        assert title in closed and "data-use-model" not in closed


@pytest.mark.browser
def test_a_suggested_model_is_taken_with_a_click(open_page: Callable[..., Page]) -> None:
    page = open_page("zero-shot-classification")
    first = page.locator("#result .np-model-first")
    first.get_by_text("Choose a model first").wait_for()
    assert not page.get_by_text("The result appears here").is_visible()
    page.locator("#examples .gallery-item").first.click()
    said = page.locator("#result .np-card-message")
    said.get_by_text("Choose a model first").wait_for()
    page.locator(f'#result [data-use-model="{SUGGESTED}"]').last.click()
    said.get_by_text("The network is switched off").first.wait_for()  # it was asked for
    assert page.locator("#model input").input_value() == SUGGESTED
    assert page.evaluate("new URLSearchParams(location.search).get('model')") == SUGGESTED
    page.locator("#clear").click()
    page.get_by_text("The result appears here").wait_for()
