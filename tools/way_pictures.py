"""The pictures of docs/workshop.md: from a correction to a model that answers.

    python tools/way_pictures.py [--output docs/images]

A server with a new workspace trains a tiny untrained base of the tests on 30 rows, so the pictures
take about a minute. Needs the extra train, playwright, and a Chromium (``NLPLUG_CHROMIUM``, else
the one on the PATH).
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).parents[1]
WORDS = {"billing": ("invoice", "card", "money"), "technical": ("app", "page", "phone")}
STATES = ("wrong", "old", "here", "mine", "gone")
ROWS = [
    (f"the {word} is {state}", label)
    for label, words in WORDS.items()
    for word in words
    for state in STATES
]
SETTINGS = {
    "epochs": "300",
    "batch_size": "4",
    "learning_rate": "0.005",
    "eval_share": "0.4",
    "precisions": "fp32",
}
SIZE = {"width": 1000, "height": 720}
MINUTES = 10


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = _base(folder / "base")
        _prepare(folder)
        with _served(folder / "my-work") as address:
            _walk(address, base, arguments.output)


def _base(folder: Path) -> Path:
    sys.path.insert(0, str(ROOT / "tests"))
    kit = import_module("training_kit")  # of the tests
    folder.mkdir()
    return Path(kit.untrained_bert(folder, [text for text, _ in ROWS]))


def _prepare(folder: Path) -> None:
    """A workspace whose data set has all rows but the first one, which is corrected on the page."""
    with (folder / "tickets.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *ROWS[1:]])
    workspace = str(folder / "my-work")
    for words in (
        ["create", workspace],
        ["import", workspace, "tickets", str(folder / "tickets.csv"), "--task", "classification"],
    ):
        subprocess.run([sys.executable, "-m", "nlplug", "workspace", *words], check=True)


@contextmanager
def _served(workspace: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "nlplug", "webui", "--port", "0"]
    command += ["--workspace", str(workspace), "--task", "classification"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "NLPLUG_OFFLINE": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            for line in server.stdout or ():
                if found := re.search(r"nlplug is at (http://\S+)", line):
                    yield found.group(1)
                    return
            raise SystemExit("the server did not start; run `nlplug webui` to see why")
        finally:
            server.terminate()


def _walk(address: str, base: Path, output: Path) -> None:
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("NLPLUG_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, locale="en-US", reduced_motion="reduce")  # type: ignore[arg-type]  # a TypedDict of the same keys
        page.set_default_timeout(MINUTES * 60_000)
        page.goto(address)
        text, label = ROWS[0]
        _answer(page, text)
        page.locator("#np-correct-toggle").click()
        page.locator(f'#np-correct-open .np-w-label[data-label="{label}"]').click()
        _picture(page, output / "way-1-correct.png", "#result")
        page.locator("#np-correct-save").click()
        page.locator("#np-correct-stored a").click()
        page.locator("#np-data-train").wait_for()
        _picture(page, output / "way-2-collect.png")
        page.locator("#np-data-train").click()
        page.locator("#np-train-estimate").wait_for()
        _picture(page, output / "way-3-train.png")
        page.locator("#np-train-base").fill(str(base))
        page.locator("#np-train-name").fill("mine")
        page.locator(".np-page details summary").first.click()
        for name, value in SETTINGS.items():
            page.locator(f"#np-train-{name}").fill(value)
        page.locator("#np-train-start").click()
        page.locator("#np-run-curves svg").first.wait_for()
        page.wait_for_function(
            "() => document.querySelectorAll('#np-run-curves circle, #np-run-curves path').length"
        )
        page.wait_for_timeout(8000)  # some points of the curves
        _picture(page, output / "way-4-curves.png")
        page.locator("#np-report-scores").wait_for()
        _picture(page, output / "way-5-gate.png", "#np-report-gate")
        page.locator("#np-report-use").click()
        page.locator("#model-facts .np-model-name", has_text="mine").wait_for()
        _answer(page, "my invoice is wrong")
        _picture(page, output / "way-6-use.png")
        browser.close()


def _answer(page: Page, text: str) -> None:
    page.locator("#model-facts .np-model-name").wait_for()
    page.locator("#classification-input-text textarea").fill(text)
    page.locator("#run").click()
    page.wait_for_function("() => document.querySelector('#result').dataset.state === 'current'")
    page.locator("#result .np-answer").wait_for()


def _picture(page: Page, target: Path, end: str | None = None) -> None:
    """The window, scrolled so far that the end of an element is in it."""
    page.evaluate("document.activeElement?.blur(); window.scrollTo(0, 0)")
    if end:
        page.locator(end).evaluate(
            "node => { if (node.getBoundingClientRect().bottom > innerHeight)"
            " node.scrollIntoView({ block: 'end' }) }"
        )
    page.wait_for_timeout(400)  # the colours of an answer that has just come
    page.screenshot(path=target)
    print(target, f"{target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
