"""The README's screenshots: the sentiment page in light and dark, and on a phone.

    python webui/screenshots.py --output docs/images [--model a/folder]

Needs playwright and a Chromium (``NLPLUG_CHROMIUM``, else the one on the PATH).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SHOTS: dict[str, dict[str, Any]] = {
    "sentiment-light": {
        "viewport": {"width": 1280, "height": 1000},
        "device_scale_factor": 1.5,
        "color_scheme": "light",
    },
    "sentiment-dark": {
        "viewport": {"width": 1280, "height": 1000},
        "device_scale_factor": 1.5,
        "color_scheme": "dark",
    },
    "sentiment-phone": {
        "viewport": {"width": 390, "height": 860},
        "device_scale_factor": 2,
        "is_mobile": True,
        "has_touch": True,
    },
}

SETTLED = """() => {
    for (let node = document.querySelector('#result .np-answer'); node; node = node.parentElement)
        if (getComputedStyle(node).opacity !== '1') return false;
    return true;
}"""


def main() -> None:
    """Start a server, take the screenshots, stop it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("docs/images"))
    parser.add_argument("--model", help="another model than the embedded one")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "nlplug", "webui", "--task", "sentiment", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as server:
        try:
            take(_address(server), arguments.output, arguments.model)
        finally:
            server.terminate()


def take(address: str, output: Path, model: str | None) -> None:
    """Take every screenshot of the server at ``address``."""
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("NLPLUG_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        for name, look in SHOTS.items():
            _shoot(browser, address, output / f"{name}.png", look, model)
        browser.close()


def _shoot(
    browser: Browser, address: str, target: Path, look: dict[str, Any], model: str | None
) -> None:
    context = browser.new_context(locale="en-US", reduced_motion="reduce", **look)
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(f"{address}sentiment")
    if model is not None:
        box = page.locator("#model input")
        box.fill(model)
        box.press("Enter")
    page.locator("#model-facts dl").wait_for()
    page.locator("#examples .gallery-item").first.click()
    page.locator("#result .np-answer").wait_for()
    # Once more, so that the time shown is that of an answer and not of a cold start.
    before = page.locator("#result").inner_text()
    page.locator("#run").click()
    page.wait_for_function("old => document.querySelector('#result').innerText !== old", arg=before)
    page.wait_for_function(SETTLED)  # an answer is pale while its event runs
    page.evaluate("window.scrollTo(0, 0); document.activeElement?.blur()")
    if look.get("is_mobile"):  # its window ends above the result
        page.evaluate("document.querySelector('.np-result-card').scrollIntoView({block: 'end'})")
    page.screenshot(path=target, full_page=not look.get("is_mobile", False))
    context.close()
    print(target)


def _address(server: subprocess.Popen[str]) -> str:
    for line in server.stdout or ():
        if found := re.search(r"nlplug is at (http://\S+)", line):
            return found.group(1)
    raise SystemExit("the server did not start; run `nlplug webui` to see why")


if __name__ == "__main__":
    main()
