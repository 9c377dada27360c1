"""Checks every page of the web UI with axe-core: WCAG 2.1 A and AA, in light, dark and on a phone.

    python tools/axe.py [--url http://127.0.0.1:7860/] [--page translation]

Needs playwright, a Chromium (``NLPLUG_CHROMIUM``, else the one on the PATH), and the package
axe-playwright-python, from which only axe-core itself is taken.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 860}, "is_mobile": True, "has_touch": True},
}
RULES = """async () => (await axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] })).violations.map((one) =>
    `${one.id} (${one.impact}): ${one.help}: ` + one.nodes.slice(0, 3).map((node) =>
        node.target.join(" ") + " " + node.html.slice(0, 160)).join(" | "))"""


def main() -> int:
    """Check the pages; the exit status is 1 if there is a violation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="a running server; else one is started")
    parser.add_argument("--page", nargs="*", help="paths of pages; else all that the menu names")
    arguments = parser.parse_args()
    if arguments.url:
        return check(arguments.url.rstrip("/") + "/", arguments.page)
    with served() as url:
        return check(url, arguments.page)


@contextmanager
def served() -> Iterator[str]:
    """The address of a server with an empty workspace."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "nlplug", "webui", "--port", "0", "--workspace", folder]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "NLPLUG_OFFLINE": "1"}
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=environment
        ) as server:
            try:
                for line in server.stdout or ():
                    if found := re.search(r"nlplug is at (http://\S+)", line):
                        yield found.group(1)
                        return
                raise SystemExit("the server did not start; run `nlplug webui` to see why")
            finally:
                server.terminate()


def check(url: str, wanted: list[str] | None) -> int:
    """Check the pages of a server in each look."""
    from playwright.sync_api import sync_playwright

    script = (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
    chromium = os.environ.get("NLPLUG_CHROMIUM") or shutil.which("chromium")
    failed = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        paths = wanted or all_paths(browser, url)
        for look, settings in LOOKS.items():
            context = browser.new_context(
                locale="en-US", reduced_motion="reduce", bypass_csp=True, **settings
            )
            context.set_default_timeout(300_000)  # machines may be busy
            for path in paths:
                page = context.new_page()
                _open(page, url + path)
                page.evaluate(script)
                failed += _told(page, f"{look:6} /{path}")
                if page.locator("#batch-file").count():
                    _process(page)
                    failed += _told(page, f"{look:6} /{path}#batch")
                page.close()
            context.close()
        browser.close()
    return 1 if failed else 0


def _told(page: Page, name: str) -> int:
    """Print the violations of a page; their number."""
    found = page.evaluate(RULES)
    print(f"{name}: {len(found)} violations", *found, sep="\n    ")
    return len(found)


def _process(page: Page) -> None:
    """Process a file on the tab for files."""
    rows = {"name": "rows.txt", "mimeType": "text/plain", "buffer": b"Good.\nBad.\n"}
    page.locator('[name="np-tab"][value="batch"]').check(force=True)
    page.locator("#batch-file input[type=file]").set_input_files(rows)  # type: ignore[arg-type]  # a TypedDict of the same keys
    page.locator("#batch-result .np-table").wait_for()
    page.locator("#batch-run").click()
    page.locator("#download-csv, #batch-result .np-card-message").wait_for()
    page.wait_for_timeout(600)


def all_paths(browser: Browser, url: str) -> list[str]:
    """The pages in the menu of a server. Links with a type lead to something that is no page."""
    page = browser.new_page()
    _open(page, url)
    links = page.locator(".np-menu-links a:not([type])").evaluate_all(
        "all => all.map(one => one.getAttribute('href'))"
    )
    page.close()
    return ["", *(str(link).removeprefix("./") for link in links)]


def _open(page: Page, address: str) -> None:
    """A page with an answer, if it has an input and a model for it, and its menu and folds."""
    page.goto(address)
    page.locator(".np-foot").wait_for()
    page.wait_for_load_state()
    examples = page.locator("#examples .gallery-item")
    if examples.count():
        page.wait_for_function("() => document.querySelector('#np-history')")  # the page is ready
        examples.first.click()
        page.locator("#result .np-answer, #result .np-card-message").wait_for()
        page.wait_for_function(
            "() => getComputedStyle(document.querySelector('#result .np-reply')).opacity === '1'"
        )
    if page.locator("#np-compare, #np-inside").count():
        page.locator("#np-c-ask, #np-i-ask").click()
        page.locator(".np-c-answer, #np-i-found section, .np-error").first.wait_for()
    page.evaluate("document.querySelectorAll('.np-page details').forEach(one => one.open = true)")
    page.wait_for_timeout(600)  # transitions of colours would count as too little contrast


if __name__ == "__main__":
    sys.exit(main())
