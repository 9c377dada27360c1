"""The view "Why" of the pages of tasks that can explain their answers, in a browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

Open = Callable[..., "Page"]


def explained(page: Page, text: str) -> Page:
    """The page with the explanation of an answer, made on demand."""
    page.locator("#model-facts .np-model-name").wait_for()
    page.locator("#tone-input-text textarea").fill(text)
    page.locator("#run").click()
    page.locator("#result .np-bar-name").first.wait_for()
    assert page.locator(".np-why").count() == 0
    page.locator(".np-why-button").click()
    page.locator("#result .np-why").wait_for()
    return page


def rows(page: Page) -> list[list[str]]:
    found = page.locator(".np-why tbody tr").all()
    return [row.locator("td").all_inner_texts() for row in found]


def test_words_are_shaded_underlined_and_listed_with_signed_weights(open_page: Open) -> None:
    page = explained(open_page("tone"), "good dull day")
    assert page.locator(".np-why-text").inner_text() == "good dull day"
    listed = {word: (float(weight), effect) for word, weight, effect in rows(page)}
    assert set(listed) == {"good", "dull", "day"}
    label = page.locator("#result .np-bar-name").first.inner_text()
    assert label in page.locator(".np-why h3").inner_text()
    for word, (weight, effect) in listed.items():
        assert effect == ("for" if weight >= 0 else "against")
        style = page.locator(".np-word", has_text=word).evaluate(
            "node => getComputedStyle(node).textDecorationStyle"
        )
        if abs(weight) > 1:
            assert style == ("solid" if weight > 0 else "dashed")
    last = page.locator(".np-word").last
    assert last.evaluate("node => getComputedStyle(node).fontStyle") == "normal"
    sizes = [abs(weight) for weight, _ in listed.values()]
    assert sizes == sorted(sizes, reverse=True)


def test_the_option_is_in_the_form_and_a_new_answer_has_its_own_explanation(
    open_page: Open,
) -> None:
    page = explained(open_page("tone"), "good")
    assert page.locator("#tone-option-explain input").is_checked()
    page.locator("#tone-input-text textarea").fill("dull")
    page.locator("#run").click()
    page.locator(".np-why-text", has_text="dull").wait_for()
    assert [row[0] for row in rows(page)] == ["dull"]
    page.locator("#tone-option-explain input").uncheck()
    page.locator("#run").click()
    page.locator(".np-why-button").wait_for()
    assert page.locator(".np-why").count() == 0
