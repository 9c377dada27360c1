"""The web UI as a person meets it: in a browser, with no network, at the width of a phone."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from webui_kit import LastingServer, Visitor, choose_file

from nlplug.testing import tiny_text_classifier

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.browser

TOOLS = Path(__file__).parents[2] / "tools"
FETCH = "fetch('https://elsewhere.example/').then(() => 'answered', () => 'refused')"
Open = Callable[..., "Page"]


def ask(page: Page, text: str) -> Locator:
    """Enter a text, click Run, and return the result."""
    page.locator("#tone-input-text textarea, textarea").first.fill(text)
    page.locator("#run").click()
    return answer(page)


def answer(page: Page) -> Locator:
    shown = page.locator("#result .np-answer, #result .np-card-message")
    shown.wait_for()
    return shown


def bars(page: Page) -> list[str]:
    return page.locator("#result .np-bar-name").all_inner_texts()


def overflow(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


def pick_model(page: Page, name: str) -> None:
    box = page.locator("#model input")
    box.fill(name)
    box.press("Enter")


def test_a_sentence_is_answered_with_labelled_bars(open_page: Open) -> None:
    page = open_page("tone")
    shown = ask(page, "a good day")
    assert bars(page) == ["positive", "negative"]
    first, second = page.locator("#result .np-bar-fill").all()
    assert (first.bounding_box() or {})["width"] > (second.bounding_box() or {})["width"] > 0
    assert "%" in shown.inner_text()
    assert "ms" in page.locator("#result .np-chip-time").inner_text()


def test_a_request_to_another_host_would_be_noticed(open_page: Open, visitor: Visitor) -> None:
    page = open_page("plugins")
    page.goto("about:blank")
    assert page.evaluate(FETCH) == "refused"
    assert visitor.foreign == ["https://elsewhere.example/"]
    visitor.foreign.clear()


def test_a_page_may_not_even_ask_another_host(open_page: Open) -> None:
    page = open_page("plugins")
    with page.expect_console_message(lambda said: "Content Security Policy" in said.text):
        assert page.evaluate(FETCH) == "refused"


def test_an_example_fills_the_form_and_runs(open_page: Open) -> None:
    page = open_page("tone")
    page.locator("#examples .gallery-item", has_text="dull").click()
    answer(page)
    assert page.locator("#tone-input-text textarea").input_value() == "dull"
    assert page.locator("#tone-option-top_k input").input_value() == "2"
    assert bars(page) == ["negative", "positive"]


def test_an_option_changes_the_answer(open_page: Open) -> None:
    page = open_page("tone")
    page.locator("#tone-option-top_k input").fill("1")
    ask(page, "a good day")
    assert bars(page) == ["positive"]


def test_an_option_out_of_bounds_is_explained(open_page: Open) -> None:
    page = open_page("tone")
    page.locator("#tone-option-top_k input").fill("0")
    said = ask(page, "a good day").inner_text()
    assert "An option is not valid" in said
    assert "top_k is 0" in said
    assert "greater than or equal to 1" in said


def test_clear_empties_input_and_result(open_page: Open) -> None:
    page = open_page("tone")
    ask(page, "a good day")
    page.locator("#clear").click()
    page.get_by_text("The result appears here").wait_for()
    assert page.locator("#tone-input-text textarea").input_value() == ""


@pytest.mark.parametrize("text", ["🎉 good 🎉 <b>x</b>", "good " * 200_000])
def test_any_text_gets_an_answer(open_page: Open, text: str) -> None:
    page = open_page("tone")
    ask(page, text)
    assert sorted(bars(page)) == ["negative", "positive"]


def test_a_blank_text_is_an_error_on_the_page(open_page: Open) -> None:
    page = open_page("tone")
    said = ask(page, "").inner_text()
    assert "The input cannot be processed" in said
    assert "more than white space" in said


def test_a_plugin_that_raises_says_so_without_a_traceback(open_page: Open) -> None:
    page = open_page("boom")
    pick_model(page, "palette-tiny")
    said = ask(page, "anything").inner_text()
    assert "a fault of the plugin" in said
    assert "Traceback" not in said


def test_spans_are_marked_in_the_text_and_listed(open_page: Open) -> None:
    page = open_page("spans")
    page.locator("#examples .gallery-item").first.click()
    answer(page)
    page.locator("#marked .highlighted .text").nth(2).wait_for()
    assert page.locator("#marked .highlighted .text").all_inner_texts() == ["good", "good", "town"]
    assert page.locator("#marked .highlighted .label").all_inner_texts() == ["GOOD", "GOOD", "TOWN"]
    assert page.locator("#result tbody tr").count() == 3


def test_the_only_column_of_a_file_is_shown_and_used(open_page: Open, tmp_path: Path) -> None:
    source = tmp_path / 'it\'s "my" 文件 & <b>.csv'
    source.write_text("review\nא good day\nbad\n", encoding="utf-8")
    page = open_page("tone")
    choose_file(page, source)
    page.get_by_text("2 rows, ready to run").wait_for()
    page.wait_for_function("() => document.querySelector('#column-text input')?.value === 'review'")
    page.locator("#batch-run").click()
    with page.expect_download() as download:
        page.locator("#download-csv").click()
    with open(download.value.path(), encoding="utf-8", newline="") as file:
        assert [row["review"] for row in csv.DictReader(file)] == ["א good day", "bad"]


def test_a_file_is_answered_and_can_be_downloaded(open_page: Open, tmp_path: Path) -> None:
    source = tmp_path / "reviews.csv"
    source.write_text("id,review,label\n7,good,x\n8,bad,y\n", encoding="utf-8")
    page = open_page("tone")
    choose_file(page, source)
    page.get_by_text("2 rows, ready to run").wait_for()
    shown = page.locator("#batch-result")
    assert shown.locator("th").all_inner_texts() == ["line", "id", "review", "label"]
    assert shown.locator("tbody td").all_inner_texts()[:4] == ["2", "7", "good", "x"]
    assert page.locator("#column-text input").input_value() == "", "no column is guessed"
    page.locator("#column-text input").click()
    page.get_by_role("option", name="review").click()
    page.locator("#batch-run").click()
    page.locator("#download-csv").wait_for()
    assert page.locator("#batch-result tbody tr").count() == 2

    with page.expect_download() as download:
        page.locator("#download-csv").click()
    with open(download.value.path(), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["label"], row["predicted_label"]) for row in rows] == [
        ("7", "x", "positive"),
        ("8", "y", "negative"),
    ]

    with page.expect_download() as download:
        page.locator("#download-jsonl").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["answer"][0]["label"] for line in lines] == ["positive", "negative"]


def test_bad_rows_of_a_file_are_named_and_the_others_answered(
    open_page: Open, tmp_path: Path
) -> None:
    source = tmp_path / "broken.jsonl"
    source.write_text('{"text": "good"}\n{"text": \n', encoding="utf-8")
    page = open_page("tone")
    choose_file(page, source)
    page.get_by_text("1 row, ready to run").wait_for()
    assert "1 skipped: not JSON" in page.locator("#batch-result").inner_text()
    page.locator("#batch-run").click()
    page.locator("#download-skipped").wait_for()
    page.locator("#batch-result .np-skipped summary").click()
    said = page.locator("#batch-result .np-skipped").inner_text()
    assert "not JSON" in said and str(tmp_path) not in said
    assert page.locator("#batch-result .np-summary .np-bar").count() == 1


def test_a_file_of_another_kind_is_refused_with_a_message(open_page: Open, tmp_path: Path) -> None:
    source = tmp_path / "report.pdf"
    source.write_bytes(b"%PDF-1.4")
    page = open_page("tone")
    choose_file(page, source)
    page.get_by_text("report.pdf: files with such a name cannot be read.").wait_for()


def long_batch(open_page: Open, folder: Path) -> Page:
    """A page whose batch has begun and will take long."""
    source = folder / "long.txt"
    source.write_text("good\n" * 200_000, encoding="utf-8")
    page = open_page("tone")
    choose_file(page, source)
    page.get_by_text("200,000 rows, ready to run").wait_for()
    page.locator("#batch-run").click()
    page.locator("#batch-result .np-progress ~ .np-table tbody tr").first.wait_for()
    return page


def test_a_stopped_batch_offers_what_is_done(open_page: Open, tmp_path: Path) -> None:
    page = long_batch(open_page, tmp_path)
    page.locator("#batch-stop").click()
    page.get_by_text("Stopped after").wait_for()
    page.locator("#download-csv").wait_for()
    with page.expect_download() as download:
        page.locator("#download-csv").click()
    with open(download.value.path(), encoding="utf-8", newline="") as file:
        rows = sum(1 for _ in csv.DictReader(file))
    assert 0 < rows < 200_000
    assert f"Stopped after {rows:,} of" in page.locator("#batch-result").inner_text()


def test_a_batch_goes_on_while_its_page_is_loaded_again(open_page: Open, tmp_path: Path) -> None:
    page = long_batch(open_page, tmp_path)
    page.reload()
    page.locator("#batch-result .np-progress ~ .np-table tbody tr").first.wait_for()
    assert page.get_by_role("radio", name="Batch").is_checked()
    page.locator("#batch-stop").click()
    page.get_by_text("Stopped after").wait_for()
    page.reload()
    with page.expect_download() as download:
        page.locator("#download-csv").click()
    assert Path(download.value.path()).read_text("utf-8").startswith("text,label,score\ngood,")


def test_a_batch_that_the_server_lost_is_explained_once(open_page: Open) -> None:
    page = open_page("tone")
    page.evaluate("sessionStorage.setItem('nplug:batch:/tone', 'of the server before')")
    page.goto(page.url + "#batch")
    page.reload()
    page.get_by_text("are no longer on the server").wait_for()
    page.wait_for_function("sessionStorage.getItem('nplug:batch:/tone') === ''")


def test_results_of_a_batch_outlast_the_server_until_they_are_deleted(
    browser: Browser, site: Path, tmp_path: Path
) -> None:
    source = tmp_path / "reviews.txt"
    source.write_text("good\nbad\n", encoding="utf-8")
    environment = {"NLPLUG_OFFLINE": "1", "NLPLUG_CACHE": str(tmp_path / "cache")}
    with ExitStack() as stack:
        server = LastingServer(stack, "--task", "tone", site=site, environment=environment)
        visitor = Visitor(browser, server.address)
        page = visitor.open("tone#batch")
        page.locator("#batch-file input[type=file]").set_input_files(source)
        page.get_by_text("2 rows, ready to run").wait_for()
        page.locator("#batch-run").click()
        page.locator("#download-csv").wait_for()
        server.stop()
        server.start()
        page.reload()
        with page.expect_download() as download:
            page.locator("#download-csv").click()
        text = Path(download.value.path()).read_text("utf-8")
        assert [line.split(",")[0] for line in text.split()] == ["text", "good", "bad"]

        # A new tab shows nothing by itself, and offers the result.
        other = visitor.open("tone#batch")
        other.locator("#np-batches .np-batch-open", has_text="reviews.txt").click()
        other.locator("#download-csv").wait_for()
        other.locator('#np-batches [aria-current="true"]').wait_for()
        other.locator("#np-batches .np-w-danger").dblclick()
        other.locator("#np-batches li").wait_for(state="detached")
        other.get_by_text("No file yet").wait_for()
        page.reload()
        page.get_by_text("are no longer on the server").wait_for()
        assert page.locator("#np-batches li").count() == 0
        visitor.leave()
        assert list((tmp_path / "cache/batches").iterdir()) == []


def test_a_link_to_the_code_shows_the_address_of_the_server(open_page: Open, server: str) -> None:
    page = open_page("tone#code")
    page.locator("#code pre", has_text=f"curl {server}models/tone").wait_for()


def test_the_tools_measure_the_pages_of_the_menu(browser: Browser, server: str) -> None:
    sys.path.insert(0, str(TOOLS))
    try:
        paths = import_module("axe").all_paths(browser, server)
    finally:
        sys.path.remove(str(TOOLS))
    assert {"", "tone", "compare", "workspace", "plugins"} <= set(paths)
    assert not [path for path in paths if path.endswith(".json")], "the HTTP API is no page"


def test_a_local_bundle_can_be_picked(open_page: Open, tmp_path: Path) -> None:
    tiny_text_classifier(
        tmp_path / "mood", {"sun": (9.0, 0.0), "rain": (0.0, 9.0)}, labels=("happy", "sad")
    )
    page = open_page("tone")
    pick_model(page, str(tmp_path / "mood"))
    page.locator("#model-facts", has_text="happy, sad").wait_for()
    ask(page, "rain")
    assert bars(page)[0] == "sad"


def test_a_model_that_is_not_there_is_explained(open_page: Open) -> None:
    page = open_page("tone")
    page.locator("#model-facts .np-model-name").wait_for()
    pick_model(page, "/no/such/folder")
    said = page.locator("#model-facts .np-card-message")
    said.wait_for()
    assert "The model cannot be used" in said.inner_text()
    assert "/no/such/folder" in said.inner_text()


def test_a_hub_model_is_refused_while_offline(open_page: Open) -> None:
    page = open_page("tone")
    pick_model(page, "somebody/some-model")
    said = page.locator("#model-facts .np-card-message")
    said.wait_for()
    assert "The network is switched off" in said.inner_text()


def test_broken_plugins_are_listed_with_their_causes(open_page: Open) -> None:
    page = open_page("plugins")
    failed = page.locator(".np-plugin-failed")
    failed.nth(4).wait_for()
    said = " ".join(" ".join(failed.all_inner_texts()).split())
    for part in (
        "zoo-import nlplug-zoo-import 1.1",
        "No module named 'a_package_that_is_not_there'",
        "Did you mean 'register_tasks'?",
        "register_tasks(config) has a wrong signature",
        "RuntimeError: no licence file",
        "the name 'tone' is taken by nlplug-tone 1.0",
    ):
        assert part in said
    healthy = page.locator(".np-plugin-loaded[data-plugin=tone]")
    assert "working" in healthy.inner_text()


def test_a_page_that_a_plugin_brings_works(open_page: Open) -> None:
    page = open_page("hello")
    page.locator("#name input, #name textarea").fill("Ada")
    page.locator("#name input, #name textarea").press("Enter")
    page.get_by_text("Hello Ada").wait_for()


def test_a_page_that_cannot_be_built_says_why(open_page: Open) -> None:
    page = open_page("halfway")
    assert "RuntimeError: no such widget" in page.locator(".np-card-message").inner_text()


def test_the_overview_leads_to_every_task(open_page: Open) -> None:
    page = open_page()
    page.locator(".np-home-card", has_text="Find words").click()
    page.locator("h1", has_text="Find words").wait_for()
    assert page.url.endswith("/spans")


def test_a_page_that_nobody_touches_rests(open_page: Open) -> None:
    page = open_page("tone")
    ask(page, "good")
    # Each browser frame may ask for the next one; what never rests asks far more often.
    count = (
        "() => { window.asked = 0; for (const name of ['setTimeout', 'requestAnimationFrame']) {"
        " const own = window[name];"
        " window[name] = (...all) => { window.asked++; return own.apply(window, all) } } }"
    )
    page.evaluate(count)
    page.wait_for_timeout(1_000)
    assert page.evaluate("window.asked") < 300


def test_tabs_are_reached_by_the_keyboard(open_page: Open) -> None:
    page = open_page("tone")
    page.get_by_role("radio", name="Try it").focus()
    page.keyboard.press("ArrowRight")
    page.locator("#batch-run").wait_for()
    assert not page.locator("#try-card").is_visible()
    page.keyboard.press("ArrowRight")
    page.locator(".np-code").first.wait_for()
    assert not page.locator("#batch-run").is_visible()


def test_chinese_browsers_get_chinese(open_page: Open) -> None:
    page = open_page("tone", locale="zh-CN")
    page.get_by_role("button", name="运行").wait_for()
    page.get_by_role("radio", name="批量").wait_for()
    assert page.locator("h1").inner_text() == "语气"
    assert "标签数量" in page.locator("#options").inner_text()
    page.get_by_role("button", name="更多选项").click()
    page.locator("#tone-option-function_to_apply label", has_text="默认").wait_for()
    page.locator("#tone-option-top_k input").fill("0")
    assert "选项无效" in ask(page, "good").inner_text()


def test_the_facts_of_a_model_take_a_line_each_in_chinese(open_page: Open) -> None:
    page = open_page("tone", locale="zh-CN")
    page.locator("#model-facts dt").first.wait_for()
    lines = page.locator("#model-facts :is(dt, dd)").evaluate_all(
        "all => all.map((one) =>"
        " one.getBoundingClientRect().height / parseFloat(getComputedStyle(one).lineHeight))"
    )
    assert len(lines) >= 4
    assert max(lines) < 1.5


@pytest.mark.parametrize("path", ["", "tone", "spans", "plugins"])
def test_nothing_is_wider_than_a_phone(open_page: Open, path: str) -> None:
    page = open_page(path, width=390, is_mobile=True, has_touch=True)
    page.locator(".np-foot").wait_for()
    assert overflow(page) <= 0
    if path == "tone":
        ask(page, "good" * 100)
        assert overflow(page) <= 0


def test_paper_is_light_and_has_no_buttons(open_page: Open) -> None:
    page = open_page("tone", color_scheme="dark")
    dark = "() => document.body.classList.contains('dark')"
    page.wait_for_function(dark)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert not page.evaluate(dark)
    assert page.locator(".np-header, #run, #examples").evaluate_all(
        "all => all.every(one => !one.checkVisibility())"
    )
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(dark)


def test_dark_mode_follows_the_browser_and_can_be_switched(open_page: Open) -> None:
    page = open_page("tone", color_scheme="dark")
    brightness = "getComputedStyle(document.querySelector('#try-card')).backgroundColor"
    dark = page.evaluate(brightness)
    assert max(map(int, dark.strip("rgb()").split(","))) < 80
    page.locator(".np-theme").click()
    light = page.evaluate(brightness)
    assert min(map(int, light.strip("rgb()").split(","))) > 200
    page.reload()
    page.locator(".np-header").wait_for()
    page.wait_for_function("!document.body.classList.contains('dark')")
