"""Formats scores: tables for the terminal, JSON, and a folder with a Markdown page and plots."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.errors import OptionError
from nlplug.extras import require
from nlplug.models.atomic import Staged

if TYPE_CHECKING:
    from nlplug.evaluation.base import Table
    from nlplug.evaluation.run import EvaluationResult

REPORT_FILE = "report.md"
NUMBERS_FILE = "report.json"
_LARGEST_CONFUSION = 12


def as_json(result: EvaluationResult) -> str:
    """All numbers as indented JSON."""
    return json.dumps(result.to_dict(), ensure_ascii=False, indent=2)


def as_text(result: EvaluationResult) -> str:
    """Tables for the terminal."""
    parts = [_headline(result)]
    parts += [f"{table.title}\n{plain_table(table)}" for table in _tables(result)]
    return "\n\n".join(parts)


def as_markdown(result: EvaluationResult, plots: dict[str, str] | None = None) -> str:
    """A Markdown page; ``plots`` maps titles to files relative to the page."""
    lines = [f"# {result.model} on {result.data}", "", _headline(result), ""]
    for table in _tables(result):
        lines += [f"## {table.title}", "", *_pipes(table), ""]
    for title, file in (plots or {}).items():
        lines += [f"## {title}", "", f"![{title}]({file})", ""]
    return "\n".join(lines).rstrip() + "\n"


def write_report(result: EvaluationResult, folder: Path) -> Path:
    """Write ``report.md``, ``report.json`` and the plots to a folder, atomically.

    A folder with an earlier report is replaced.

    Returns:
        The Markdown file.

    Raises:
        MissingExtra: matplotlib is not installed.
        OptionError: ``folder`` is a file, or has other content than an earlier report.
    """
    matplotlib = require("matplotlib", "report", purpose="A report with plots")
    matplotlib.use("agg")
    pyplot = require("matplotlib.pyplot", "report", purpose="A report with plots")
    _check_target(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with Staged(folder, folder=True) as staged:
        plots: dict[str, str] = {}
        for title, figure in result.evaluation.plots(result.report, pyplot).items():
            plots[title] = f"{re.sub(r'[^a-z0-9]+', '-', title.lower()).strip('-')}.png"
            figure.savefig(staged.path / plots[title], dpi=150)
            pyplot.close(figure)
        (staged.path / REPORT_FILE).write_text(as_markdown(result, plots), encoding="utf-8")
        (staged.path / NUMBERS_FILE).write_text(as_json(result) + "\n", encoding="utf-8")
        staged.commit()
    return folder / REPORT_FILE


def _check_target(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OptionError(f"{folder} is a file, not a folder.", hint="Choose another folder.")
    names = {path.name for path in folder.iterdir()}
    others = [name for name in names - {REPORT_FILE, NUMBERS_FILE} if not name.endswith(".png")]
    if others or (names and REPORT_FILE not in names):
        raise OptionError(
            f"{folder} contains other files than a report: {', '.join(sorted(names)[:5])}.",
            hint="Choose a new or an empty folder.",
        )


def _tables(result: EvaluationResult) -> list[Table]:
    return [
        table
        for table in result.evaluation.tables(result.report)
        if len(table.header) <= _LARGEST_CONFUSION + 1
    ]


def _headline(result: EvaluationResult) -> str:
    rows = result.report["rows"]
    rate = rows / result.seconds if result.seconds else 0.0
    return (
        f"{result.task}: {result.model} ({result.precision}, {result.device}) on {rows:,} rows of "
        f"{result.data}, {result.seconds:.1f} s ({rate:,.0f} rows/s)"
    )


def _cell(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def plain_table(table: Table) -> str:
    """A table with aligned columns, for the terminal."""
    rows = [table.header, *([_cell(value) for value in row] for row in table.rows)]
    widths = [max(_width(row[column]) for row in rows) for column in range(len(table.header))]
    lines = []
    for row in rows:
        cells = [_pad(row[0], widths[0], left=True)]
        cells += [
            _pad(cell, width, left=False) for cell, width in zip(row[1:], widths[1:], strict=True)
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)


def markdown_table(table: Table) -> str:
    """A table in Markdown."""
    return "\n".join(_pipes(table))


def _width(text: str) -> int:
    """Width in terminal columns: a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _pad(text: str, width: int, *, left: bool) -> str:
    space = " " * (width - _width(text))
    return text + space if left else space + text


def _pipes(table: Table) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    ruler = ["---", *("---:" for _ in table.header[1:])]
    return [
        line(table.header),
        line(ruler),
        *(line([_cell(value) for value in row]) for row in table.rows),
    ]
