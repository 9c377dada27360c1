"""How time and memory grow with the text, the batch, the new tokens and the beams.

``python benchmarks/growth.py`` writes docs/images/growth.svg and prints the table of
docs/limits.md. One thread answers; time is CPU time, the least of some calls, so that other work on
the machine hardly counts. Memory is the peak of the process during a call (Linux).
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from time import process_time
from typing import Any

from nlplug import pipeline

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "growth.svg"
CALLS = 4
_SENTENCE = "Maria Weber met {} engineers of Siemens in Berlin and liked the plan of the bridge. "
_CLEAR = Path("/proc/self/clear_refs")


@dataclass
class Series:
    """What was measured while one quantity grew.

    Attributes:
        title: Which quantity, of which task.
        points: The quantity, CPU seconds, and peak memory in MB, of each call.
    """

    title: str
    points: list[tuple[int, float, float]] = field(default_factory=list)

    def measure(self, sizes: Iterable[int], call: Callable[[int], object]) -> Series:
        """Call for each size."""
        for size in sizes:
            call(size)
            if _CLEAR.exists():
                _CLEAR.write_text("5")  # the peak begins anew
            times = []
            for _ in range(CALLS):
                begin = process_time()
                call(size)
                times.append(process_time() - begin)
            self.points.append((size, min(times), _peak()))
            print(f"{self.title}: {size:,}  {min(times):.4f} s", flush=True)
        return self

    @property
    def exponents(self) -> list[float]:
        """By which power time grows from each size to the next."""
        return [
            math.log(later[1] / sooner[1]) / math.log(later[0] / sooner[0])
            for sooner, later in pairwise(self.points)
        ]


def _peak() -> float:
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+)", status.read_text()) if status.exists() else None
    return int(found[1]) / 1024 if found else math.nan


def text_of(characters: int) -> str:
    """A text of sentences, no two of them alike, cut at its length."""
    numbers = range(2, characters // len(_SENTENCE) + 3)
    return "".join(map(_SENTENCE.format, numbers))[:characters]


def measured() -> list[Series]:
    """All series, each in a pipeline of its own."""
    lengths = (16, 100, 1_000, 10_000, 100_000)
    found = []
    for task in ("sentiment", "ner", "qa"):
        with pipeline(task, device="cpu", threads=1) as pipe:

            def one(size: int, pipe: Any = pipe, task: str = task) -> object:
                text = text_of(size)
                return pipe(question="Who met them?", context=text) if task == "qa" else pipe(text)

            found.append(Series(f"characters of a text, {task}").measure(lengths, one))
            if task == "sentiment":
                texts = [f"{text_of(90)} {number}" for number in range(1024)]
                sizes = (1, 4, 16, 64, 256, 1024)
                series = Series("texts of 90 characters in a call, sentiment")
                found.append(series.measure(sizes, lambda n, p=pipe, t=texts: list(p(t[:n]))))
    with pipeline("translation", device="cpu", threads=1) as pipe:
        series = Series("characters of a text, translation")
        found.append(series.measure(lengths[1:4], lambda n: pipe(text_of(n))))
        series = Series("beams, translation of 90 characters")
        sizes = (1, 2, 4, 8, 16)
        found.append(series.measure(sizes, lambda n: pipe(text_of(90), num_beams=n)))
    with pipeline("generation", device="cpu", threads=1) as pipe:
        settings = {"do_sample": False, "return_full_text": False}
        series = Series("new tokens, generation")
        sizes = (8, 16, 32, 64, 128, 256)
        found.append(
            series.measure(
                sizes,
                lambda n: pipe("Once upon a time", max_new_tokens=n, min_new_tokens=n, **settings),
            )
        )
    return found


def draw(found: list[Series], path: Path) -> None:
    """CPU seconds over the size, on logarithmic axes."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "growth"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5))
    for series in found:
        sizes, seconds, _ = zip(*series.points, strict=True)
        axes.plot(sizes, seconds, marker="o", markersize=3, label=series.title)
    axes.set(xscale="log", yscale="log", xlabel="size", ylabel="CPU seconds")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Measure, draw and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--picture", type=Path, default=PICTURE)
    options = parser.parse_args()
    found = measured()
    draw(found, options.picture)
    print("\n| what grows | from … to | CPU seconds | exponents | peak MB |\n|---|---|---|---|---|")
    for series in found:
        sizes, seconds, memory = zip(*series.points, strict=True)
        print(
            f"| {series.title} | {sizes[0]:,} … {sizes[-1]:,} | "
            f"{seconds[0]:.4f} … {seconds[-1]:.3g} | "
            f"{', '.join(f'{one:.2f}' for one in series.exponents)} | "
            f"{memory[0]:.0f} … {memory[-1]:.0f} |"
        )


if __name__ == "__main__":
    main()
