"""The examples of docs/ner.md that train a model, with a small base of our own."""

from __future__ import annotations

from pathlib import Path

import pytest
from docrunner import ROOT, Block, blocks
from training_kit import run_shown, shown_commands, titles

from nlplug.models.bundle import Bundle

pytestmark = pytest.mark.train

PAGE = blocks(ROOT / "docs" / "ner.md")
DATA = [block for block in PAGE if block.file]
EXAMPLES = shown_commands(PAGE)


@pytest.mark.parametrize("example", EXAMPLES, ids=titles(EXAMPLES))
def test_the_page_shows_what_happens(
    example: tuple[str, str, Block],
    page_base: Path,
    page_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_shown(example, page_base, page_folder, monkeypatch)


def test_the_types_are_those_of_all_files(page_folder: Path) -> None:
    bundle = Bundle.open(page_folder / "letters", verify=True)
    assert bundle.labels == ["O", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-PER", "I-PER"]
