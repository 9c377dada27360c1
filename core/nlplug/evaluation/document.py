"""A report as data, and as text, Markdown and HTML; the folder that it is written to."""

from __future__ import annotations

import io
import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from nlplug.errors import OptionError
from nlplug.evaluation.base import Table
from nlplug.extras import require
from nlplug.models.atomic import Staged

PAGE_FILE = "report.html"
REPORT_FILE = "report.md"
NUMBERS_FILE = "report.json"
_WIDEST = 13
"""Most columns of a table in a terminal or a page."""
_CUT = 60
_ENTITY = re.compile(r"&(?=#?\w+;)")
"""Characters of a cell in a terminal."""


@dataclass(frozen=True)
class Section:
    """One part of a report.

    Attributes:
        title: The heading.
        text: A paragraph below the heading.
        table: A table; None for none.
        brief: Whether the section is a part of the short report in a terminal.
        detail: Whether the section is in files only, and in no terminal.
    """

    title: str
    text: str = ""
    table: Table | None = None
    brief: bool = False
    detail: bool = False


@dataclass(frozen=True)
class Document:
    """A report.

    Attributes:
        title: The title of the page.
        summary: The most important facts, one sentence or line each.
        sections: The parts, in order.
        values: All numbers, as JSON values.
        figures: Draws the figures by title, with ``matplotlib.pyplot``.
    """

    title: str
    summary: Sequence[str]
    sections: Sequence[Section]
    values: Mapping[str, Any]
    figures: Callable[[Any], Mapping[str, Any]] = field(default=lambda pyplot: {})

    def text(self, *, brief: bool = False) -> str:
        """The summary and the tables, for a terminal.

        Args:
            brief: Whether to leave out all sections that are not brief.
        """
        parts = ["\n".join(self.summary)]
        for section in self.sections:
            lines = [section.title, *([f"  {section.text}"] if section.text else [])]
            if section.table is not None and len(section.table.header) <= _WIDEST:
                lines.append(plain_table(section.table))
            if len(lines) > 1 and not section.detail and (section.brief or not brief):
                parts.append("\n".join(lines))
        return "\n\n".join(parts)

    def json(self) -> str:
        """All numbers as indented JSON."""
        return json.dumps(self.values, ensure_ascii=False, indent=2)

    def markdown(self, images: Mapping[str, str] | None = None) -> str:
        """A Markdown page.

        Args:
            images: Title of each figure → its file, relative to the page.
        """
        lines = [f"# {self.title}", "", *(f"{_plain(line)}  " for line in self.summary), ""]
        for section in self.sections:
            lines += [f"## {section.title}", ""]
            lines += [_plain(section.text), ""] if section.text else []
            if section.table is not None and len(section.table.header) <= _WIDEST:
                lines += [*_pipes(section.table), ""]
        for title, file in (images or {}).items():
            lines += [f"## {title}", "", f"![{title}]({file})", ""]
        return "\n".join(lines).rstrip() + "\n"

    def html(self, drawings: Mapping[str, str] | None = None) -> str:
        """One HTML page that loads nothing else.

        Args:
            drawings: Title of each figure → its SVG element.
        """
        figures = "".join(
            f"<figure><figcaption>{escape(title)}</figcaption>{svg}</figure>"
            for title, svg in (drawings or {}).items()
        )
        return _PAGE.substitute(
            title=escape(self.title),
            summary="".join(f"<p>{escape(line)}</p>" for line in self.summary),
            figures=f'<div class="figures">{figures}</div>' if figures else "",
            sections="".join(map(_section_html, self.sections)),
        )

    def write(self, folder: Path) -> Path:
        """Write ``report.md``, ``report.html``, ``report.json`` and figures, atomically.

        A folder with an earlier report is replaced.

        Returns:
            The HTML page.

        Raises:
            MissingExtra: matplotlib is not installed.
            OptionError: ``folder`` is a file, or has other content than an earlier report.
        """
        check_target(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with Staged(folder, folder=True) as staged:
            drawings = self._drawings()
            images = {}
            for title, svg in drawings.items():
                images[title] = f"{re.sub(r'[^a-z0-9]+', '-', title.lower()).strip('-')}.svg"
                (staged.path / images[title]).write_text(svg, encoding="utf-8")
            (staged.path / PAGE_FILE).write_text(self.html(drawings), encoding="utf-8")
            (staged.path / REPORT_FILE).write_text(self.markdown(images), encoding="utf-8")
            (staged.path / NUMBERS_FILE).write_text(self.json() + "\n", encoding="utf-8")
            staged.commit()
        return folder / PAGE_FILE

    def _drawings(self) -> dict[str, str]:
        matplotlib = require("matplotlib", "report", purpose="A report with plots")
        matplotlib.use("agg")
        pyplot = require("matplotlib.pyplot", "report", purpose="A report with plots")
        found = {}
        for title, figure in self.figures(pyplot).items():
            # The ids of the drawings must differ, because they are parts of one page.
            settings = {"svg.fonttype": "none", "svg.hashsalt": title}
            with pyplot.rc_context(settings), io.StringIO() as file:
                figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
                found[title] = file.getvalue()[file.getvalue().index("<svg") :]
            pyplot.close(figure)
        return found


def check_target(folder: Path) -> None:
    """Check that a report may be written to a folder, which need not exist.

    Raises:
        OptionError: It is a file, or has other content than an earlier report.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OptionError(f"{folder} is a file, not a folder.", hint="Choose another folder.")
    names = {path.name for path in folder.iterdir()}
    own = {REPORT_FILE, NUMBERS_FILE, PAGE_FILE}
    others = [name for name in names - own if not name.endswith((".png", ".svg"))]
    if others or (names and REPORT_FILE not in names):
        raise OptionError(
            f"{folder} contains other files than a report: {', '.join(sorted(names)[:5])}.",
            hint="Choose a new or an empty folder.",
        )


def _cell(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def plain_table(table: Table) -> str:
    """A table with aligned columns, for the terminal; long cells are cut."""
    rows = [table.header, *([_line(_cell(value), _CUT) for value in row] for row in table.rows)]
    widths = [max(_width(row[column]) for row in rows) for column in range(len(table.header))]
    right = _numeric(table)
    lines = []
    for row in rows:
        cells = [_pad(*cell) for cell in zip(row, widths, right, strict=True)]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)


def markdown_table(table: Table) -> str:
    """A table in Markdown."""
    return "\n".join(_pipes(table))


def _line(text: str, longest: int | None = None) -> str:
    text = " ".join(text.split())
    return text if longest is None or len(text) <= longest else f"{text[: longest - 1]}…"


def _numeric(table: Table) -> list[bool]:
    """Whether each column is aligned to the right: those with a number, but not the first."""
    return [
        bool(column) and any(isinstance(row[column], int | float) for row in table.rows)
        for column in range(len(table.header))
    ]


def _width(text: str) -> int:
    """Width in terminal columns: a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _pad(text: str, width: int, right: bool) -> str:
    space = " " * (width - _width(text))
    return space + text if right else text + space


def _plain(text: str) -> str:
    """A text in Markdown whose tags and entities are shown and not followed."""
    return _ENTITY.sub("&amp;", text).replace("<", "&lt;")


def _pipes(table: Table) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(_plain(_line(cell)).replace("|", "\\|") for cell in cells) + " |"

    return [
        line(table.header),
        line(["---:" if right else "---" for right in _numeric(table)]),
        *(line([_cell(value) for value in row]) for row in table.rows),
    ]


def _section_html(section: Section) -> str:
    parts = [f"<section><h2>{escape(section.title)}</h2>"]
    if section.text:
        parts.append(f"<p>{escape(section.text)}</p>")
    table = section.table
    if table is not None and len(table.header) <= _WIDEST:
        kinds = [' class="n"' if right else "" for right in _numeric(table)]

        def row(tag: str, cells: Sequence[str]) -> str:
            return (
                "<tr>"
                + "".join(
                    f"<{tag}{kind}>{escape(cell)}</{tag}>"
                    for kind, cell in zip(kinds, cells, strict=True)
                )
                + "</tr>"
            )

        body = "".join(row("td", [_cell(value) for value in cells]) for cells in table.rows)
        head = row("th", table.header)
        parts.append(
            f'<div class="wide"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>'
        )
    return "".join([*parts, "</section>"])


_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light; --ink: #1f2937; --soft: #6b7280; --line: #e5e7eb; --blue: #2563eb; }
* { box-sizing: border-box; }
body { margin: 0; background: #f8fafc; color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 12px; overflow-wrap: anywhere; }
h2 { font-size: 17px; margin: 0 0 10px; }
header, section, figure { background: #fff; border: 1px solid var(--line); border-radius: 10px;
  padding: 18px 20px; margin: 0 0 16px; }
header { border-top: 4px solid var(--blue); }
header p { margin: 2px 0; } header p + p { color: var(--soft); }
section p { margin: 0 0 10px; color: var(--soft); max-width: 80ch; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 300px), 1fr));
  gap: 16px; margin-bottom: 16px; }
figure { margin: 0; } figcaption { font-weight: 600; font-size: 17px; margin-bottom: 10px; }
figure svg { display: block; width: 100%; height: auto; max-height: 460px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 14px; }
th, td { text-align: left; vertical-align: top; padding: 5px 18px 5px 0;
  border-bottom: 1px solid var(--line); overflow-wrap: break-word; }
th { color: var(--soft); font-weight: 600; white-space: nowrap; }
td { min-width: 3em; } tr:last-child td { border-bottom: 0; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
@media print { body { background: #fff; } header, section, figure { break-inside: avoid; } }
</style>
</head>
<body>
<main>
<header><h1>$title</h1>$summary</header>
$figures
$sections
</main>
</body>
</html>
""")
