"""The files of a bundle other than its graphs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from nlplug.export.checkpoint import load_checkpoint
from nlplug.export.sides import write_sides
from nlplug.task import Task

pytestmark = pytest.mark.train

TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def test_chat_templates_and_special_tokens_travel(
    random_bert: Path, toy_task: Task, tmp_path: Path
) -> None:
    folder, output = tmp_path / "checkpoint", tmp_path / "out"
    shutil.copytree(random_bert, folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "tool.jinja").write_text("tool", encoding="utf-8")
    checkpoint = load_checkpoint(folder, toy_task)
    checkpoint.tokenizer.add_special_tokens({"additional_special_tokens": ["<|turn|>"]})
    output.mkdir()
    write_sides(checkpoint.model, checkpoint.tokenizer, output)
    assert (output / "chat_template.jinja").read_text(encoding="utf-8") == TEMPLATE
    assert (output / "additional_chat_templates" / "tool.jinja").read_text("utf-8") == "tool"
    marks = json.loads((output / "special_tokens_map.json").read_bytes())
    assert "<|turn|>" in str(marks["additional_special_tokens"])


def test_generation_settings_travel(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    model = GPT2LMHeadModel(GPT2Config(vocab_size=8, n_embd=8, n_layer=1, n_head=1))
    model.generation_config.temperature = 0.3
    model.generation_config.do_sample = True
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE({"a": 0}, [])))
    write_sides(model, tokenizer, tmp_path)
    assert json.loads((tmp_path / "generation_config.json").read_bytes())["temperature"] == 0.3


def test_vocabulary_files_that_the_tokenizer_holds_already_stay_behind(
    random_bert: Path, toy_task: Task, tmp_path: Path
) -> None:
    checkpoint = load_checkpoint(random_bert, toy_task)
    assert (random_bert / "vocab.txt").is_file()
    write_sides(checkpoint.model, checkpoint.tokenizer, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "config.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
