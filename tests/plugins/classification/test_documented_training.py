"""The examples of docs/classification.md that train a model, with a small base of our own.

The page's own data and commands are run; only the base is another one, and as it has learned
nothing yet, a higher learning rate.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from docrunner import ROOT, Block, blocks, commands, run

from nlplug.cli.main import main

pytestmark = pytest.mark.train

PAGE = blocks(ROOT / "docs" / "classification.md")
DATA = [block for block in PAGE if block.file]
SHOWN = [block for block in PAGE if block.not_run]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained BERT of two layers, with the words and the Chinese characters of the page."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("base")
    words = set(re.findall(r"[a-z]+|[\u4e00-\u9fff]", " ".join(b.text.lower() for b in DATA)))
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(words)]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=32).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=32,
    )
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page's files lie; a later block of the page finds what an earlier one made."""
    folder = tmp_path_factory.mktemp("page")
    for block in DATA:
        run(block, folder)
    return folder


def examples() -> list[tuple[str, str, Block]]:
    return [(*command, block) for block in SHOWN for command in commands(block)]


@pytest.mark.parametrize(
    ("command", "shown", "block"), examples(), ids=[" ".join(c.split()[:5]) for c, *_ in examples()]
)
def test_the_page_shows_what_happens(
    command: str,
    shown: str,
    block: Block,
    base: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    program, *words = shlex.split(command.replace("\\\n", " "))
    assert program == "nlplug"
    if words[0] == "train":
        words[words.index("--base") + 1] = str(base)
        words += ["--learning-rate", "0.003", "--device", "cpu", "--threads", "1"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    if shown:
        pattern = re.escape(shown.strip()).replace("…", r"\d+")
        assert re.fullmatch(pattern, done.stdout.strip()), f"line {block.line}: {done.stdout}"


def test_both_precisions_of_the_chinese_model_are_there(folder: Path) -> None:
    from nlplug.models.bundle import Bundle

    bundle = Bundle.open(folder / "animals", verify=True)
    assert "fp32" in bundle.precisions
    assert bundle.labels == ["cat", "dog"]
    assert bundle.options == {}
    topics = Bundle.open(folder / "topics")
    assert topics.options == {"top_k": None, "threshold": 0.5}
    assert topics.config["problem_type"] == "multi_label_classification"
