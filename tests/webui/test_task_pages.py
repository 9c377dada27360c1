"""The pages of entities, questions and labels in a browser, in both languages, wide and narrow."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from webui_kit import choose_file

from nlplug.models.manifest import Manifest
from nlplug.models.writer import BundleWriter
from nlplug.testing import tiny_question_answerer, tiny_text_classifier, tiny_token_classifier

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

Open = Callable[..., "Page"]
PHONE = {"width": 390, "is_mobile": True, "has_touch": True, "locale": "zh-CN"}
PLACES = {"paris": (6.0, 6.0), "new": (5.0, 0.0), "york": (0.0, 5.0), "[CLS]": (2.0, 2.0)}
INTENTS = {"alarm": (5.0, 0.0, 0.0), "bank": (0.0, 5.0, 0.0), "play": (0.0, 0.0, 5.0)}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model of each task, and a classifier that abstains when unsure."""
    folder = tmp_path_factory.mktemp("models")
    tiny_token_classifier(folder / "ner")
    tiny_question_answerer(folder / "qa", PLACES)
    plain = tiny_text_classifier(
        folder / "classification", INTENTS, labels=("set_alarm", "see_balance", "play_music")
    )
    with BundleWriter(folder / "unsure") as writer:
        shutil.copytree(plain.path, writer.folder, dirs_exist_ok=True)
        options = {"min_score": 0.5, "abstain_label": "other", "top_k": 2}
        writer.commit(Manifest(name="unsure", task="classification", options=options))
    return folder


def visit(open_page: Open, task: str, model: Path, **settings: Any) -> Page:
    """The page of a task with a model picked."""
    page = open_page(task, **settings)
    page.locator("#model-facts p").first.wait_for()  # what the page itself looks up comes first
    pick(page, model)
    return page


def pick(page: Page, model: Path) -> None:
    box = page.locator("#model input")
    box.fill(str(model))
    box.press("Enter")
    page.locator("#model-facts .np-model-name", has_text=model.name).wait_for()


def ask(page: Page, task: str, **fields: str) -> str:
    """Fill the form, run it, and give what the result says."""
    before = page.locator("#result .np-answer, #result .np-card-message")
    if before.count():
        page.locator("#clear").click()
        before.wait_for(state="detached")
    for name, text in fields.items():
        form = page.locator(f"#{task}-input-{name}")
        form.locator("textarea, input").first.fill(text)
    page.locator("#run").click()
    page.locator("#result .np-answer, #result .np-card-message").wait_for()
    return page.locator("#result").inner_text()


def marks(page: Page) -> list[tuple[str, str]]:
    """The marked pieces of the text with the names of their marks."""
    page.locator("#marked .token.highlighted").first.wait_for()
    found = page.locator("#marked .token.highlighted").evaluate_all(
        "all => all.map(one => [one.querySelector('.text').innerText,"
        " one.querySelector('.label').innerText])"
    )
    return [(text, name) for text, name in found]


def cells(page: Page) -> list[list[str]]:
    """The rows of the table."""
    page.locator("#result-tail tbody tr").first.wait_for()
    rows = page.locator("#result-tail tbody tr").evaluate_all(
        "all => all.map(row => [...row.cells].map(cell => cell.innerText))"
    )
    return [list(map(str, row)) for row in rows]


