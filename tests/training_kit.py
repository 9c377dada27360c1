"""What the tests of pages that train need: a small base, and the page's commands run with it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from docrunner import Block, commands

from nlplug.cli.main import main


def untrained_bert(folder: Path, texts: Iterable[str]) -> Path:
    """An untrained BERT of two layers, with the words and the Chinese characters of some texts."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = set(re.findall(r"[a-z]+|\d+|[^\w\s]|[\u4e00-\u9fff]", " ".join(texts).lower()))
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(words)]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=64).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def shown_commands(page: Sequence[Block]) -> list[tuple[str, str, Block]]:
    """The commands of the blocks that a page leaves to a test, each with the output below it."""
    left = (block for block in page if block.not_run and "test" in block.not_run)
    return [(*shown, block) for block in left for shown in commands(block)]


def titles(examples: Iterable[tuple[str, str, Block]]) -> list[str]:
    """The first words of each command, as a test's name."""
    return [" ".join(command.split()[:5]) for command, _, _ in examples]


def run_shown(
    example: tuple[str, str, Block], base: Path, folder: Path, patch: pytest.MonkeyPatch
) -> None:
    """Run a command of a page in ``folder``, and hold its output against what the page shows.

    What trains does so from ``base``; as that has learned nothing yet, at a higher learning rate.

    Raises:
        AssertionError: It failed, or showed something else.
    """
    command, shown, block = example
    patch.chdir(folder)
    program, *words = shlex.split(command.replace("\\\n", " "))
    assert program == "nlplug"
    if words[0] == "train":
        words[words.index("--base") + 1] = str(base)
        words += ["--learning-rate", "0.003", "--device", "cpu", "--threads", "1"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    if shown:
        pattern = re.escape(shown.strip()).replace("…", r"[\d.]+")
        assert re.fullmatch(pattern, done.stdout.strip()), f"line {block.line}: {done.stdout}"
