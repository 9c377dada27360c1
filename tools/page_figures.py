"""Measures how the pages of the web UI open: requests, size, layout shift, and the first answer.

    python tools/page_figures.py [--url http://127.0.0.1:7860/] [--page sentiment] [--rounds 5]

Each round opens each page in a new profile and once more in the same profile. The times are the
smallest of all rounds, because other processes can only make them larger. Needs playwright and a
Chromium (``NLPLUG_CHROMIUM``, else the one on the PATH).
"""

from __future__ import annotations

import argparse
import os
import shutil
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from axe import all_paths, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession, Page

LINKS = {
    "classification": "?text=I+lost+my+card",
    "sentiment": "?text=A+wonderful+film",
    "ner": "?text=Ada+Lovelace+lived+in+London",
    "qa": "?question=Where+did+Ada+live%3F&context=Ada+Lovelace+lived+in+London.",
    "translation": "?text=Good+morning",
    "generation": "?text=Once+upon+a+time&max_new_tokens=1",
}
"""What the links of pages name that have an embedded model."""
FILLED = "() => document.querySelector('#try-card textarea')?.value"
WATCH = """() => {
    window.shift = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((one) => {
        if (!one.hadRecentInput) window.shift += one.value;
    })).observe({ type: "layout-shift", buffered: true });
}"""
READY = "() => document.querySelector('.np-foot') && document.querySelector('.np-page')"
ANSWERED = "() => document.querySelector('#result')?.dataset.state === 'current'"


@dataclass
class Figures:
    """Of one page: counts of the first and the second opening, and the smallest times."""

    shift: float = 0.0
    requests: list[int] = field(default_factory=list)
    kilobytes: list[float] = field(default_factory=list)
    drawn: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="a running server; else one is started")
    parser.add_argument("--page", nargs="*", help="paths of pages; else all that the menu names")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    running = nullcontext(arguments.url.rstrip("/") + "/") if arguments.url else served()
    with running as url:
        measure(url, arguments.page, arguments.rounds)


def measure(url: str, wanted: list[str] | None, rounds: int) -> None:
    """Print the figures of pages of a server."""
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("NLPLUG_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        print("| page | shift | requests: first, second | kB | drawn, s | answer, s | CPU, s |")
        print("|---|---|---|---|---|---|---|")
        for path in wanted or all_paths(browser, url):
            figures = Figures()
            for _ in range(rounds):
                _round(browser, url + path + LINKS.get(path, ""), path in LINKS, figures)
            print(_row(path, figures), flush=True)
        browser.close()


def _round(browser: Browser, address: str, answers: bool, figures: Figures) -> None:
    context = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)
    context.add_init_script(f"({WATCH})()")
    for place in range(2):
        page = context.new_page()
        session = context.new_cdp_session(page)
        _opened(page, session, address, answers, place, figures)
        page.close()
    context.close()


def _opened(
    page: Page, session: CDPSession, address: str, answers: bool, place: int, figures: Figures
) -> None:
    """Open one page and take its figures; requests from the browser's cache do not count."""
    responses: list[str] = []
    bytes_sent: list[float] = []
    cached: set[str] = set()
    session.on("Network.requestServedFromCache", lambda one: cached.add(one["requestId"]))

    def received(one: dict[str, Any]) -> None:
        kept = one["response"].get("fromDiskCache") or one["requestId"] in cached
        if not kept and not one["response"]["url"].startswith(("data:", "blob:")):
            responses.append(one["requestId"])

    session.on("Network.responseReceived", received)
    session.on("Network.loadingFinished", lambda one: bytes_sent.append(one["encodedDataLength"]))
    session.send("Network.enable")
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(address)
    page.wait_for_function(READY)
    drawn = page.evaluate("performance.now()") / 1000
    if answers:
        page.wait_for_function(FILLED)
        if not page.locator("#np-live input").is_checked():  # the link alone is not answered
            page.locator("#run").click()
        page.wait_for_function(ANSWERED)
        answered = page.evaluate("performance.now()") / 1000
    page.wait_for_timeout(1500)
    shift = page.evaluate("window.shift")
    metrics = {
        one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]
    }
    figures.shift = max(figures.shift, shift)
    if place:
        figures.requests[1:] = [len(responses)]
        return
    figures.requests[:1] = [len(responses)]
    figures.kilobytes.append(sum(bytes_sent) / 1000)
    figures.drawn.append(drawn)
    figures.cpu.append(metrics["TaskDuration"])
    if answers:
        figures.answered.append(answered)


def _row(path: str, figures: Figures) -> str:
    first, second = figures.requests
    answered = f"{min(figures.answered):.2f}" if figures.answered else ""
    return (
        f"| {path or 'overview'} | {figures.shift:.3f} | {first}, {second} "
        f"| {min(figures.kilobytes):.0f} | {min(figures.drawn):.2f} | {answered} "
        f"| {min(figures.cpu):.2f} |"
    )


if __name__ == "__main__":
    main()
