"""The pages of tasks that write text: it comes word by word, can be stopped, and stands beside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import pytest
from webui_kit import WAIT

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

Open = Callable[..., "Page"]
GROWN = "size => document.querySelector('.np-growing .np-text')?.textContent.length > size"


@pytest.fixture
def log(site: Path) -> Path:
    """Where the endless task writes how many words it said, once somebody has ended it."""
    log = site / "drip.log"
    log.unlink(missing_ok=True)
    return log


def drip(open_page: Open, **settings: object) -> Page:
    """The page of the endless task, once its model is shown."""
    page = open_page("drip", **settings)
    page.locator("#model-facts .np-model-name").wait_for()
    return page


def begin(page: Page, text: str = "Once") -> None:
    page.locator("#drip-input-text textarea").fill(text)
    page.locator("#run").click()


def press(page: Page, button: str) -> None:
    """Press a button at once: a page whose text grows is never still, as a click waits for."""
    page.locator(button).dispatch_event("click")


def words(page: Page) -> int:
    """How many words are there so far."""
    page.wait_for_function(GROWN, arg=len("Once word1"))
    return len(page.locator(".np-growing .np-text").inner_text().split()) - 1


def appears(path: Path) -> bool:
    waiting = Event()
    return any(path.exists() or waiting.wait(0.05) for _ in range(int(WAIT * 20)))


def test_words_appear_while_the_text_is_made(open_page: Open, log: Path) -> None:
    page = drip(open_page)
    assert page.locator("#stop").is_disabled()
    begin(page)
    before = words(page)
    page.wait_for_function(GROWN, arg=before * len(" word999"))
    assert words(page) > before
    assert page.locator(".np-growing .np-given").inner_text() == "Once"
    assert not page.locator(".np-answer").count()
    assert not log.exists()
    press(page, "#stop")


def test_stop_ends_the_decoding_and_keeps_what_is_there(open_page: Open, log: Path) -> None:
    page = drip(open_page)
    begin(page)
    words(page)
    press(page, "#stop")
    page.locator("#result .np-answer").wait_for()
    said = page.locator("#result .np-text").inner_text()
    assert log.read_text() == str(len(said.split()) - 1)
    assert "stopped" in page.locator("#result .np-facts").inner_text()
    page.wait_for_function("document.querySelector('#stop').disabled")


def test_clear_ends_it_and_leaves_nothing(open_page: Open, log: Path) -> None:
    page = drip(open_page)
    begin(page)
    words(page)
    press(page, "#clear")
    assert appears(log)
    page.get_by_text("The result appears here").wait_for()
    page.wait_for_function("document.querySelector('#stop').disabled")
    assert not page.locator(".np-growing").count()


def test_whoever_closes_the_page_ends_it(open_page: Open, log: Path) -> None:
    page = drip(open_page)
    begin(page)
    words(page)
    page.close()
    assert appears(log)


def test_a_text_that_ends_says_how_it_came_about(open_page: Open) -> None:
    page = drip(open_page)
    page.locator("#drip-option-length input").fill("12")
    begin(page, "从前 <b>")
    page.locator("#result .np-answer").wait_for()
    assert page.locator("#result .np-text").inner_text().startswith("从前 <b> word1 word2")
    facts = page.locator("#result .np-facts").inner_text()
    for part in ("12 tokens", "tokens per second", "first token after", "maximum length reached"):
        assert part in facts


def test_an_error_halfway_takes_the_place_of_the_text(open_page: Open, log: Path) -> None:
    page = drip(open_page)
    begin(page, "fail")
    said = page.locator("#result .np-card-message")
    said.wait_for()
    assert "The third word is missing." in said.inner_text()
    assert log.read_text() == "3"
    page.wait_for_function("document.querySelector('#stop').disabled")


def test_several_texts_come_whole_with_numbers_and_can_be_copied(open_page: Open) -> None:
    page = drip(open_page, permissions=["clipboard-read", "clipboard-write"])
    page.locator("#drip-option-copies input").first.fill("2")
    begin(page)
    page.locator("#result .np-answer").wait_for()
    assert page.locator(".np-written-tools span").all_inner_texts() == ["1", "2"]
    assert page.locator("#result .np-text").all_inner_texts() == ["Once text 0", "Once text 1"]
    copy = page.locator(".np-written .np-copy").nth(1)
    copy.click()
    page.locator(".np-copy", has_text="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "Once text 1"


def test_options_of_the_model_are_offered(open_page: Open) -> None:
    page = drip(open_page, locale="zh-CN")
    page.locator("#drip-option-tongue input").click()
    page.get_by_role("option", name="法语 (fr)").click()
    page.locator("#drip-option-length input").fill("2")
    begin(page)
    page.locator("#result .np-answer").wait_for()
    assert page.locator("#result .np-text").inner_text() == "Once fr1 fr2"


def test_a_text_of_its_own_stands_beside_the_one_it_is_made_of(open_page: Open) -> None:
    page = open_page("shout")
    form = page.locator("#try-card").bounding_box()
    result = page.locator("#result").bounding_box()
    assert form and result
    assert abs(form["y"] - result["y"]) < 2
    assert result["x"] > form["x"] + form["width"]
    narrow = open_page("shout", width=390, is_mobile=True, has_touch=True)
    form, result = (narrow.locator(name).bounding_box() for name in ("#try-card", "#result"))
    assert form and result
    assert result["y"] > form["y"] + form["height"]
    assert narrow.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_model_picked_at_once_is_the_one_that_is_shown(open_page: Open) -> None:
    page = open_page("tone")
    box = page.locator("#model input")
    box.fill("/no/such/folder")
    box.press("Enter")
    page.locator("#model-facts .np-card-message").wait_for()
    page.locator("#run").click()
    page.locator("#result .np-card-message").wait_for()
    # The answer to what the page asked on opening may come last: then the other is asked again.
    page.locator("#model-facts", has_text="/no/such/folder").wait_for()
    assert "/no/such/folder" in page.locator("#model-facts").inner_text()
