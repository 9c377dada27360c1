"""The whole way in a browser: correct, train, restart, trust, use, and hand on as a wheel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from training_kit import untrained_bert
from webui_kit import WAIT, LastingServer, Visitor

from nlplug.workspace import TrainingRun, WorkspaceFolder

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

WORDS = {"billing": ("invoice", "card", "money"), "technical": ("app", "page", "phone")}
STATES = ("wrong", "old", "here", "mine", "gone")
TEXTS = [
    (f"the {word} is {state}", label)
    for label, words in WORDS.items()
    for word in words
    for state in STATES
]
LAST_ROW = ("seed", "precisions")
ENVIRONMENT = {"NLPLUG_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    return untrained_bert(folder, [text for text, _ in TEXTS])


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The workspace; whatever still trains in it at the end is stopped."""
    folder = tmp_path / "workspace"
    yield folder
    for run in TrainingRun.all(WorkspaceFolder.open(folder)):
        if run.state == "running":
            run.stop()


def correct(page: Page, text: str, label: str) -> None:
    """Ask for a text, choose the right label of the answer, and store it."""
    page.locator("#classification-input-text textarea").fill(text)
    page.locator("#run").click()
    page.wait_for_function(
        """text => JSON.parse(document.querySelector('#result .np-record')?.dataset.record
        ?? '{}').item?.text === text""",
        arg=text,
    )
    page.locator("#np-correct-toggle").click()
    choice = page.locator(f'#np-correct-open .np-w-label[data-label="{label}"]')
    page.locator("#np-correct-open .np-w-other").wait_for()
    if choice.count():
        choice.click()
    else:
        page.locator("#np-correct-open .np-w-other").fill(label)
        page.keyboard.press("Enter")
    page.locator("#np-correct-save").click()
    page.locator("#np-correct-stored").wait_for()


def test_from_corrections_to_a_wheel(
    browser: Browser, folder: Path, base: Path, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        server = LastingServer(
            stack, "--workspace", str(folder), "--task", "classification", environment=ENVIRONMENT
        )
        visitor = Visitor(browser, server.address)
        page = visitor.open("")
        page.locator("#model-facts .np-model-name").wait_for()
        for text, label in TEXTS:
            correct(page, text, label)
        stored = (folder / "datasets/classification/rows.jsonl").read_text(encoding="utf-8")
        assert [json.loads(line) for line in stored.splitlines()] == [
            {"text": text, "label": label} for text, label in TEXTS
        ]

        page.locator("#np-correct-stored a").click()
        page.locator("#np-data-train").wait_for()
        page.locator(".np-w-rows tr").nth(29).wait_for()  # the rows come after the page
        assert page.locator(".np-w-rows tr").count() == 30
        page.locator("#np-data-train").click()
        page.locator("#np-train-base").fill(str(base))
        page.locator("#np-train-name").fill("mine")
        page.locator(".np-page details summary").first.click()
        for name, value in (
            ("epochs", "300"),
            ("batch_size", "4"),
            ("learning_rate", "0.005"),
            ("eval_share", "0.4"),
            ("precisions", "fp32"),
        ):
            page.locator(f"#np-train-{name}").fill(value)
        # In one step: the estimate, which comes while this goes on, moves the fields.
        seed, precisions = page.evaluate(
            "names => names.map((name) =>"
            " document.getElementById(`np-train-${name}`).getBoundingClientRect().y)",
            [*LAST_ROW],
        )
        assert seed == precisions
        page.locator("#np-train-start").click()

        # A stop, a reload, and a server that goes and comes back: the run and its page go on.
        page.locator("#np-run-curves svg").first.wait_for()
        page.locator("#np-run-stop").click()
        page.locator('.np-w-state[data-state="stopped"]').wait_for()
        page.reload()
        page.locator("#np-run-resume").click()
        page.locator("#np-run-stop").wait_for()
        server.stop()
        page.locator(".np-error", has_text="The training does not need the server.").wait_for()
        server.start()
        page.locator(".np-error").wait_for(state="detached")
        page.locator("#np-report-scores").wait_for(timeout=WAIT * 1000)
        page.locator("#np-report-gate tbody tr").first.wait_for()
        assert page.locator("#np-report-gate tbody tr").count() == 1
        page.locator(".np-w-cell:not([disabled])").first.click()
        page.locator("#np-report-behind table").wait_for()

        with page.expect_download() as downloaded:
            page.locator("#np-report-wheel").click()
        wheel = tmp_path / downloaded.value.suggested_filename
        downloaded.value.save_as(wheel)
        shown = page.locator("#np-report .np-w-command code").all_inner_texts()
        assert shown == [
            f"pip install {wheel.name}",
            'nlplug run classification "…" --model mine',
        ]

        page.locator("#np-report-use").click()
        page.locator("#model-facts .np-model-name", has_text="mine").wait_for()
        page.locator("#classification-input-text textarea").fill("my invoice is wrong")
        page.locator("#run").click()
        page.locator("#result .np-bar-first .np-bar-name", has_text="billing").wait_for()
        visitor.leave()
        assert visitor.foreign == []
    assert installed_answer(wheel, tmp_path / "empty") == "billing"


def installed_answer(wheel: Path, folder: Path) -> str:
    """The label of the wheel's model, in an environment into which only it was installed.

    What it depends on is taken from the environment of the tests, without a network.
    """
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    site = next(folder.glob("lib/*/site-packages"))
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet"]
    subprocess.run([*pip, "--target", str(site), str(wheel)], check=True)
    (site / "tests.pth").write_text("\n".join(path for path in sys.path if path), encoding="utf-8")
    code = (
        "import nlplug; print(nlplug.pipeline('classification', 'mine')"
        "('my invoice is wrong')[0]['label'])"
    )
    environment = {**os.environ, **ENVIRONMENT}
    run = subprocess.run(
        [str(python), "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    return run.stdout.strip()
