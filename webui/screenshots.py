"""The documentation's screenshots: the pages of tasks, some of them dark.

    python webui/screenshots.py --output docs/images [--only ner-light] [--model FOLDER]

Needs playwright and a Chromium (``NLPLUG_CHROMIUM``, else the one on the PATH).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FloatRect, Page

LIGHT: dict[str, Any] = {
    "viewport": {"width": 1280, "height": 900},
    "device_scale_factor": 1,
    "color_scheme": "light",
}
DARK: dict[str, Any] = {**LIGHT, "color_scheme": "dark"}

NEWS = (
    "The World Health Organization opened an office in Nairobi on Monday. Its director, Grace "
    "Mwangi, thanked the Kenyan government and the Wellcome Trust; a second one will follow in "
    "Lima."
)

LETTER = (
    "The train leaves at 10:30, {name}. The children are waiting at the station.\n\n"
    "Where is your coat? See https://example.com."
)


@dataclass(frozen=True)
class Shot:
    """One picture.

    Attributes:
        task: Whose page.
        look: Of the browser.
        example: Which example is picked.
        fields: What is typed instead of it.
        explained: Whether the words that led to the answer are shown; the picture then has the
            whole result and not the menu above it.
    """

    task: str
    look: dict[str, Any]
    example: int = 0
    fields: dict[str, str] = field(default_factory=dict)
    explained: bool = False


SHOTS: dict[str, Shot] = {
    "explanation-light": Shot(
        "sentiment",
        LIGHT | {"viewport": {"width": 1280, "height": 1280}, "device_scale_factor": 1},
        fields={"text": "Great cast, but a dull plot"},
        explained=True,
    ),
    "ner-light": Shot("ner", LIGHT, fields={"text": NEWS}),
    "qa-dark": Shot("qa", DARK),
    "generation-dark": Shot("generation", DARK),
    "translation-light": Shot("translation", LIGHT, fields={"text": LETTER}),
}

ANSWERED = """old => {
    const card = document.querySelector('#result');
    const asked = card.querySelector('.np-reply')?.dataset.asked;
    return card.dataset.state === 'current' && asked && asked !== old;
}"""

SETTLED = """() => {
    for (let node = document.querySelector('#result .np-answer'); node; node = node.parentElement)
        if (getComputedStyle(node).opacity !== '1') return false;
    return true;
}"""


def main() -> None:
    """Start a server, take the screenshots, stop it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("docs/images"))
    parser.add_argument("--only", nargs="*", choices=SHOTS, default=list(SHOTS))
    parser.add_argument("--model", help="a model to pick on the pages in the place of their own")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "nlplug", "webui", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as server:
        try:
            take(_address(server), arguments.output, arguments.only, arguments.model)
        finally:
            server.terminate()


def take(address: str, output: Path, names: list[str], model: str | None = None) -> None:
    """Take screenshots of the server at ``address``."""
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("NLPLUG_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        for name in names:
            _shoot(browser, address, output / f"{name}.png", SHOTS[name], model)
        browser.close()


def _shoot(browser: Browser, address: str, target: Path, shot: Shot, model: str | None) -> None:
    context = browser.new_context(locale="en-US", reduced_motion="reduce", **shot.look)
    context.set_default_timeout(300_000)
    page = context.new_page()
    page.goto(f"{address}{shot.task}")
    if model:
        page.locator("#model input").fill(model)
        page.locator("#model input").press("Enter")
    page.locator("#model-facts dl").wait_for()
    page.locator("#examples .gallery-item").nth(shot.example).click()
    page.locator("#result .np-answer").wait_for()
    for name, text in shot.fields.items():
        page.locator(f"#{shot.task}-input-{name} textarea").fill(text)
    # Once more, so that the time shown is that of an answer and not of a cold start.
    before = page.locator("#result .np-reply").get_attribute("data-asked")
    page.locator("#run").click()
    page.wait_for_function(ANSWERED, arg=before)
    page.wait_for_function(SETTLED)  # an answer is pale while its event runs
    if shot.explained:
        page.locator(".np-why-button").click()
        page.locator("#result .np-why").wait_for()
        page.wait_for_function(SETTLED)
    page.evaluate("window.scrollTo(0, 0); document.activeElement?.blur()")
    page.screenshot(path=target, clip=_whole_result(page) if shot.explained else None)
    context.close()
    with Image.open(target) as picture:  # 256 colours are enough for a page, at a third of the size
        small = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    small.save(target, optimize=True)
    print(target)


def _whole_result(page: Page) -> FloatRect:
    """The part of a page from its title to the end of its result, with a margin."""
    title = page.locator("h1").bounding_box()
    result = page.locator("#result").bounding_box()
    if title is None or result is None:
        raise SystemExit("the page has no title or no result")
    top, left = title["y"] - 24, title["x"] - 24
    return {
        "x": left,
        "y": top,
        "width": result["x"] + result["width"] + 24 - left,
        "height": result["y"] + result["height"] + 24 - top,
    }


def _address(server: subprocess.Popen[str]) -> str:
    for line in server.stdout or ():
        if found := re.search(r"nlplug is at (http://\S+)", line):
            return found.group(1)
    raise SystemExit("the server did not start; run `nlplug webui` to see why")


if __name__ == "__main__":
    main()
