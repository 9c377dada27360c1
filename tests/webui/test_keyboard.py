"""The pages by keyboard alone: fields, editors, lists, and where the focus is afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from webui_kit import Visitor, web_server

from nlplug import PluginHost
from nlplug.workspace import DataSet, WorkspaceFolder

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.browser

TASKS = ("ner", "qa", "sentiment", "translation", "generation")
EDITOR = "#np-correct-open"
BOX = f"{EDITOR} .np-w-text"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> WorkspaceFolder:
    workspace = WorkspaceFolder.open(tmp_path_factory.mktemp("w") / "work", create=True)
    task = PluginHost.discover().task("sentiment")
    for name in ("films", "others"):
        data = DataSet.create(workspace, name, task)
        data.add([{"text": f"{name} {n}", "label": "positive"} for n in range(120)])
    return workspace


@pytest.fixture(scope="module")
def guest(browser: Browser, workspace: WorkspaceFolder) -> Iterator[Visitor]:
    words = [word for task in TASKS for word in ("--task", task)]
    environment = {"NLPLUG_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with web_server("--workspace", str(workspace.path), *words, environment=environment) as address:
        yield Visitor(browser, address)


@pytest.fixture
def visitor(guest: Visitor) -> Iterator[Visitor]:
    with guest.visit() as visitor:
        yield visitor


def asked(page: Page, **fields: str) -> Page:
    """The page with the answer to these texts."""
    page.locator("#model-facts .np-model-name").wait_for()
    for name, text in fields.items():
        page.locator(f"[id$='-input-{name}'] textarea, [id$='-input-{name}'] input").fill(text)
    page.locator("#run").press("Enter")
    page.wait_for_function(
        """fields => { const record = document.querySelector('#result .np-record');
        const item = record && JSON.parse(record.dataset.record).item;
        return item && Object.entries(fields).every(([name, text]) => item[name] === text) }""",
        arg=fields,
    )
    return page


def editing(page: Page, **fields: str) -> Page:
    """The page with the editor open, which has the focus."""
    asked(page, **fields).locator("#np-correct-toggle").press("Enter")
    page.locator(f"{EDITOR}:focus-within").wait_for()
    return page


def focused(shown: Locator) -> None:
    shown.and_(shown.page.locator(":focus")).wait_for()


def stored(workspace: WorkspaceFolder, name: str) -> dict[str, Any]:
    *_, last = DataSet.open(workspace, name).rows("rows")
    return last.values


def marks(page: Page) -> list[tuple[str, str | None]]:
    shown = page.locator(f"{BOX} mark").all()
    return [(mark.inner_text(), mark.get_attribute("data-label")) for mark in shown]


def test_entities_are_marked_changed_and_removed(
    visitor: Visitor, workspace: WorkspaceFolder
) -> None:
    text = "😀 Angela Merkel met Zorblax in Berlin"
    page = editing(visitor.open("ner"), text=text)
    focused(page.locator(BOX))
    while page.locator(f"{BOX} mark").count():
        page.locator(f"{BOX} mark").first.press("Delete")
        focused(page.locator(BOX))
    names = page.locator(f"{EDITOR} .np-w-label").evaluate_all(
        "all => all.map(one => one.dataset.label)"
    )
    page.keyboard.press("Control+End")
    page.keyboard.press("Control+Shift+ArrowLeft")
    page.keyboard.press(str(names.index("LOC") + 1))
    assert marks(page) == [("Berlin", "LOC")]
    page.keyboard.press("Control+Home")
    for _ in text[: text.index("Merkel")]:
        page.keyboard.press("ArrowRight")
    for _ in "Merkel":
        page.keyboard.press("Shift+ArrowRight")
    label = page.locator(f"{EDITOR} .np-w-label[data-label=PER]")
    label.press("Enter")  # what is selected stays so when another element has the focus
    assert marks(page) == [("Merkel", "PER"), ("Berlin", "LOC")]
    page.locator(BOX).focus()
    page.keyboard.type("x?/")  # is no text that could be written, and no shortcut
    page.keyboard.press("Backspace")
    assert page.locator(BOX).inner_text() == text
    assert page.locator("#np-keys").count() == 0
    page.keyboard.press("Enter")
    page.locator("#np-correct-stored").wait_for()
    focused(page.locator("#np-correct-toggle"))
    found = [
        (text[s["start"] : s["end"]], s["label"]) for s in stored(workspace, "ner")["entities"]
    ]
    assert found == [("Merkel", "PER"), ("Berlin", "LOC")]


PATHS = ("", "sentiment", "compare", "inside", "workspace", "plugins")


@pytest.mark.parametrize(
    ("path", "language", "text"),
    [("plugins", "zh-CN", "跳到正文"), *((path, "en-US", "Skip to content") for path in PATHS)],
)
def test_the_first_link_leads_to_the_content(
    visitor: Visitor, path: str, language: str, text: str
) -> None:
    page = visitor.open(path, locale=language)
    page.locator(".np-foot").wait_for()
    # Some pages fetch what they show: before, there is nothing in the content to go on to.
    page.locator("#np-content").locator("a, button, input, textarea, select").first.wait_for()
    link = page.locator(".np-skip")
    outside = "one => getComputedStyle(one).clipPath !== 'none'"
    assert link.evaluate(outside)
    address = page.url
    page.keyboard.press("Tab")
    focused(link)
    assert (link.inner_text(), link.evaluate(outside)) == (text, False)
    page.keyboard.press("Enter")
    focused(page.locator("#np-content"))
    assert page.url.partition("#/")[0] == address.partition("#/")[0]  # no fragment of its own
    page.keyboard.press("Tab")
    assert page.evaluate(
        "() => document.querySelector('#np-content').contains(document.activeElement)"
    )


def test_an_answer_is_selected(visitor: Visitor) -> None:
    texts = {"question": "Who designed the bridge?", "context": "Anna Weber designed the bridge."}
    page = editing(visitor.open("qa"), **texts)
    page.keyboard.press("Control+Home")
    page.keyboard.down("Shift")
    for _ in "Anna":
        page.keyboard.press("ArrowRight")
    page.keyboard.up("Shift")
    page.locator(f"{BOX} mark").get_by_text("Anna", exact=True).wait_for()
    page.keyboard.press("Escape")
    focused(page.locator("#np-correct-toggle"))


def test_a_label_is_chosen_by_its_number_and_saved(
    visitor: Visitor, workspace: WorkspaceFolder
) -> None:
    page = editing(visitor.open("sentiment"), text="I loved it.")
    focused(page.locator(f"{EDITOR} [data-label=positive]"))
    page.keyboard.press("2")
    page.locator(f"{EDITOR} [data-label=negative][aria-pressed=true]").wait_for()
    page.keyboard.press("Enter")
    page.locator("#np-correct-stored").wait_for()
    focused(page.locator("#np-correct-toggle"))
    [name] = page.locator("#np-correct-stored a").evaluate_all("all => all.map(a => a.hash)")
    assert stored(workspace, name.split("/")[-1])["label"] == "negative"


def test_escape_leads_from_the_alternatives_to_the_sentence(visitor: Visitor) -> None:
    page = asked(visitor.open("translation"), text="Good morning.")
    sentence = page.locator("#result .np-part-button")
    sentence.press("Enter")
    focused(page.locator("#np-alternatives .np-other").first)
    page.keyboard.press("Escape")
    focused(sentence)
    assert page.locator("#np-alternatives").count() == 0


def test_the_focus_is_visible_on_switches_and_sliders(visitor: Visitor) -> None:
    page = visitor.open("sentiment")
    for selector in ("#np-live input", "#options input[type=checkbox]", "#options [type=range]"):
        page.locator(selector).first.wait_for()
        page.locator(selector).first.press("Shift")  # as somebody who uses the keyboard
        outline = page.locator(selector).first.evaluate("one => getComputedStyle(one).outlineStyle")
        assert (selector, outline) == (selector, "solid")


def test_the_presets_are_reached_where_they_are_seen(visitor: Visitor) -> None:
    page = visitor.open("generation")
    page.locator("#np-presets").wait_for()
    tops = "all => all.map(one => one.getBoundingClientRect().top)"
    shown = page.locator("#options :is(button, input)").evaluate_all(tops)
    assert shown[0] == min(shown)
    assert page.locator("#options :is(button, input)").first.get_attribute("data-preset")


def test_a_slash_leads_to_the_first_field_that_is_visible(visitor: Visitor) -> None:
    for path, field in (
        ("workspace", "#np-data-name"),
        ("workspace#/data/films", "#np-data-search"),
        ("compare#/sentiment", "#np-c-field-text"),
    ):
        page = visitor.open(path)
        page.locator(field).wait_for()
        page.keyboard.press("/")
        focused(page.locator(field))


def test_shift_and_enter_run_a_text_of_several_lines(visitor: Visitor) -> None:
    page = visitor.open("compare#/sentiment")
    field = page.locator("#np-c-field-text")
    field.wait_for()
    page.locator("#np-c-live").uncheck()
    field.fill("a good day")
    field.press("Shift+Enter")
    page.locator("#np-c-answers .np-c-answer").first.wait_for()
    assert field.input_value() == "a good day"


def test_a_button_has_the_focus_when_its_work_is_done(visitor: Visitor) -> None:
    page = visitor.open("compare#/sentiment")
    page.locator("#np-c-live").uncheck()
    page.locator("#np-c-field-text").fill("a good day")
    page.locator("#np-c-ask").press("Enter")
    page.locator("#np-c-answers .np-c-answer").first.wait_for()
    focused(page.locator("#np-c-ask"))


def test_the_heading_has_the_focus_when_another_part_opens(visitor: Visitor) -> None:
    page = visitor.open("workspace")
    page.locator("a[href='#/data/films']").press("Enter")
    focused(page.locator("h2", has_text="films"))
    page.locator("#np-data-train").press("Enter")
    focused(page.locator("h2", has_text="Train on films"))
    page.go_back()
    focused(page.locator("h2", has_text="films"))


def test_the_focus_stays_at_what_turns_and_deletes_rows(
    visitor: Visitor, workspace: WorkspaceFolder
) -> None:
    page = visitor.open("workspace#/data/others")
    count = page.locator("#np-data-count")
    page.locator("#np-rows-next").press("Enter")
    count.filter(has_text="51 to 100").wait_for()
    focused(page.locator("#np-rows-next"))
    page.keyboard.press("Enter")
    count.filter(has_text="101 to 120").wait_for()
    focused(page.locator("#np-data-search"))  # there is no next page
    page.locator(".np-w-pick").first.press("Space")
    page.locator(".np-w-table .np-w-danger").press("Enter")
    count.filter(has_text="101 to 119").wait_for()
    focused(page.locator("#np-data-search"))
    page.goto(page.url.split("#")[0] + "#/")
    deleting = page.locator(".np-w-item", has_text="others").locator(".np-w-danger")
    deleting.press("Enter")
    deleting.press("Enter")
    page.locator(".np-w-item", has_text="others").wait_for(state="detached")
    focused(page.locator("h2", has_text="Data sets"))


def test_what_a_command_says_is_beside_its_button(visitor: Visitor) -> None:
    """The button keeps the focus, and acts once: a change is there when the server starts again."""
    answers = [
        {"ok": False, "output": "line\n" * 99 + "no such distribution"},
        {"ok": True, "output": "Successfully uninstalled"},
    ]
    page = visitor.open("plugins")
    # The command itself would change the environment of the tests.
    page.route("**/np-plugins/uninstall", lambda route: route.fulfill(json=answers.pop(0)))
    page.route(
        "**/np-plugins/list",
        lambda route: route.fulfill(json={**route.fetch().json(), "off": None}),
    )
    page.reload()
    line = page.locator("[data-dist=nlplug-sentiment]")
    button = line.locator("[data-change=uninstall]")
    for said in ("The command failed.", "Restart the server"):
        button.press("Enter")
        page.keyboard.press("Enter")
        line.locator(".np-w-message", has_text=said).wait_for()
        focused(button)
        assert button.inner_text() == "Uninstall"
        log = line.locator(".np-w-log")
        assert log.evaluate("one => one.scrollHeight - one.clientHeight - one.scrollTop") <= 1
    button.press("Enter")
    page.keyboard.press("Enter")
    assert (button.inner_text(), answers) == ("Uninstall", [])


def test_the_list_of_shortcuts_looks_like_the_page(visitor: Visitor) -> None:
    page = visitor.open("workspace")
    page.locator("#np-data-name").wait_for()
    page.locator(".np-keys-open").press("Enter")
    font = "one => getComputedStyle(one).fontFamily"
    assert page.locator("#np-keys").evaluate(font) == page.locator("h1").evaluate(font)
    texts = json.loads(page.locator("[data-shortcuts]").get_attribute("data-shortcuts") or "")
    assert page.locator("#np-keys dd").count() == sum(name.startswith("key_") for name in texts)
    page.keyboard.press("Escape")
    focused(page.locator(".np-keys-open"))
