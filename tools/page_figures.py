"""Measures how the pages of the web UI open: requests, size, layout shift, and the first answer.

    python tools/page_figures.py [--url http://127.0.0.1:7860/] [--page sentiment] [--rounds 5]
        [--update-docs]

Each round opens each page in a new profile and once more in the same profile. Of each time it
prints the smallest of all rounds, because other processes can only make it larger, and the median.
Needs playwright and a Chromium (``NLPLUG_CHROMIUM``, else the one on the PATH).
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from axe import all_paths, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession, Page

PAGE = Path(__file__).parents[1] / "docs" / "workshop.md"
MARKS = ("<!-- page figures -->", "<!-- end of page figures -->")
CPUS = Path("/proc/cpuinfo")
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
    """Of one page: counts of the first and the second opening, and the times of all rounds."""

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
    parser.add_argument("--update-docs", action="store_true", help=f"write the table into {PAGE}")
    arguments = parser.parse_args()
    if arguments.update_docs and arguments.page:
        parser.error("--update-docs needs the figures of all pages: leave --page out")
    running = nullcontext(arguments.url.rstrip("/") + "/") if arguments.url else served()
    with running as url:
        table = measure(url, arguments.page, arguments.rounds)
    if arguments.update_docs:
        before, rest = PAGE.read_text(encoding="utf-8").split(MARKS[0])
        after = rest.split(MARKS[1])[1]
        PAGE.write_text(f"{before}{MARKS[0]}\n{table}\n{MARKS[1]}{after}", encoding="utf-8")


def measure(url: str, wanted: list[str] | None, rounds: int) -> str:
    """Print the figures of pages of a server, and return them."""
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("NLPLUG_CHROMIUM") or shutil.which("chromium")
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tell(_machine(browser, rounds))
        tell("")
        tell(
            "| page | layout shift | requests: first, second | kB | drawn, s | answer, s | CPU, s |"
        )
        tell("|---|---|---|---|---|---|---|")
        for path in wanted or all_paths(browser, url):
            figures = Figures()
            for _ in range(rounds):
                _round(browser, url + path + LINKS.get(path, ""), path in LINKS, figures)
            tell(_row(path, figures))
        browser.close()
    return "\n".join(lines)


def _machine(browser: Browser, rounds: int) -> str:
    """The machine and how much else it did, in one line."""
    found = CPUS.read_text("utf-8") if CPUS.exists() else ""
    names = [line.partition(":")[2].strip() for line in found.splitlines() if "model name" in line]
    cpu = names[0] if names else platform.machine()
    load = (
        f"; load of the minute before: {os.getloadavg()[0]:.1f}"
        if hasattr(os, "getloadavg")
        else ""
    )
    return f"Chromium {browser.version} on {os.cpu_count()} cores ({cpu}), {rounds} rounds{load}."


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
    cells = (
        path or "overview",
        f"{figures.shift:.3f}",
        f"{first}, {second}",
        f"{min(figures.kilobytes):.0f}",
        *map(_times, (figures.drawn, figures.answered, figures.cpu)),
    )
    return f"| {' | '.join(cells)} |"


def _times(seconds: list[float]) -> str:
    """The smallest time and the median."""
    return f"{min(seconds):.2f} ({median(seconds):.2f})" if seconds else ""


if __name__ == "__main__":
    main()
