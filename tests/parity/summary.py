"""The tables at the end of a run: answers compared, equal, and differing by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from parity.faults import FAULTS

PROPERTY = "parity"
REPORT = "--parity-report"
"""The option that names the file to write, and has all be compared, not a part."""
HEADER = ("compared", "equal", "known faults", "other", "equal without known faults")

_INTRODUCTION = """# Parity with transformers

This page compares the pipelines of nlplug with those of transformers 4.57 on the same weights: tiny
random models of the usual architectures, exported to float32 ONNX by `nlplug export`, and the
models in the packages. Two answers are equal if their position and label are the same and their
scores differ by at most 0.001. An answer that only one side gives is counted as compared, not as
equal.

A known fault of transformers is verified for each answer: if all faults of its pipeline are
corrected, it gives the answer of nlplug; if all but the named one are corrected, it does not. The
tiny models have windows of 64 tokens and read odd texts (emoji, Chinese without spaces, accents,
line breaks), so faults occur far more often than in normal use.

Generated texts are compared with those of `generate`, token by token, and for beams also by score.
For sampling, the probabilities after all filters are compared, at each token of a text that
transformers has sampled. These models are tiny and random too, in the fast form of nlplug or in the
plain form of Optimum's export. A batch has prompts of several lengths.

Summarization and text-to-text are compared by their texts, from the export to the answer: tiny
random T5, mT5, BART, Pegasus, Marian and mBART, each with its usual tokenizer.

The models in the packages are int8. `intents-en` has a temperature ([Confidence](confidence.md)),
so its logits are compared. Answers are compared for one text at a time;
[Batches](models.md#batches) says what a batch may change.

`pytest tests/parity --parity-report docs/parity.md` writes this page; without that option, the
tests compare only a part.
"""


def records_of(reports: Iterable[Any]) -> list[dict[str, Any]]:
    """What the tests counted, from their reports (which workers hand over too)."""
    return [
        value
        for report in reports
        if getattr(report, "when", "") == "teardown"
        for name, value in report.user_properties
        if name == PROPERTY
    ]


def table(records: Sequence[Mapping[str, Any]], *names: str) -> list[list[str]]:
    """One row for each combination of ``names``, in the order of their first record."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for record in records:
        groups.setdefault(tuple(record[name] for name in names), []).append(record)
    rows = [[*names, *HEADER]]
    for key, group in groups.items():
        compared = sum(record["compared"] for record in group)
        equal = sum(record["equal"] for record in group)
        known = sum(sum(record["reasons"].values()) for record in group)
        share = f"{equal / max(1, compared - known):.2%}"
        rows.append([*key, f"{compared:,}", f"{equal:,}", f"{known:,}"])
        rows[-1] += [f"{compared - equal - known:,}", share]
    return rows


def reasons(records: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Each known fault with the answers that it changes."""
    counts: Counter[tuple[str, str]] = Counter()
    for record in records:
        for reason, count in record["reasons"].items():
            counts[record["task"], reason] += count
    rows = [["task", "fault", "answers", "what transformers does"]]
    for (task, reason), count in sorted(counts.items()):
        rows.append([task, reason, f"{count:,}", FAULTS[task][reason]])
    return rows


def plain(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns of even width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    """The same as a Markdown table."""
    first, *rest = ["| " + " | ".join(row) + " |" for row in rows]
    return [first, "|" + "---|" * len(rows[0]), *rest]


def sections(records: Sequence[Mapping[str, Any]]) -> dict[str, list[list[str]]]:
    """All tables by title."""
    return {
        "By task and model": table(records, "task", "model"),
        "By task and setting": table(records, "task", "setting"),
        "Known faults of transformers": reasons(records),
    }


def show(reporter: Any, file: Path | None) -> None:
    """Write the tables to the terminal, and into a file where one is asked for.

    Args:
        reporter: pytest's terminal reporter.
        file: A Markdown file.
    """
    reports = [report for group in reporter.stats.values() for report in group]
    records = records_of(reports)
    if not records:
        return
    reporter.section("parity with transformers")
    for title, rows in sections(records).items():
        reporter.write_line(f"{title}:")
        for line in plain(rows):
            reporter.write_line(f"  {line}")
    if file is not None:
        file.write_text(document(records), encoding="utf-8")


def document(records: Sequence[Mapping[str, Any]]) -> str:
    """The tables as a Markdown document, with what they say."""
    lines = [_INTRODUCTION]
    for title, rows in sections(records).items():
        lines += [f"## {title}", "", *markdown(rows), ""]
    return "\n".join(lines)
