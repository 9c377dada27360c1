"""A tiny BERT and a toy set that it can learn within a second or two."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy_set import VOCABULARY, toy_rows, write_jsonl

from nlplug.families.sequence_classification import SequenceClassificationTask
from nlplug.families.sequence_classification.settings import SequenceClassificationConfig
from nlplug.task import Localized
from nlplug.train.config import RunConfig


class ToyTask(SequenceClassificationTask):
    """What a plugin would register."""

    name = "toy"
    title: Localized = "Toy"
    description: Localized = "Good or bad?"


@pytest.fixture
def toy_task() -> ToyTask:
    return ToyTask()


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained BERT of two layers with a vocabulary of words, as a checkpoint folder."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("tiny-bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *VOCABULARY]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=32)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def toy_files(tmp_path: Path) -> tuple[Path, Path]:
    """Training and evaluation data."""
    rows = toy_rows(96)
    return (
        write_jsonl(tmp_path / "train.jsonl", rows[:72]),
        write_jsonl(tmp_path / "dev.jsonl", rows[72:]),
    )


@pytest.fixture
def config(
    tmp_path: Path, tiny_bert: Path, toy_files: tuple[Path, Path]
) -> Callable[..., SequenceClassificationConfig]:
    """A config of the toy set; keywords replace its settings."""

    def make(**settings: Any) -> SequenceClassificationConfig:
        train, dev = toy_files
        return SequenceClassificationConfig.model_validate(
            {
                "base": str(tiny_bert),
                "data": [str(train)],
                "eval": [str(dev)],
                "output": tmp_path / "out",
                "labels": ["bad", "good"],
                "epochs": 6,
                "batch_size": 8,
                "learning_rate": 5e-3,
                "layer_decay": 1.0,
                "freeze": "none",
                "bf16": False,
                "allow_trivial": True,  # some tests train a step or two
                "probe": False,  # the tests of the loop are on fine-tuning alone
                "device": "cpu",
                "threads": 1,
                **settings,
            }
        )

    return make


@pytest.fixture
def two_processes(tmp_path: Path) -> Callable[..., str]:
    """Gives a command of ``nlplug`` its settings, in two processes; returns what they print."""

    def run(config: RunConfig, *command: str) -> str:
        settings = config.model_dump(mode="json", exclude_none=True)
        lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        file = tmp_path / "run.toml"
        file.write_text("\n".join(lines))
        launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "nlplug"]
        done = subprocess.run(
            [sys.executable, "-m", *launcher, *command, "--config", str(file)],
            capture_output=True,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
