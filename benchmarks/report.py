"""The tables: Markdown for the terminal and the documentation, JSON with every figure."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

from arena import FOREIGN_LIMIT, Record
from bar import Bar
from decoding_race import Decoded, Streaming
from decoding_report import decoding_bars, decoding_table, streaming_table
from parts import DECODING, PARTS
from quiet import cpu_facts
from startup import Start

START, END = "<!-- bench:start -->", "<!-- bench:end -->"
_TITLE = "## "
TITLES = {
    "transformers": "transformers pipeline, fp32",
    "torch-bf16": "PyTorch by hand, bf16, length-sorted",
    "optimum-fp32": "optimum pipeline, fp32",
    "optimum-int8": "optimum pipeline, int8",
    "openvino-fp32": "OpenVINO, fp32, length-sorted",
    "openvino-bf16": "OpenVINO, bf16, length-sorted",
    "openvino-int8": "OpenVINO, int8 by NNCF, length-sorted",
    "bare-fp32": "bare `session.run`, ideal batches, fp32",
    "bare-int8": "bare `session.run`, ideal batches, int8",
    "nlplug-fp32": "**nlplug, fp32**",
    "nlplug-int8": "**nlplug, int8**",
}
"""By the last parts of a contender's name."""
PACKAGES = ("nlplug", "torch", "transformers", "optimum-onnx", "onnxruntime", "tokenizers")


@dataclass
class Throughput:
    """Results of one throughput benchmark, with its numbers of texts and rounds."""

    texts: int
    rounds: int
    records: dict[str, Record]


@dataclass
class Results:
    """All that was measured, each part by the last run that had it."""

    throughput: dict[str, Throughput]
    latency: dict[str, Record]
    startup: dict[str, Start]
    decoding: dict[str, Decoded] = field(default_factory=dict)
    streaming: Streaming = field(default_factory=Streaming)
    cores: Throughput | None = None


def bars(results: Results) -> list[Bar]:
    """The goals, of the parts that were run."""
    found: list[Bar] = []
    for key, measured in results.throughput.items():
        records = measured.records
        for title, target, name, peer in PARTS[key].goals:
            if name in records and peer in records:
                ratio = median(_ratios(records[name], records[peer]))
                found.append(Bar(title, target, ratio, "×", True))
    found += decoding_bars(results.decoding, results.streaming)
    one = {name: record.median for name, record in results.latency.items()}
    for precision in ("int8", "fp32"):
        if f"nlplug-{precision}" in one and f"bare-{precision}" in one:
            over = 1000 * (one[f"nlplug-{precision}"] - one[f"bare-{precision}"])
            found.append(Bar(f"one text over bare, {precision}", 0.45, over, "ms", False))
    for key, target in (("run", 0.7), ("help", 0.25), ("import", 0.15)):
        if key in results.startup:
            start = results.startup[key]
            found.append(Bar(start.title, target, start.median, "s", False))
    return found


def markdown(results: Results) -> str:
    """All tables of the parts that were run."""
    parts = [_machine()]
    parts += [_throughput(key, measured) for key, measured in results.throughput.items()]
    if results.cores:
        parts.append(_cores(results.cores))
    decoding = results.decoding
    parts += [decoding_table(key, decoding[key]) for key in DECODING if key in decoding]
    if results.streaming.passes:
        parts.append(streaming_table(results.streaming))
    if results.latency:
        parts.append(_latency(results.latency))
    if results.startup:
        parts.append(_startup(results.startup))
    parts.append(_bars(bars(results)))
    return "\n\n".join(part for part in parts if part)


def update_page(path: Path, text: str) -> None:
    """Put the tables of this processor between the markers of a page.

    Those of other kinds of processor, each under its own title, stay behind them.

    Raises:
        ValueError: The markers are not there.
    """
    before, start, rest = path.read_text(encoding="utf-8").partition(START)
    old, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{path} lacks the markers {START} and {END}.")
    title = f"{_TITLE}{processor()}\n"
    others = [
        part for part in old.split(f"\n{_TITLE}")[1:] if not f"{_TITLE}{part}".startswith(title)
    ]
    parts = [f"{title}\n{text}\n", *(f"{_TITLE}{part.strip()}\n" for part in others)]
    tables = "\n".join(parts)
    path.write_text(f"{before}{start}\n\n{tables}\n{end}{after}", encoding="utf-8")


def processor() -> str:
    """The kind of this processor, with the instruction sets that kernels use."""
    name, cpus, sets = cpu_facts()
    return f"{name}, {cpus} cores ({', '.join(sets)})"


def agreement(record: Record, reference: Record) -> float:
    """The share of the reference's answers that a contender gives too.

    Of scores: on which side of one half they are. Of spans: those with the same borders and label.
    """
    same = total = 0
    for one, other in zip(record.answers, reference.answers, strict=True):
        if isinstance(other, list):
            found = {tuple(span) for span in one}
            same += sum(tuple(span) in found for span in other)
            total += len(other)
        else:
            same += (one >= 0.5) == (other >= 0.5)
            total += 1
    return same / max(total, 1)


def _machine() -> str:
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return (
        f"Python {platform.python_version()}, {', '.join(versions)}. "
        "Every contender runs in its own process, at its best batch size and thread setting, "
        "alternating; medians (lowest to highest). A ratio is the median of those of each round. "
        "For decoding, settings are sessions × threads."
    )


def _spread(values: Sequence[float], digits: int) -> str:
    return f"{min(values):,.{digits}f} to {max(values):,.{digits}f}"