def overflow(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


def test_entities_are_marked_with_their_names_and_listed_with_their_places(
    open_page: Open, models: Path
) -> None:
    page = visit(open_page, "ner", models / "ner")
    said = ask(page, "ner", text="Anna Smith left Rome.\n\n<b>Paris</b>")
    assert "3 found" in said
    assert marks(page) == [("Anna Smith", "PER"), ("Rome", "LOC"), ("Paris", "LOC")]
    assert [row[:4] for row in cells(page)] == [
        ["Person (PER)", "Anna Smith", "0", "10"],
        ["Place (LOC)", "Rome", "16", "20"],
        ["Place (LOC)", "Paris", "26", "31"],
    ]
    ask(page, "ner", text="nobody")
    assert "Nothing found" in page.locator("#result").inner_text()
    assert not page.locator("#marked").is_visible()


def test_a_document_of_100_000_characters_leaves_the_page_usable(
    open_page: Open, models: Path
) -> None:
    text = "Anna Smith left Rome and nobody knew why. " * 2_400
    page = visit(open_page, "ner", models / "ner")
    said = ask(page, "ner", text=text)
    assert "4,800 found" in said
    assert f"of {len(text):,} are shown" in said
    assert "The first 500 of 4,800 rows are shown." in said
    assert 0 < len(marks(page)) <= 1_000
    assert "1 found" in ask(page, "ner", text="Anna")


def test_the_answer_is_told_marked_and_listed(open_page: Open, models: Path) -> None:
    page = visit(open_page, "qa", models / "qa")
    page.locator("#qa-option-top_k input").first.fill("2")
    said = ask(page, "qa", question="Where?", context="The tower is in Paris, not in New York.")
    assert page.locator("#result .np-best strong").inner_text() == "Paris"
    assert "Paris" in said
    assert ("Paris", "1") in marks(page)
    assert cells(page)[0][:4] == ["1", "Paris", "16", "21"]
    assert len(cells(page)) == 2
    ask(page, "qa", question="Where?", context="Nothing. " * 600 + "\n\nIt is in Paris.")
    assert cells(page)[0][:3] == ["1", "Paris", "2"]
    page.locator("#result-tail .np-to-mark").first.focus()
    page.keyboard.press("Enter")
    found = page.locator("#marked .np-mark-found")
    assert found.locator(".label").inner_text() == "1"
    assert found.evaluate("(one) => one.getBoundingClientRect().bottom <= innerHeight")


def test_no_answer_is_said_in_words(open_page: Open, models: Path) -> None:
    page = visit(open_page, "qa", models / "qa")
    page.locator("#qa-option-handle_impossible_answer input").check()
    assert "No answer in this text" in ask(page, "qa", question="Where?", context="Unknown.")


def test_of_a_long_context_the_part_around_the_answer_is_shown(
    open_page: Open, models: Path
) -> None:
    context = "Nothing is said. " * 3_000 + "It is in Paris. " + "Nothing is said. " * 3_000
    page = visit(open_page, "qa", models / "qa")
    said = ask(page, "qa", question="Where?", context=context)
    assert marks(page) == [("Paris", "1")]
    assert f"of {len(context):,} are shown" in said
    assert len(page.locator("#marked").inner_text()) < 4_000


def test_a_question_without_a_context_is_explained(open_page: Open, models: Path) -> None:
    page = visit(open_page, "qa", models / "qa")
    said = ask(page, "qa", question="Where?", context="  ")
    assert "The input cannot be processed" in said
    assert "context" in said


def test_one_question_runs_over_a_file_of_contexts(
    open_page: Open, models: Path, tmp_path: Path
) -> None:
    source = tmp_path / "contexts.txt"
    source.write_text("It is in Paris.\nIt is in New York.\n", encoding="utf-8")
    page = visit(open_page, "qa", models / "qa")
    page.locator("#qa-input-question").locator("textarea, input").first.fill("Where?")
    choose_file(page, source)
    page.get_by_text("2 rows, ready to run").wait_for()
    page.locator("#batch-run").click()
    page.locator("#download-csv").wait_for()
    with page.expect_download() as download:
        page.locator("#download-csv").click()
    with open(download.value.path(), encoding="utf-8", newline="") as file:
        assert [row["answer"] for row in csv.DictReader(file)] == ["Paris", "New York"]
    with page.expect_download() as download:
        page.locator("#download-jsonl").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["answer"]["answer"] for line in lines] == ["Paris", "New York"]


def test_labels_are_bars_and_none_above_the_threshold_is_said(
    open_page: Open, models: Path
) -> None:
    page = visit(open_page, "classification", models / "classification")
    ask(page, "classification", text="play")
    names = page.locator("#result .np-bar-name").all_inner_texts()
    assert names[0] == "play_music"
    assert len(names) == 3
    page.locator("#classification-option-threshold input").first.fill("0.9")
    assert "No label fits" in ask(page, "classification", text="hello")


def test_the_form_shows_what_the_model_wants_and_the_model_abstains(
    open_page: Open, models: Path
) -> None:
    page = visit(open_page, "classification", models / "classification")
    limit = page.locator("#classification-option-min_score input").first
    top_k = page.locator("#classification-option-top_k input").first
    assert (limit.input_value(), top_k.input_value()) == ("0", "5")
    assert "abstains" not in ask(page, "classification", text="hello")
    pick(page, models / "unsure")
    assert (limit.input_value(), top_k.input_value()) == ("0.5", "2")
    said = ask(page, "classification", text="hello")
    assert "The model abstains" in said
    assert page.locator("#result .np-bar-name").all_inner_texts()[0] == "other"
    assert "abstains" not in ask(page, "classification", text="play")
    assert page.locator("#result .np-bar-name").count() == 2
    pick(page, models / "classification")
    assert (limit.input_value(), top_k.input_value()) == ("0", "5")


@pytest.mark.parametrize(
    ("task", "fields", "words"),
    [
        ("ner", {"text": "Anna Smith left New York." * 20}, "找到 40 处"),
        ("qa", {"question": "哪里?", "context": "The tower is in Paris. " * 20}, "Paris"),
        ("classification", {"text": "play " * 20}, "play_music"),
    ],
)
def test_on_a_chinese_phone_nothing_is_too_wide(
    open_page: Open, models: Path, task: str, fields: dict[str, str], words: str
) -> None:
    page = visit(open_page, task, models / task, **PHONE)
    assert words in ask(page, task, **fields)
    assert page.get_by_role("button", name="运行").is_visible()
    assert overflow(page) <= 0
