"""The examples of docs/classification.md that train a model, with a small base of our own.

The page's own data and commands are run; only the base is another one, and as it has learned
nothing yet, a higher learning rate.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from docrunner import ROOT, Block, blocks, run
from training_kit import run_shown, shown_commands, titles, untrained_bert

pytestmark = pytest.mark.train

PAGE = blocks(ROOT / "docs" / "classification.md")
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


def test_both_precisions_of_the_chinese_model_are_there(folder: Path) -> None:
    from nlplug.models.bundle import Bundle

    bundle = Bundle.open(folder / "animals", verify=True)
    assert "fp32" in bundle.precisions
    assert bundle.labels == ["cat", "dog"]
    assert bundle.options == {}
    topics = Bundle.open(folder / "topics")
    assert topics.options == {"top_k": None, "threshold": 0.5}
    assert topics.config["problem_type"] == "multi_label_classification"
