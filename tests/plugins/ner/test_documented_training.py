"""The examples of docs/ner.md that train a model, with a small base of our own."""

from __future__ import annotations

from pathlib import Path

import pytest
from docrunner import ROOT, Block, blocks, run
from training_kit import run_shown, shown_commands, titles, untrained_bert

from nlplug.models.bundle import Bundle

pytestmark = pytest.mark.train

PAGE = blocks(ROOT / "docs" / "ner.md")
DATA = [block for block in PAGE if block.file]
EXAMPLES = shown_commands(PAGE)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained_bert(tmp_path_factory.mktemp("base"), [block.text for block in DATA])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page's files lie; a later block of the page finds what an earlier one made."""
    folder = tmp_path_factory.mktemp("page")
    for block in DATA:
        run(block, folder)
    return folder


@pytest.mark.parametrize("example", EXAMPLES, ids=titles(EXAMPLES))
def test_the_page_shows_what_happens(
    example: tuple[str, str, Block], base: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_shown(example, base, folder, monkeypatch)


def test_the_types_are_those_of_all_files(folder: Path) -> None:
    bundle = Bundle.open(folder / "letters", verify=True)
    assert bundle.labels == ["O", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-PER", "I-PER"]
