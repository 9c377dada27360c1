"""The pages of a workspace in a browser: editors, the table of rows, and labelling."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from webui_kit import Visitor, web_server

from nlplug import PluginHost
from nlplug.workspace import DataSet, WorkspaceFolder

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

HOST = PluginHost.discover()
SELECT = """([text, box]) => {
  const letters = document.createTreeWalker(document.querySelector(box), NodeFilter.SHOW_TEXT);
  while (letters.nextNode()) {
    const start = letters.currentNode.data.indexOf(text);
    if (start < 0) continue;
    const range = document.createRange();
    range.setStart(letters.currentNode, start);
    range.setEnd(letters.currentNode, start + text.length);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    return true;
  }
  return false;
}"""
BOX = "#np-correct-open .np-w-text"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> WorkspaceFolder:
    return WorkspaceFolder.open(tmp_path_factory.mktemp("w") / "work", create=True)


@pytest.fixture(scope="module")
def guest(browser: Browser, workspace: WorkspaceFolder) -> Iterator[Visitor]:
    environment = {"NLPLUG_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with web_server("--workspace", str(workspace.path), environment=environment) as address:
        yield Visitor(browser, address)


@pytest.fixture
def visitor(guest: Visitor) -> Iterator[Visitor]:
    with guest.visit() as visitor:
        yield visitor


def rows(workspace: WorkspaceFolder, name: str, part: Any = "rows") -> list[dict[str, Any]]:
    return [row.values for row in DataSet.open(workspace, name).rows(part)]


def made(workspace: WorkspaceFolder, name: str, task: str, rows: list[dict[str, Any]]) -> DataSet:
    data = DataSet.create(workspace, name, HOST.task(task))
    data.add(rows)
    return data


def answered(page: Page, **fields: str) -> Page:
    """The page with the editor open below the answer to these texts."""
    page.locator("#model-facts .np-model-name").wait_for()
    for name, text in fields.items():
        page.locator(f"[id$='-input-{name}'] textarea, [id$='-input-{name}'] input").fill(text)
    page.locator("#run").click()
    page.wait_for_function(
        """fields => { const record = document.querySelector('#result .np-record');
        const item = record && JSON.parse(record.dataset.record).item;
        return item && Object.entries(fields).every(([name, text]) => item[name] === text) }""",
        arg=fields,
    )
    page.locator("#np-correct-toggle").click()
    page.locator("#np-correct-save").wait_for()
    return page


def stored(page: Page) -> None:
    page.locator("#np-correct-stored").wait_for()


def test_spans_are_marked_by_selection_and_key_and_count_characters(
    visitor: Visitor, workspace: WorkspaceFolder
) -> None:
    text = "😀 Anna met Zorblax in London."
    page = answered(visitor.open("ner"), text=text)
    while page.locator(f"{BOX} mark").count():
        page.locator(f"{BOX} mark").first.focus()
        page.keyboard.press("Delete")
    page.locator(BOX).focus()
    for words, label in (("Zorblax", "PER"), ("London", "LOC")):
        assert page.evaluate(SELECT, [words, BOX])
        buttons = page.locator("#np-correct-open .np-w-label")
        names = buttons.evaluate_all("all => all.map(one => one.dataset.label)")
        page.locator(BOX).press(str(names.index(label) + 1))
        page.locator(f"{BOX} mark", has_text=words).wait_for()
    page.locator(BOX).press("Enter")
    stored(page)
    [row] = rows(workspace, "ner")
    marked = [(text[s["start"] : s["end"]], s["label"]) for s in row["entities"]]
    assert marked == [("Zorblax", "PER"), ("London", "LOC")]


def test_an_answer_is_corrected_by_selecting_it(
    visitor: Visitor, workspace: WorkspaceFolder
) -> None:
    context = "Anna was born in Lyon and lives in Nice."
    page = answered(visitor.open("qa"), question="Where was Anna born?", context=context)
    assert page.evaluate(SELECT, ["Nice", BOX])
    page.locator(BOX).dispatch_event("mouseup")
    page.locator(f"{BOX} mark", has_text="Nice").wait_for()
    page.locator("#np-correct-save").click()
    stored(page)
    [row] = rows(workspace, "qa")
    assert row["answers"] == {"text": ["Nice"], "answer_start": [context.index("Nice")]}


def test_a_translation_is_edited(visitor: Visitor, workspace: WorkspaceFolder) -> None:
    page = answered(visitor.open("translation"), text="Good morning.")
    assert page.locator("#np-correct-open textarea").input_value().strip()
    page.locator("#np-correct-open textarea").fill("Bon matin.")
    page.locator("#np-correct-save").click()
    stored(page)
    assert rows(workspace, "translation") == [{"source": "Good morning.", "target": "Bon matin."}]


def test_nothing_is_stored_without_saving(visitor: Visitor, workspace: WorkspaceFolder) -> None:
    before = sorted(str(path) for path in workspace.path.rglob("*"))
    page = answered(visitor.open("sentiment"), text="I loved it")
    page.locator("#np-correct-open .np-w-label").last.press("1")
    page.keyboard.press("Escape")
    assert page.locator("#np-correct-open").is_hidden()
    assert sorted(str(path) for path in workspace.path.rglob("*")) == before


def test_rows_are_found_edited_and_deleted(visitor: Visitor, workspace: WorkspaceFolder) -> None:
    texts = [("Good <b>day</b>", "a"), ("bad day", "b"), ("a night", "b")]
    made(workspace, "table", "classification", [{"text": t, "label": x} for t, x in texts])
    page = visitor.open("workspace#/data/table")
    page.locator("#np-data-search").press_sequentially("DAY", delay=10)
    page.locator("#np-data-count", has_text="of 2").wait_for()
    page.locator("#np-data-label").select_option("b")
    page.locator("#np-data-count", has_text="of 1").wait_for()
    page.reload()  # the filters are in the address
    page.locator("#np-data-count", has_text="of 1").wait_for()
    assert page.locator("#np-data-search").input_value() == "DAY"
    assert page.locator("#np-data-label").input_value() == "b"
    page.locator(".np-w-rows button", has_text="Edit").click()
    page.locator('.np-w-rows .np-w-label[data-label="a"]').click()
    page.locator(".np-w-rows button", has_text="Save").click()
    page.locator(".np-w-table", has_text="No row matches").wait_for()
    assert [row["label"] for row in rows(workspace, "table")] == ["a", "a", "b"]
    page.locator("#np-data-label").select_option("")
    page.locator("#np-data-count", has_text="of 2").wait_for()
    assert page.locator(".np-w-rows td", has_text="Good <b>day</b>").count() == 1
    page.locator(".np-w-pick").first.check()
    page.locator("button", has_text="Delete 1 selected").click()
    page.locator("#np-data-count", has_text="of 1").wait_for()
    assert [row["text"] for row in rows(workspace, "table")] == ["bad day", "a night"]


def test_a_file_is_imported_checked_and_its_texts_are_labelled_by_key(
    visitor: Visitor, workspace: WorkspaceFolder, tmp_path: Path
) -> None:
    made(workspace, "film", "sentiment", [])
    lines = [{"text": f"good {n}", "label": "positive"} for n in range(5)]
    lines += [{"text": f"bad {n}", "label": "negative"} for n in range(5)]
    lines += [lines[0], {"text": "I do not know"}, {"text": "It was wonderful"}]
    file = tmp_path / "film.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    page = visitor.open("workspace#/data/film")
    page.locator("#np-data-file").set_input_files(file)
    page.locator(".np-note", has_text="11 rows and 2 texts to label were added").wait_for()
    page.locator("#np-data-check-now").click()
    page.locator(
        "#np-data-check li", has_text="1 row for training repeats an earlier one (rows.jsonl:11)"
    ).wait_for()
    page.locator("#np-data-uncertain").click()
    page.locator("#np-data-next .np-w-quote", has_text="I do not know").wait_for()
    page.locator("#np-data-next .np-w-correct").press("2")
    page.keyboard.press("Enter")
    page.locator("#np-data-next .np-w-quote", has_text="It was wonderful").wait_for()
    labelled = rows(workspace, "film")[-1]
    assert labelled["text"] == "I do not know"
    assert labelled["label"] in ("positive", "negative")
    assert rows(workspace, "film", "unlabelled") == [{"text": "It was wonderful"}]


@pytest.mark.parametrize("look", [{"locale": "zh-CN"}, {"width": 390}], ids=["zh", "phone"])
def test_the_pages_fit_and_are_translated(
    visitor: Visitor, workspace: WorkspaceFolder, look: dict[str, Any]
) -> None:
    if "looks" not in [data.name for data in DataSet.all(workspace)]:
        made(workspace, "looks", "classification", [{"text": "x " * 99, "label": "a" * 30}])
    for path in ("workspace", "workspace#/data/looks", "workspace#/train/looks"):
        page = visitor.open(path, **look)
        page.locator("#np-workshop .np-card").first.wait_for()
        wide = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(wide) <= 0, path
        if "locale" in look:
            assert page.locator(".np-title h1").inner_text() == "工作区"
            assert re.search("[\u4e00-\u9fff]{2}", page.locator("#np-workshop").inner_text())


def test_without_a_workspace_the_page_says_how_to_get_one(browser: Browser) -> None:
    with web_server("--task", "sentiment", environment={"NLPLUG_OFFLINE": "1"}) as address:
        page = Visitor(browser, address).open("workspace")
        page.locator("#np-workspace-off", has_text="nlplug webui --workspace").wait_for()
        page.goto(address)
        page.locator("#model-facts .np-model-name").wait_for()
        page.locator("#sentiment-input-text textarea").fill("I loved it")
        page.locator("#run").click()
        page.locator("#result .np-answer").wait_for()
        assert page.locator("#np-correct-toggle").count() == 0
        assert "workshop:" not in page.locator("body").inner_text(), "the key of a text"
        page.close()


def test_without_the_packages_of_training_the_page_says_what_to_install(
    browser: Browser, workspace: WorkspaceFolder, tmp_path: Path
) -> None:
    if "lean" not in [data.name for data in DataSet.all(workspace)]:
        made(workspace, "lean", "sentiment", [{"text": "x", "label": "positive"}])
    # As in an environment without torch: the import system finds none.
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nsys.modules['torch'] = None\n", encoding="utf-8"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    environment = {"NLPLUG_OFFLINE": "1", "PYTHONPATH": path}
    words = ("--workspace", str(workspace.path), "--task", "sentiment")
    with web_server(*words, environment=environment) as address:
        page = Visitor(browser, address).open("workspace#/train/lean")
        page.locator("#np-train-missing", has_text="pip install 'nlplug[train]'").wait_for()
        assert page.locator("#np-train-start").is_disabled()
        page.close()


def test_a_long_text_takes_twelve_lines_of_the_table(
    visitor: Visitor, workspace: WorkspaceFolder
) -> None:
    long = "x" * 30_000
    made(workspace, "long", "sentiment", [{"text": long, "label": "positive"}])
    page = visitor.open("workspace#/data/long")
    row = page.locator(".np-w-table tbody tr").first
    row.locator("button").wait_for()
    box = row.bounding_box()
    assert box is not None and box["height"] < 400
    row.locator("button").last.click()
    assert page.locator(".np-w-table .np-w-quote").inner_text() == long
