"""The examples of docs/training.md that train a model, with a small base of our own."""

from __future__ import annotations

from pathlib import Path

import pytest
from docrunner import ROOT, Block, blocks, run
from training_kit import run_shown, shown_commands, titles, untrained_bert

pytestmark = pytest.mark.train

PAGE = blocks(ROOT / "docs" / "training.md")
DATA = [block for block in PAGE if block.file]
EXAMPLES = shown_commands(PAGE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page's data."""
    found = tmp_path_factory.mktemp("page")
    for block in DATA:
        run(block, found)
    return found


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained_bert(tmp_path_factory.mktemp("base"), [block.text for block in DATA])


@pytest.mark.parametrize("example", EXAMPLES, ids=titles(EXAMPLES))
def test_the_page_shows_what_happens(
    example: tuple[str, str, Block], base: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_shown(example, base, folder, monkeypatch)


def test_the_report_is_where_the_page_says(folder: Path) -> None:
    names = {path.name for path in (folder / "tickets.report").iterdir()}
    assert {"report.html", "report.md", "report.json"} <= names
