"""Answers while typing, outdated answers, address and code of a page, in a browser."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from webui_kit import LastingServer, Visitor

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

Open = Callable[..., "Page"]
STATE = "state => document.querySelector('#result')?.dataset.state === state"
BOX = "#tone-input-text textarea"


def ready(page: Page) -> Page:
    """The page once its model is shown."""
    page.locator("#model-facts .np-model-name").wait_for()
    return page


def type_text(page: Page, text: str, box: str = BOX) -> None:
    page.locator(box).press_sequentially(text, delay=15)


def state(page: Page, expected: str) -> None:
    page.wait_for_function(STATE, arg=expected)


def best(page: Page) -> str:
    return page.locator("#result .np-bar-name").first.inner_text()


def value_is(page: Page, text: str, box: str = BOX) -> None:
    wanted = "([box, text]) => document.querySelector(box)?.value === text"
    page.wait_for_function(wanted, arg=[box, text])


def address_has(page: Page, part: str) -> None:
    page.wait_for_function("part => location.search.includes(part)", arg=part)


def follow(page: Page, address: str) -> None:
    """Open a page by the menu."""
    page.locator(".np-menu summary").click()
    page.locator(f".np-menu-links a[href='{address}']").click()


def test_the_answer_appears_while_typing(open_page: Open) -> None:
    page = ready(open_page("tone"))
    type_text(page, "a good day")
    state(page, "current")
    assert best(page) == "positive"
    for _ in "good day":
        page.keyboard.press("Backspace")
    type_text(page, "dull day")
    page.locator("#result .np-bar-first", has_text="negative").wait_for()
    state(page, "current")


def test_the_answer_is_announced_to_screen_readers(open_page: Open) -> None:
    page = ready(open_page("tone"))
    region = page.locator("#np-announced[role=status][aria-live=polite]")
    region.wait_for(state="attached")
    page.evaluate("window.region = document.querySelector('#np-announced')")
    type_text(page, "good")
    page.wait_for_function("region.isConnected && region.textContent.includes('positive')")


def test_without_the_switch_the_answer_waits_for_run_or_keys_and_is_marked(open_page: Open) -> None:
    page = ready(open_page("tone"))
    page.locator("#np-live input").uncheck()
    try:
        type_text(page, "good")
        page.locator("#run").click()
        state(page, "current")
        assert not page.locator("#result .np-outdated").is_visible()
        type_text(page, " and dull dull dull")
        state(page, "outdated")
        assert page.locator("#result .np-outdated").is_visible()
        # Longer than the pause after which the page would ask.
        page.wait_for_timeout(900)
        state(page, "outdated")
        page.locator(BOX).press("Control+Enter")
        state(page, "current")
        page.locator("#tone-option-top_k input").first.fill("1")
        state(page, "outdated")
    finally:
        page.locator("#np-live input").check()


def test_a_generated_text_is_not_made_while_typing(open_page: Open) -> None:
    page = ready(open_page("drip"))
    assert not page.locator("#np-live input").is_checked()
    type_text(page, "Once", "#drip-input-text textarea")
    page.wait_for_timeout(900)
    assert page.locator("#result .np-reply").count() == 0


def test_form_and_answer_are_beside_each_other_above_the_fold(open_page: Open) -> None:
    page = ready(open_page("tone", viewport={"width": 1280, "height": 800}))
    type_text(page, "good")
    state(page, "current")
    form = page.locator("#try-card").bounding_box()
    facts = page.locator("#result .np-facts").bounding_box()
    assert form and facts
    assert facts["x"] > form["x"] + form["width"]
    assert facts["y"] + facts["height"] <= 800


def test_on_a_phone_the_answer_is_scrolled_to(open_page: Open) -> None:
    page = ready(open_page("tone", width=390, is_mobile=True, has_touch=True))
    page.locator(BOX).fill("good")
    page.locator("#run").click()
    state(page, "current")
    visible = """() => {
        const bar = document.querySelector('#result').getBoundingClientRect();
        return bar.top >= -1 && bar.top < innerHeight / 2;
    }"""
    page.wait_for_function(visible)


def test_the_answer_can_be_copied(open_page: Open) -> None:
    page = ready(open_page("tone", permissions=["clipboard-read", "clipboard-write"]))
    type_text(page, "good")
    state(page, "current")
    page.locator("#result .np-result-bar [data-copy=answer]").click()
    page.locator(".np-copy", has_text="Copied").wait_for()
    lines = page.evaluate("navigator.clipboard.readText()").splitlines()
    assert [line.split("\t")[0] for line in lines] == ["positive", "negative"]


def test_a_link_restores_text_and_options_in_another_tab(open_page: Open) -> None:
    page = ready(open_page("tone"))
    type_text(page, "a good & dull day + 1")
    page.locator("#tone-option-top_k input").first.fill("1")
    address_has(page, "top_k=1")
    address_has(page, "text=")
    other = ready(open_page(page.url.rsplit("/", 1)[1]))
    value_is(other, "a good & dull day + 1")
    assert other.locator("#tone-option-top_k input").first.input_value() == "1"
    state(other, "current")
    assert other.locator("#result .np-bar").count() == 1


def test_a_reload_loses_nothing_even_of_a_long_text(open_page: Open) -> None:
    page = ready(open_page("tone"))
    text = "a good day\n" * 1_000
    page.locator(BOX).fill(text)
    address_has(page, "long=")
    assert len(page.url) < 2_200
    page.reload()
    value_is(page, text)
    state(page, "current")


def test_a_page_opened_again_in_the_tab_has_its_text(open_page: Open, visitor: Visitor) -> None:
    page = ready(open_page("tone"))
    type_text(page, "good")
    address_has(page, "text=good")
    follow(page, "./spans")
    page.locator("h1", has_text="Find words").wait_for()
    follow(page, "./tone")
    value_is(page, "good")
    fresh = ready(open_page("tone"))
    assert fresh.locator(BOX).input_value() == ""


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("tone?text=good&precision=fp99", "has no precision 'fp99'"),
        ("spans?text=good&threshold=7", "threshold is 7"),
        ("shout?text=good&case=loud", "case is 'loud'"),
    ],
)
def test_a_link_with_an_impossible_value_is_explained(
    open_page: Open, path: str, told: str
) -> None:
    page = open_page(path)
    value_is(page, "good", "#try-card textarea")
    page.locator("#run").click()
    page.locator("#result .np-card-message", has_text=told).wait_for()


def test_a_server_that_ends_is_told_and_found_again(
    browser: Browser, site: Path, tmp_path: Path
) -> None:
    environment = {"NLPLUG_OFFLINE": "1", "NLPLUG_CACHE": str(tmp_path)}
    with ExitStack() as stack:
        server = LastingServer(stack, "--task", "tone", site=site, environment=environment)
        visitor = Visitor(browser, server.address)
        page = ready(visitor.open("tone"))
        type_text(page, "good")
        state(page, "current")
        server.stop()
        type_text(page, " and dull dull dull")
        page.locator("#np-lost", has_text="The server does not answer").wait_for()
        state(page, "outdated")
        server.start()
        page.locator("#np-lost").wait_for(state="detached")  # the page is drawn again
        value_is(page, "good and dull dull dull")
        page.locator("#run").click()
        state(page, "current")
        page.locator("#result .np-bar-first", has_text="negative").wait_for()
        visitor.leave()


def test_back_returns_to_the_link_that_was_opened(open_page: Open) -> None:
    page = ready(open_page("tone?text=good"))
    value_is(page, "good")
    page.locator(BOX).fill("dull")
    page.locator("#run").click()
    address_has(page, "text=dull")
    page.go_back()
    value_is(page, "good")


def test_back_returns_to_the_call_before(open_page: Open) -> None:
    page = ready(open_page("tone"))
    page.locator(BOX).fill("good")
    page.locator("#run").click()
    state(page, "current")
    address_has(page, "text=good")
    page.locator(BOX).fill("dull")
    page.locator("#run").click()
    address_has(page, "text=dull")
    page.go_back()
    value_is(page, "good")
    page.locator("#result .np-bar-first", has_text="positive").wait_for()
    page.go_forward()
    value_is(page, "dull")


def test_clear_resets_the_options_that_an_example_set(open_page: Open) -> None:
    page = ready(open_page("tone"))
    option = page.locator("#tone-option-top_k input").first
    before = option.input_value()
    page.locator("#examples .gallery-item", has_text="dull").click()
    state(page, "current")
    assert option.input_value() == "2" != before
    page.locator("#clear").click()
    page.get_by_text("The result appears here").wait_for()
    value_is(page, "")
    value_is(page, before, "#tone-option-top_k input")
    state(page, "empty")


def test_every_page_has_a_title(open_page: Open) -> None:
    page = open_page("spans")
    page.wait_for_function("document.title === 'Find words · nlplug'")
    page = open_page("spans", locale="zh-CN")
    page.wait_for_function("document.title === '查找词语 · nlplug'")


def test_text_from_right_to_left_is_laid_out_so(open_page: Open) -> None:
    page = ready(open_page("drip"))
    page.locator("#drip-option-length input").first.fill("2")
    page.locator("#drip-input-text textarea").fill("שלום עולם")
    page.locator("#run").click()
    page.locator("#result .np-answer .np-text").wait_for()
    beside = """() => {
        const text = document.querySelector('#result .np-text');
        const range = document.createRange();
        range.selectNodeContents(text);
        const inner = range.getBoundingClientRect(), outer = text.getBoundingClientRect();
        return outer.right - inner.right < inner.left - outer.left;
    }"""
    assert page.evaluate(beside)


def test_the_code_is_of_what_is_on_the_page_and_runs(
    open_page: Open, server: str, site: object
) -> None:
    page = ready(open_page("tone"))
    type_text(page, 'it\'s a good "day"')
    page.locator("#tone-option-top_k input").first.fill("2")
    page.get_by_role("radio", name="In code").check()
    section = page.locator("[data-code=curl] code", has_text="top_k")
    section.wait_for()
    curl = section.inner_text()
    assert f"{server}models/tone" in curl
    body = json.loads(shlex.split(curl)[-1])
    assert body == {"inputs": 'it\'s a good "day"', "parameters": {"top_k": 2}}
    script = page.locator("[data-code=javascript] code").inner_text()
    said = page.evaluate(
        f"async () => {{ const console = {{log: (x) => (window.said = x)}};{script} return said }}"
    )
    assert "positive" in json.dumps(said)
    assert len(said[0]) == 2
    python = page.locator("[data-code=python] code").inner_text()
    run = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(site)!r})\n{python}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "'positive'" in run.stdout
    terminal = page.locator("[data-code=terminal] code").inner_text()
    assert shlex.split(terminal) == [
        *("nlplug", "run", "tone"),
        *('it\'s a good "day"', "--top-k", "2"),
    ]


def test_an_address_without_a_page_says_so(open_page: Open, server: str) -> None:
    page = open_page("tone")
    for method in ("get", "post"):
        ask = getattr(page.request, method)
        told = ask(f"{server}no-such-page", headers={"Accept": "application/json"})
        assert told.status == 404
        assert told.json()["error"] == f"There is no {method.upper()} /no-such-page here."
    answered = page.goto(f"{server}no-such-page")
    assert answered and answered.status == 404
    assert page.locator("h1").inner_text() == "Page not found"
    page.get_by_role("link", name="Go to the overview").click()
    page.locator(".np-home-card").first.wait_for()
