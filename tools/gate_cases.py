"""Run the acceptance suite of the gate, and write its table into docs/gate.md."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "gate.md"
SUITE = "tests/core/export/test_gate_cases.py"
BEGIN, END = "<!-- gate-cases -->\n", "<!-- /gate-cases -->"
_HEADER = ["case", "caught", "message", "repaired", "cost"]
_LONGEST = 160


class Lines:
    """Collects the lines of the table from the properties of the tests."""

    def __init__(self) -> None:
        self.rows: list[list[str]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called by pytest for each phase of each test."""
        if report.when == "call" and report.passed:
            for name, value in report.user_properties:
                if name == "gate_case" and isinstance(value, list):
                    self.rows.append([str(cell) for cell in value])


def main() -> int:
    """Run the suite; the page is changed only if all tests pass."""
    lines = Lines()
    code = pytest.main(["-q", "-p", "no:cacheprovider", str(ROOT / SUITE)], plugins=[lines])
    if code == 0:
        text = PAGE.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        _, _, after = rest.partition(END)
        table = "\n".join(map(_line, [_HEADER, ["---"] * len(_HEADER), *lines.rows]))
        PAGE.write_text(f"{before}{BEGIN}\n{table}\n\n{END}{after}", encoding="utf-8")
    return int(code)


def _line(cells: list[str]) -> str:
    short = (cell if len(cell) <= _LONGEST else f"{cell[:_LONGEST]}..." for cell in cells)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in short) + " |"


if __name__ == "__main__":
    sys.exit(main())