def _throughput(key: str, measured: Throughput) -> str:
    part, records = PARTS[key], measured.records
    peer = records.get(part.reference)
    prefix = part.reference.removesuffix("transformers")
    lines = [
        f"**{measured.texts:,} {part.title}**, MiniLM-L6 shape, {measured.rounds} rounds:",
        "",
        "| | settings | texts/s | × transformers | × optimum, same precision "
        "| of bare | same answers |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for name, record in records.items():
        short = name.removeprefix(prefix)
        precision = short.rsplit("-", 1)[-1]
        digits = 0 if record.median >= 100 else 1
        lines.append(
            f"| {TITLES[short]} | {_settings(record.settings)} "
            f"| {record.median:,.{digits}f} ({_spread(record.values, digits)}) "
            f"| {_ratio(record, peer)} "
            f"| {_ratio(record, records.get(f'{prefix}optimum-{precision}'))} "
            f"| {_ratio(record, records.get(f'{prefix}bare-{precision}'))} "
            f"| {_same(record, peer)} |"
        )
    return "\n".join([*lines, *_disturbed(records, measured.rounds)])


def _cores(measured: Throughput) -> str:
    lines = [
        f"**Texts of mixed length with one process per core**, each bound to its core, "
        f"{measured.texts:,} texts per process, MiniLM-L6 shape, {measured.rounds} rounds:",
        "",
        "| | settings | texts/s of all | × transformers | × optimum int8 |",
        "|---|---|---:|---:|---:|",
    ]
    records = measured.records
    for name, record in records.items():
        digits = 0 if record.median >= 100 else 1
        lines.append(
            f"| {TITLES[name]} | {_settings(record.settings)} "
            f"| {record.median:,.{digits}f} ({_spread(record.values, digits)}) "
            f"| {_ratio(record, records.get('transformers'))} "
            f"| {_ratio(record, records.get('optimum-int8'))} |"
        )
    return "\n".join([*lines, *_disturbed(records, measured.rounds)])


def _disturbed(records: Mapping[str, Record], rounds: int) -> list[str]:
    """A line with the rounds in which other processes used the machine too; empty without any."""
    counts = [f"{name} {record.dirty}" for name, record in records.items() if record.dirty]
    limit = f"{100 * FOREIGN_LIMIT:g} %"
    text = f"Of {rounds} rounds disturbed (others used more than {limit} of the CPUs): "
    return ["", f"{text}{', '.join(counts)}."] if counts else []


def _settings(settings: Mapping[str, object]) -> str:
    words = {
        "batch_size": "batch {}",
        "torch_threads": "torch threads {}",
        "token_budget": "{} tokens per batch",
        "streams": "streams {}",
    }
    known = [words[key].format(value) for key, value in settings.items() if key in words]
    if settings.get("exact"):
        known.append("no padding")
    return ", ".join(known) or "defaults"


def _ratio(record: Record, peer: Record | None) -> str:
    """The median of the ratios of each round, which both run after each other, and their range."""
    if peer is None or peer is record:
        return ""
    ratios = _ratios(record, peer)
    return f"{median(ratios):.2f} ({_spread(ratios, 2)})"


def _ratios(record: Record, peer: Record) -> list[float]:
    return [one / other for one, other in zip(record.values, peer.values, strict=True)]


def _same(record: Record, peer: Record | None) -> str:
    if peer is None or peer is record or not record.answers:
        return ""
    share = agreement(record, peer)
    # Rounded down: only all answers are 100 %.
    return f"{math.floor(share * 1000) / 10:.1f} %"


def _latency(records: Mapping[str, Record]) -> str:
    lines = [
        f"**One text of 27 tokens**, {len(next(iter(records.values())).values)} calls each:",
        "",
        "| | ms at the median | 90th percentile | over bare, ms |",
        "|---|---:|---:|---:|",
    ]
    for name, record in records.items():
        bare = records.get(f"bare-{name.rsplit('-', 1)[-1]}")
        over = ""
        if bare is not None and bare is not record:
            over = f"{1000 * (record.median - bare.median):.2f}"
        tail = sorted(record.values)[int(len(record.values) * 0.9)]
        title = TITLES[name].replace(", ideal batches", "")
        lines.append(f"| {title} | {1000 * record.median:.2f} | {1000 * tail:.2f} | {over} |")
    return "\n".join(lines)


def _startup(starts: Mapping[str, Start]) -> str:
    lines = [
        "**Fresh process** to its end, first answer included:",
        "",
        "| | seconds | peak MB |",
        "|---|---:|---:|",
    ]
    smallest = min(median(start.peak) for start in starts.values())
    for start in starts.values():
        seconds = f"{start.median:.2f} ({_spread(start.seconds, 2)})"
        peak = median(start.peak)
        # The kernel counts what the parent held while it started the child.
        least = "under " if peak <= smallest * 1.02 else ""
        lines.append(f"| {start.title} | {seconds} | {least}{peak:.0f} |")
    return "\n".join(lines)


def _bars(found: Sequence[Bar]) -> str:
    if not found:
        return ""
    lines = ["| goal | bar | measured | met |", "|---|---:|---:|---|"]
    for bar in found:
        sign = "≥" if bar.at_least else "≤"
        lines.append(
            f"| {bar.title} | {sign} {bar.target:g} {bar.unit} | {bar.measured:.2f} {bar.unit} "
            f"| {'yes' if bar.met else '**no**'} |"
        )
    return "\n".join(lines)
