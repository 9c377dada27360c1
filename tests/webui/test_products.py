"""The tools of the pages of tasks: alternatives, files, presets, types, the history, the menu."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tokenizers import Tokenizer
from webui_kit import cached_translator

from nlplug.testing import tiny_text_generator, tiny_translator

if TYPE_CHECKING:
    from playwright.sync_api import Download, Page

pytestmark = pytest.mark.browser

Open = Callable[..., "Page"]
CURRENT = "() => document.querySelector('#result')?.dataset.state === 'current'"


def answered(page: Page, task: str, text: str) -> Page:
    page.locator("#model-facts .np-model-name").wait_for()
    page.locator(f"#{task}-input-text textarea").fill(text)
    page.locator("#run").click()
    page.locator("#result .np-answer").wait_for()
    page.wait_for_function(CURRENT)
    return page


def saved(download: Download) -> str:
    return Path(download.path()).read_text("utf-8")


def test_another_text_for_a_sentence_takes_its_place(open_page: Open) -> None:
    text = "Where is the nearest train station? Hello {name}!"
    page = answered(open_page("translation"), "translation", text)
    assert page.locator(".np-kept").all_inner_texts() == ["{name}"]
    sentences = page.locator(".np-part-button")
    first, second = sentences.all_inner_texts()
    sentences.first.focus()
    page.keyboard.press("Enter")
    other = page.locator("#np-alternatives .np-other").first
    other.wait_for()
    wanted = other.inner_text()
    assert wanted != first
    page.keyboard.press("Escape")
    head, *_ = first.split()
    sentences.first.click(position={"x": 2, "y": 10})  # the first word
    page.locator("#np-alternatives .np-from-word[aria-pressed=true]", has_text=head).wait_for()
    page.locator("#np-alternatives [data-word='1']").click()  # the second one
    other.wait_for()
    wanted = other.inner_text()
    assert wanted.split()[0] == head
    assert wanted.split()[1] != first.split()[1]
    page.keyboard.press("Enter")  # the first one has the focus
    page.locator("#np-alternatives").wait_for(state="detached")
    assert page.locator("#result .np-text").inner_text() == f"{wanted} {second}"
    record = page.locator("#result .np-record").get_attribute("data-record") or ""
    assert json.loads(record)["value"] == f"{wanted} {second}"


def test_the_languages_are_above_the_text_and_a_file_is_translated(
    open_page: Open, tmp_path: Path
) -> None:
    page = open_page("translation")
    # The languages of the model come first, and then its defaults.
    page.locator("#np-src_lang option:checked[value=en]").wait_for(state="attached")
    page.locator("#np-tgt_lang option:checked[value=fr]").wait_for(state="attached")
    assert page.locator("#np-swap").is_disabled()  # no model has the other direction
    film = tmp_path / "film.srt"
    film.write_text("1\n00:00:01,000 --> 00:00:02,500\nTwo children are dancing.\n", "utf-8")
    page.locator("#np-whole summary").click()
    page.locator("#np-whole-file").set_input_files(film)
    page.locator("#np-whole-done").wait_for()
    with page.expect_download() as download:
        page.locator("#np-whole-save").click()
    assert download.value.suggested_filename == "film.fr.srt"
    lines = saved(download.value).splitlines()
    assert lines[:2] == film.read_text("utf-8").splitlines()[:2]
    assert "enfants" in lines[2]
    site = tmp_path / "index.html"
    site.write_text("<style>p > b {}</style><p>Two <b>children</b> are\ndancing.</p>", "utf-8")
    page.locator("#np-whole-file").set_input_files(site)
    with page.expect_download() as download:
        page.locator("#np-whole-save", has_text="index.fr.html").click()
    made = saved(download.value)
    assert made.startswith("<style>p > b {}</style><p>")
    assert "enfants</b>" in made
    film.write_bytes(b"\xff\xfe\x00")
    page.locator("#np-whole-file").set_input_files(film)
    page.locator("#np-whole .np-error", has_text="UTF-8").wait_for()


def test_the_language_is_detected_and_the_languages_swap(open_page: Open, tmp_path: Path) -> None:
    codes = ["__en__", "__fr__"]
    words = {code: "x" for code in codes} | {"the": "le", "cat": "chat"}
    folder = tiny_translator(
        tmp_path / "both",
        words,
        tokenizer_config={"additional_special_tokens": codes},
        config={"model_type": "m2m_100"},
    ).path
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_special_tokens(codes)
    tokenizer.save(str(folder / "tokenizer.json"))
    page = open_page("translation")
    page.locator("#np-languages").wait_for()
    box = page.locator("#model input")
    box.fill(str(folder))
    box.press("Enter")
    page.locator("#model-facts .np-model-name", has_text="both").wait_for()
    page.locator("#np-src_lang").select_option("")
    page.wait_for_function("() => nplug.value('src_lang') === ''")
    page.locator("#np-tgt_lang").select_option("fr")
    page.wait_for_function("() => nplug.value('tgt_lang') === 'fr'")
    answered(page, "translation", "The cat sees the cat and the cat")
    page.locator("#np-src_lang option", has_text="Detected: English").wait_for(state="attached")
    page.locator("#np-src_lang").select_option("en")
    page.locator("#np-swap:enabled").click()
    page.wait_for_function("() => nplug.value('src_lang') === 'fr'")
    assert page.evaluate("nplug.value('tgt_lang')") == "en"
    assert page.locator("#np-src_lang").input_value() == "fr"


def test_the_swap_changes_to_a_model_of_the_other_direction(
    open_page: Open, cache: Path, tmp_path: Path
) -> None:
    folder = cached_translator(cache, tmp_path)
    try:
        page = answered(open_page("translation"), "translation", "The cat sleeps.")
        french = page.locator("#result .np-text").inner_text()
        swap = page.locator("#np-swap:enabled")
        assert "acme/fr-en" in (swap.get_attribute("title") or "")
        swap.click()
        page.wait_for_function("() => nplug.value('model') === 'acme/fr-en'")
        page.locator("#result .np-facts", has_text="acme/fr-en").wait_for()
        page.wait_for_function(CURRENT)
        assert page.locator("#translation-input-text textarea").input_value() == french
        assert "cat" in page.locator("#result .np-text").inner_text()
        page.locator("#np-src_lang option:checked", has_text="French").wait_for(state="attached")
        page.locator("#np-swap:enabled").click()
        page.wait_for_function("() => nplug.value('model') === 'translation-en-fr'")
        page.locator("#np-src_lang option:checked", has_text="English").wait_for(state="attached")
    finally:
        shutil.rmtree(folder)


def test_presets_set_options_and_a_text_goes_on(open_page: Open) -> None:
    page = open_page("generation")
    page.locator("#np-presets [data-preset=focused]").click()
    page.wait_for_function("() => window.nplug.value('temperature') === 0")
    box = page.locator("#generation-option-max_new_tokens input[type=number]")
    box.fill("5")
    box.press("Tab")
    answered(page, "generation", "Once upon a time")
    chances = page.locator("#result .np-token").evaluate_all("all => all.map(one => one.title)")
    assert chances and all("Probability: " in chance for chance in chances)
    first = page.locator("#result .np-text").inner_text()
    page.locator("#np-continue").click()
    page.wait_for_function(
        "first => { const now = document.querySelector('#result .np-text').innerText;"
        " return now.startsWith(first) && now.length > first.length; }",
        arg=first,
    )
    assert page.locator("#generation-input-text textarea").input_value() == first


def test_a_model_with_a_template_answers_a_chat(open_page: Open, tmp_path: Path) -> None:
    template = "{% for m in messages %}{{ m.content }} {% endfor %}"
    tiny_text_generator(tmp_path / "chatty", chat_template=template)
    page = open_page("generation")
    page.locator("#model-facts .np-model-name").wait_for()
    assert page.locator("#np-chat").count() == 0  # the embedded model has no template
    box = page.locator("#model input")
    box.fill(str(tmp_path / "chatty"))
    box.press("Enter")
    page.locator("#np-chat").wait_for()
    page.locator("#np-presets [data-preset=focused]").click()
    page.wait_for_function("() => window.nplug.value('temperature') === 0")
    page.locator("#np-chat-box").fill("once")
    page.keyboard.press("Enter")
    turns = page.locator(".np-chat-turn")
    page.locator("[data-chat=again]").wait_for()
    page.locator("#np-chat-send:enabled").wait_for()
    assert turns.count() == 2
    assert turns.first.locator(".np-chat-text").inner_text() == "once"
    said = turns.last.locator(".np-chat-text").inner_text()
    assert said.strip().startswith("upon a time")
    # A chat that was begun while an answer was on its way stays empty.
    page.route("**/np-products/whole", lambda route: None)  # the answer never comes
    page.locator("#np-chat-box").fill("upon")
    page.keyboard.press("Enter")
    page.locator("#np-chat-stop").wait_for()
    assert page.locator("[data-chat=again], [data-chat=edit_message]").count() == 0
    page.reload()
    page.locator("[data-chat=again]").wait_for()  # for the message that has no answer yet
    assert turns.locator(".np-chat-text").all_inner_texts() == ["once", said, "upon"]
    page.locator("[data-chat=again]").click()
    page.locator("#np-chat-stop").wait_for()
    page.locator("#np-chat-new").click()
    page.locator("#np-chat-send:enabled").wait_for()
    assert turns.count() == 0
    page.unroute("**/np-products/whole")
    page.locator("#np-chat-box").fill("once")
    page.keyboard.press("Enter")
    page.locator("[data-chat=again]").wait_for()
    page.locator("[data-chat=edit_message]").click()
    assert (turns.count(), page.locator("#np-chat-box").input_value()) == (0, "once")
    page.locator("#np-chat summary").click()
    page.locator("#np-chat-system").fill("Be short.")
    page.locator("#np-chat-box").fill("upon")
    page.reload()
    page.locator("#np-chat").wait_for()
    assert page.locator("#np-chat-system").input_value() == "Be short."
    assert page.locator("#np-chat-box").input_value() == "upon"
    page.locator("#np-chat-switch [data-mode=prompt]").click()
    assert page.locator("#generation-input-text").is_visible()


def test_a_chat_is_led_by_the_keyboard(open_page: Open, tmp_path: Path) -> None:
    template = "{% for m in messages %}{{ m.content }} {% endfor %}"
    tiny_text_generator(tmp_path / "chatty", chat_template=template, max_length=32)
    page = open_page(f"generation?model={tmp_path / 'chatty'}")
    page.locator("#np-chat-box").press_sequentially("once")
    page.wait_for_function("() => window.nplug.value('temperature') !== undefined")
    page.locator("#np-presets [data-preset=focused]").press("Enter")
    page.wait_for_function("() => window.nplug.value('temperature') === 0")
    box = page.locator("#np-chat-box:focus")
    page.locator("#np-chat-box").press("Enter")
    page.locator("[data-chat=again]").wait_for()
    said = page.locator(".np-chat-turn .np-chat-text").last.inner_text()
    assert said == said.strip()
    # The model's tale has no end.
    told = page.locator(".np-chat .np-notice").inner_text()
    assert told.startswith("A text ended at the model's context of 32 tokens, before the limit")
    page.route("**/np-products/whole", lambda route: None)  # the answer never comes
    page.locator("[data-chat=again]").press("Enter")
    box.wait_for()
    assert page.locator(".np-chat .np-notice").count() == 0
    page.locator("#np-chat-stop").wait_for()
    page.keyboard.press("Escape")
    page.locator("[data-chat=again]").wait_for()
    page.locator("[data-chat=again]").press("Enter")
    page.locator("#np-chat-stop").press("Enter")
    box.wait_for()
    page.locator("#np-chat-new").press("Enter")
    box.wait_for()
    assert page.locator(".np-chat-turn").count() == 0


def test_types_of_entities_have_names_can_be_hidden_and_are_saved(open_page: Open) -> None:
    page = answered(open_page("ner"), "ner", "Angela Merkel met Barack Obama in Berlin.")
    chips = page.locator("#result .np-type")
    assert chips.all_inner_texts() == ["Person (PER) 2", "Place (LOC) 1"]
    chips.first.click()
    assert chips.first.get_attribute("aria-pressed") == "false"
    assert page.locator("#marked .np-type-off").count() == 2
    left = page.locator("#result-tail tbody tr:visible")
    assert left.all_inner_texts() == ["Place (LOC)\tBerlin\t34\t40\t" + left.inner_text()[-6:]]
    assert "labels Place (LOC), Other name (MISC)" in " ".join(
        page.locator("#model-facts").inner_text().split()
    )
    with page.expect_download() as download:
        page.locator("[data-export=json]").click()
    assert [span["text"] for span in json.loads(saved(download.value))["spans"]] == ["Berlin"]
    with page.expect_download() as download:
        page.locator("[data-export=html]").click()
    assert '<mark title="LOC">Berlin <small>LOC</small></mark>.' in saved(download.value)


def test_calls_are_remembered_on_request_and_come_back(open_page: Open) -> None:
    page = answered(open_page("tone"), "tone", "good")
    page.locator("#np-history summary").click()
    assert page.evaluate("localStorage.getItem('nplug:history')") is None  # nobody asked for it
    page.locator("#np-history-keep").check()
    entries = page.locator("#np-history-list a")
    entries.first.wait_for()
    try:
        answered(page, "tone", "dull")
        entries.nth(1).wait_for()
        assert "dull" in entries.first.inner_text() and "negative" in entries.first.inner_text()
        entries.nth(1).click()
        page.wait_for_function(
            "() => document.querySelector('#tone-input-text textarea').value === 'good'"
        )
        assert "text=good" in page.url
    finally:
        page.locator("#np-history-keep").uncheck()
    assert page.evaluate("localStorage.getItem('nplug:history')") is None


def test_a_browser_that_stores_nothing_says_so(open_page: Open) -> None:
    page = open_page("tone")
    page.add_init_script(
        """for (const name of ["localStorage", "sessionStorage"])
        Object.defineProperty(window, name, { get() { throw new DOMException("denied") } });"""
    )
    page.reload()
    answered(page, "tone", "good")
    page.locator("#np-history summary").click()
    page.locator("#np-history-keep").click()
    page.locator("#np-history [role=status]", has_text="stores nothing").wait_for()
    assert not page.locator("#np-history-keep").is_checked()


@pytest.mark.parametrize(("width", "shown"), [(1280, True), (390, False)])
def test_the_header_is_one_line_with_a_menu_of_all_pages(
    open_page: Open, width: int, shown: bool
) -> None:
    page = open_page("translation", width=width)
    page.locator(".np-foot").wait_for()
    header = page.locator(".np-header").bounding_box()
    assert header is not None and header["height"] < 80
    assert page.locator(".np-nav-tasks [aria-current]").is_visible() == shown
    page.locator(".np-menu summary").click()
    links = page.locator(".np-menu-links > a")
    assert links.count() > 10
    page.keyboard.press("Escape")
    assert not links.first.is_visible()
