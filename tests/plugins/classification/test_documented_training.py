"""The examples of docs/classification.md that train a model, with a small base of our own.

The page's own data and commands are run; only the base is another one, and as it has learned
nothing yet, a higher learning rate.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from docrunner import ROOT, Block, blocks
from training_kit import run_shown, shown_commands, titles

pytestmark = pytest.mark.train

PAGE = blocks(ROOT / "docs" / "classification.md")
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


def test_both_precisions_of_the_chinese_model_are_there(page_folder: Path) -> None:
    from nlplug.models.bundle import Bundle

    bundle = Bundle.open(page_folder / "animals", verify=True)
    assert "fp32" in bundle.precisions
    assert bundle.labels == ["cat", "dog"]
    assert bundle.options == {}
    topics = Bundle.open(page_folder / "topics")
    assert topics.options == {"top_k": None, "threshold": 0.5}
    assert topics.config["problem_type"] == "multi_label_classification"
