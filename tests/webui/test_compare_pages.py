"""The pages that compare models, look inside and list plugins, and the shortcuts, in a browser."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from webui_kit import Visitor, web_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

Open = Callable[..., "Page"]
ROWS = "text,label\nA wonderful film,positive\nDreadful and boring,negative\nGood,negative\n"
SHIFT = """new Promise((done) => {
  let sum = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) sum += entry.value;
  }).observe({ type: "layout-shift", buffered: true });
  requestAnimationFrame(() => setTimeout(() => done(sum)));
})"""


@pytest.fixture(scope="module")
def guest(browser: Browser) -> Iterator[Visitor]:
    with web_server(environment={"NLPLUG_OFFLINE": "1"}) as address:
        yield Visitor(browser, address)


@pytest.fixture
def comparing(guest: Visitor) -> Iterator[Page]:
    guest.foreign.clear()
    page = guest.open("compare#/sentiment")
    for side in ("first", "second"):
        page.locator(f"#np-c-{side}-precision option[value=int8]").wait_for(state="attached")
    yield page
    guest.leave()
    assert guest.foreign == []


def test_one_text_on_both_sides(comparing: Page) -> None:
    comparing.locator("#np-c-field-text").fill("A wonderful film")
    comparing.locator(".np-c-options summary").click()
    comparing.locator("#np-c-option-top_k").fill("2")
    comparing.locator("#np-c-ask").click()
    assert "Both sides are the same model" in comparing.locator("#np-c-alike").inner_text()
    answers = comparing.locator(".np-c-answer")
    answers.nth(1).wait_for()
    for told in answers.all_inner_texts():
        assert "sentiment-en@int8" in told
        assert "positive" in told and "negative" in told
        assert " ms · " in told
    assert comparing.locator(".np-c-verdict").get_attribute("data-same") == "true"


def test_a_file_on_both_sides_and_its_report(comparing: Page, tmp_path: Path) -> None:
    file = tmp_path / "dev.csv"
    file.write_text(ROWS)
    comparing.locator("#np-c-file").set_input_files(file)
    comparing.locator("#np-c-ask-file").click()
    told = comparing.locator("#np-c-agree").inner_text()
    assert told == "Same answer on 100.00 % of 3 rows; different on 0."
    with comparing.expect_download() as saved:
        comparing.locator("#np-c-download_json").click()
    assert json.loads(saved.value.path().read_text())["rows"] == 3
    file.write_text("text\nx\n")
    comparing.locator("#np-c-file").set_input_files(file)
    comparing.locator("#np-c-ask-file").click()
    error = comparing.locator("form .np-error")
    assert "dev.csv" in error.inner_text()
    assert comparing.locator("#np-c-agree").count() == 0
    comparing.locator("#np-c-labelled").uncheck()
    comparing.locator("#np-c-ask-file").click()
    told = comparing.locator("#np-c-agree").inner_text()
    assert told == "Same answer on 100.00 % of 1 row; different on 0."
    assert comparing.locator("#np-c-download_report").count() == 1


def test_maps_probabilities_and_neighbors_by_keyboard(guest: Visitor) -> None:
    page = guest.open("inside#/translation", width=390)
    page.locator("#np-i-field-text").fill("The cat is black.")
    page.locator("#np-i-ask").press("Enter")
    cells = page.locator("#np-i-map tbody tr")
    page.locator("#np-i-neighbors").wait_for()
    caption = page.locator("#np-i-map caption")
    assert "Generated text to the source" in caption.inner_text()
    page.locator("#np-i-kind").select_option("0")
    page.locator("#np-i-layer").focus()
    page.keyboard.press("ArrowDown")
    page.locator("#np-i-head").focus()
    page.keyboard.press("ArrowDown")
    assert caption.inner_text() == "Source to itself (encoder) · Layer: 1 · Head: 1"
    assert [row.split()[0] for row in cells.all_inner_texts()][:2] == ["The", "cat"]
    for row in cells.all_inner_texts():
        assert 95 <= sum(map(int, row.split()[1:])) <= 105
    told = page.locator("#np-i-probabilities tbody tr").all_inner_texts()
    assert "chat" in told[1] and " %" in told[1]
    assert "dark" in page.locator("#np-i-neighbors").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.locator("#np-i-window").fill("2")
    page.locator("#np-i-found .np-outdated").wait_for()
    page.locator("#np-i-ask").click()
    error = page.locator("form .np-error")
    assert "window is 2" in error.inner_text()
    page.reload()
    page.locator("#np-inside[data-ready=translation]").wait_for()
    assert page.locator("#np-i-field-text").input_value() == "The cat is black."
    guest.leave()
    assert guest.foreign == []


def test_inside_answers_while_typing_and_keeps_what_is_chosen(guest: Visitor) -> None:
    page = guest.open("inside#/translation")
    page.locator("#np-i-live").uncheck()
    page.locator("#np-i-live").check()  # chosen, so that a slow machine asks too
    page.locator("#np-i-field-text").fill("The cat is black.")
    page.locator("#np-i-map caption").wait_for()
    page.locator("#np-i-kind").select_option("0")
    page.locator("#np-i-layer").select_option("0")
    page.locator("#np-i-field-text").fill("The dog is black.")
    page.locator("#np-i-map tbody th", has_text="dog").wait_for()
    page.locator("#np-i-live").uncheck()
    page.locator("#np-i-field-text").fill("Le chat est noir, et il dort sur la table.")
    page.locator("#np-i-model").press("Control+Enter")
    page.locator("#np-i-map tbody th", has_text="chat").wait_for()
    assert "French" in page.locator("#np-i-found .np-notice").inner_text()
    told = page.locator("#np-i-map caption").inner_text()
    assert told == "Source to itself (encoder) · Layer: 1 · Head: Mean of all"
    guest.leave()


def test_the_gate_and_a_model_that_does_not_exist(comparing: Page) -> None:
    gate = comparing.locator("#np-c-gates .np-c-gate")
    assert "650 labelled rows" in gate.inner_text()
    comparing.locator("#np-c-second-model").fill("/nowhere")
    comparing.locator("#np-c-second-model").press("Tab")
    assert "/nowhere" in comparing.locator(".np-c-side .np-error").inner_text()


def test_an_error_is_explained_in_chinese(guest: Visitor) -> None:
    page = guest.open("compare#/sentiment", locale="zh-CN")
    model = page.locator("#np-c-second-model")
    model.fill("acme/not-here")
    model.press("Tab")
    error = page.locator(".np-c-side .np-error")
    assert "网络访问已关闭" in error.inner_text()
    assert "acme/not-here" in error.locator(".np-original[lang=en]").inner_text()
    guest.leave()


@pytest.mark.parametrize("task", ["nothing", "%E0%A4%A"])
def test_a_task_of_the_address_that_is_not_there_is_named(comparing: Page, task: str) -> None:
    comparing.evaluate("task => { location.hash = `#/${task}` }", task)
    comparing.locator("#np-compare .np-error", has_text=f"There is no task {task}").wait_for()
    assert comparing.locator("#np-c-task").input_value() == ""
    comparing.locator("#np-c-task").select_option("sentiment")
    comparing.locator("#np-c-ask").wait_for()


def test_the_task_is_in_the_address(comparing: Page) -> None:
    comparing.locator("#np-c-task").select_option("ner")
    comparing.locator("#np-compare[data-ready=ner]").wait_for()
    comparing.reload()
    comparing.locator("#np-compare[data-ready=ner]").wait_for()
    assert comparing.locator("#np-c-task").input_value() == "ner"


def test_fields_come_back_and_an_answer_is_marked_when_they_change(comparing: Page) -> None:
    text = comparing.locator("#np-c-field-text")
    text.fill("A wonderful film")
    comparing.locator(".np-c-answer").nth(1).wait_for()  # without a click: both models are fast
    comparing.locator("#np-c-live").uncheck()
    comparing.locator("#np-c-second-precision").select_option("auto")
    outdated = comparing.locator("#np-c-answers .np-outdated")
    assert outdated.inner_text() == "Outdated: input or options have changed"
    comparing.locator("#np-c-ask").click()
    outdated.wait_for(state="detached")
    assert comparing.locator(".np-c-answer [data-copy]").first.get_attribute("data-value") == (
        comparing.locator(".np-c-answer tbody tr").first.inner_text()
    )
    text.fill("A dull film")
    outdated.wait_for()
    text.fill("A wonderful film")
    outdated.wait_for(state="detached")
    comparing.locator(".np-c-options summary").click()
    comparing.locator("#np-c-option-top_k").fill("2")
    comparing.reload()
    comparing.locator("#np-c-option-top_k").wait_for()  # visible: its fold is open
    assert text.input_value() == "A wonderful film"
    assert comparing.locator("#np-c-option-top_k").input_value() == "2"
    chosen = comparing.locator("#np-c-second-precision")
    chosen.locator("option[value=int8]").wait_for(state="attached")
    assert chosen.input_value() == "auto"
    comparing.locator("#np-c-task").select_option("ner")
    comparing.locator("#np-compare[data-ready=ner]").wait_for()
    comparing.go_back()
    comparing.locator("#np-compare[data-ready=sentiment]").wait_for()
    assert text.input_value() == "A wonderful film"


def test_a_text_too_long_for_an_address_comes_back_in_the_tab(comparing: Page) -> None:
    long = "good " * 1000
    comparing.locator("#np-c-live").uncheck()
    comparing.locator("#np-c-field-text").fill(long)
    assert len(comparing.url) < 2200
    comparing.reload()
    comparing.locator("#np-compare[data-ready=sentiment]").wait_for()
    assert comparing.locator("#np-c-field-text").input_value() == long


def test_plugins_have_commands_and_buttons_that_are_off(guest: Visitor) -> None:
    page = guest.open("plugins")
    line = page.locator("[data-dist=nlplug-sentiment]")
    assert "nlplug plugins uninstall nlplug-sentiment" in line.inner_text()
    assert line.locator("[data-change=uninstall]").is_disabled()
    assert "requires no login" in page.locator("#np-p-off").inner_text()
    guest.leave()


def test_the_button_asks_before_it_removes_a_plugin(browser: Browser) -> None:
    variables = {"NLPLUG_OFFLINE": "1", "NLPLUG_API_KEY": "secret"}
    with web_server(environment=variables) as address:
        context = browser.new_context(extra_http_headers={"x-api-key": "secret"})
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda one: asked.append(one.url) if one.method == "POST" else None)
        page.goto(f"{address}plugins")
        button = page.locator("[data-dist=nlplug-sentiment] [data-change=uninstall]")
        button.click()
        assert button.inner_text() == "Click again to uninstall"
        assert not any("np-plugins" in url for url in asked)
        context.close()


def test_shortcuts_are_listed_and_work(open_page: Open) -> None:
    page = open_page("tone")
    page.locator("#tone-input-text textarea").wait_for()
    page.keyboard.press("?")
    assert "Keyboard shortcuts" in page.locator("#np-keys").inner_text()
    page.keyboard.press("Escape")
    page.locator("#np-keys").wait_for(state="hidden")
    page.keyboard.press("/")
    area = page.locator("#tone-input-text textarea")
    assert area.evaluate("area => area === document.activeElement")
    before = area.input_value()
    page.keyboard.type("?/")
    assert sorted(area.input_value()) == sorted(before + "?/")
    assert page.locator("#np-keys[open]").count() == 0


@pytest.mark.parametrize("path", ["", "tone", "compare", "plugins"])
def test_nothing_moves_while_a_page_opens(open_page: Open, path: str) -> None:
    page = open_page(path)
    page.locator(".np-foot").wait_for()
    assert page.evaluate(SHIFT) <= 0.1


@pytest.mark.parametrize("path", ["compare", "plugins"])
def test_the_pages_fit_a_phone_and_speak_chinese(open_page: Open, path: str) -> None:
    page = open_page(path, width=390, is_mobile=True, has_touch=True, locale="zh-CN")
    page.locator("#np-c-ask, #np-p-installed").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert {"compare": "比较一段文本", "plugins": "管理已安装的包"}[path] in page.inner_text("body")


def test_an_opened_page_is_kept_by_the_browser(open_page: Open) -> None:
    page = open_page("tone")
    page.locator(".np-foot").wait_for()
    fetched = """performance.getEntriesByType("resource").filter((one) => one.transferSize > 0)
      .map((one) => one.name)"""
    page.goto(page.url)
    page.locator(".np-foot").wait_for()
    assert not [name for name in page.evaluate(fetched) if "/assets/" in name]
