"""Training from scratch: from texts to a checkpoint that writes, or finds what is hidden; resumed,
on two processes."""

from __future__ import annotations

import json
import math
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from toy_set import write_jsonl

from nlplug.cli.main import main
from nlplug.errors import OptionError, TrainingError
from nlplug.train.pretrain import pretrain, settings_of
from nlplug.train.pretrain_config import PretrainConfig
from nlplug.train.workspace import Workspace, complete_checkpoints

pytestmark = pytest.mark.train

Make = Callable[..., PretrainConfig]

# Kills itself, as the kernel would, when the second checkpoint is half on disk.
KILLED = """
import json, os, signal, sys
from nlplug.train.pretrain import pretrain, settings_of
from nlplug.train.pretrain_config import PretrainConfig
from nlplug.train.trainer import RecipeTrainer
import nlplug.train.loop

class Dying(RecipeTrainer):
    def _save_rng_state(self, output_dir):
        if self.state.global_step >= 16:
            os.kill(os.getpid(), signal.SIGKILL)
        super()._save_rng_state(output_dir)

nlplug.train.loop.RecipeTrainer = Dying
pretrain(settings_of(json.loads(sys.argv[1])["architecture"]).model_validate_json(sys.argv[1]))
"""


def toy_stories(count: int) -> list[dict[str, Any]]:
    """Stories that go on as they have to, but for their hero."""
    chance = random.Random(0)
    heroes = [chance.choice(["cat", "dog", "fox"]) for _ in range(count)]
    return [
        {"text": f"Once there was a {hero}. The {hero} ran home, and the {hero} was happy.\nEnd."}
        for hero in heroes
    ]


@pytest.fixture
def scratch(tmp_path: Path) -> Make:
    """A config of a tiny model; keywords replace its settings."""
    stories = write_jsonl(tmp_path / "stories.jsonl", toy_stories(60))
    dev = write_jsonl(tmp_path / "dev.jsonl", toy_stories(6))

    def make(**settings: Any) -> PretrainConfig:
        return settings_of(settings.get("architecture", "llama")).model_validate(
            {
                "data": [str(stories)],
                "eval": [str(dev)],
                "output": tmp_path / "out",
                "vocabulary": 320,
                "max_length": 32,
                "layers": 1,
                "hidden": 32,
                "heads": 2,
                "epochs": 2,
                "batch_size": 4,
                "learning_rate": 1e-2,
                "eval_steps": 8,
                "device": "cpu",
                "threads": 1,
                **settings,
            }
        )

    return make


def report(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "training.json").read_text())
    return loaded


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_texts_become_a_checkpoint_that_continues_them(scratch: Make, architecture: str) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = pretrain(scratch(architecture=architecture, epochs=5))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.config.model_type == architecture
    ids = tokenizer("<|endoftext|>Once there was a fox. The", return_tensors="pt")
    answer = model.generate(**ids, max_new_tokens=40, do_sample=False)
    text = tokenizer.decode(answer[0], skip_special_tokens=True)
    assert text.startswith("Once there was a fox. The fox ran home")
    assert 0 < report(folder)["scores"]["bits_per_byte"] < 0.6


def test_texts_become_a_checkpoint_that_finds_what_is_hidden(scratch: Make, tmp_path: Path) -> None:
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    animals = ["cat", "dog", "fox", "hen", "owl", "pig"]
    rows = [{"text": " ".join([animals[index % 6]] * 40)} for index in range(60)]
    files = {
        "data": [str(write_jsonl(tmp_path / "animals.jsonl", rows))],
        "eval": [str(write_jsonl(tmp_path / "others.jsonl", rows[:12]))],
    }
    shape = {"architecture": "bert", "max_length": 16, "dropout": 0.0}
    folder = pretrain(scratch(**files, **shape, epochs=5, batch_size=8, eval_steps=None))
    scores = report(folder)["scores"]
    assert scores["token_loss"] < 1  # of six words by chance 1.8
    assert scores["perplexity"] == pytest.approx(math.exp(scores["token_loss"]))
    assert scores["accuracy"] > 0.6
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForMaskedLM.from_pretrained(folder)
    assert (model.config.model_type, model.config.max_position_embeddings) == ("bert", 16)
    inputs = tokenizer("owl owl owl owl [MASK] owl owl owl", return_tensors="pt")
    assert tokenizer.decode(model(**inputs).logits[0, 5].argmax()) == "owl"


def test_heads_may_share_keys_and_the_two_matrices_may_differ(scratch: Make) -> None:
    from transformers import AutoModelForCausalLM

    folder = pretrain(scratch(epochs=0.1, kv_heads=1, tied=False, intermediate=48, heads=4))
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert (model.config.num_key_value_heads, model.config.intermediate_size) == (1, 48)
    tokens = model.get_input_embeddings().weight
    assert tokens.data_ptr() != model.get_output_embeddings().weight.data_ptr()


def test_a_tokenizer_that_is_there_can_be_used(scratch: Make, tmp_path: Path) -> None:
    first = pretrain(scratch(epochs=0.1))
    second = pretrain(scratch(epochs=0.1, tokenizer=str(first), output=tmp_path / "second"))
    assert (first / "tokenizer.json").read_text() == (second / "tokenizer.json").read_text()


@pytest.mark.parametrize("architecture", [pytest.param("llama", marks=pytest.mark.long), "bert"])
def test_a_resumed_run_ends_as_one_that_was_never_killed(
    scratch: Make, tmp_path: Path, architecture: str
) -> None:
    from safetensors.torch import load_file

    # Pieces of words that are equally frequent would come in another order each time.
    make = partial(scratch, architecture=architecture, tokenizer_model="bpe")
    settings = make()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, settings.model_dump_json()], capture_output=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    folder = Workspace.of(settings).folder
    assert [path.name for path in complete_checkpoints(folder)] == ["checkpoint-8"]
    assert not settings.output.exists()
    with pytest.raises(TrainingError, match="unfinished run"):
        pretrain(settings)

    resumed = load_file(pretrain(make(resume=True)) / "model.safetensors")
    whole = load_file(pretrain(make(output=tmp_path / "whole")) / "model.safetensors")
    torch.testing.assert_close(resumed, whole, rtol=0, atol=0)


@pytest.mark.long
def test_two_processes_train_one_model(
    scratch: Make, tmp_path: Path, two_processes: Callable[..., str]
) -> None:
    settings = scratch(epochs=1)
    assert two_processes(settings, "pretrain").count("The checkpoint is in") == 1
    alone = report(pretrain(scratch(epochs=1, output=tmp_path / "alone")))
    both = report(settings.output)
    assert (both["processes"], both["backend"]) == (2, "gloo")
    assert (alone["processes"], "backend" in alone) == (1, False)
    # Each process takes its own batches, so there are half as many steps.
    assert both["steps"] == -(-alone["steps"] // 2)
    assert both["scores"]["token_loss"] < 5  # log(320) is 5.8


def test_training_in_bfloat16_learns_and_leaves_whole_weights(scratch: Make) -> None:
    from safetensors.torch import load_file

    folder = pretrain(scratch(bf16=True))
    assert report(folder)["scores"]["token_loss"] < 4  # log(320) is 5.8
    weights = load_file(folder / "model.safetensors").values()
    assert {value.dtype for value in weights} == {torch.float32}


@pytest.mark.parametrize("architecture", ["llama", "bert"])
def test_the_command_trains_from_plain_text(
    tmp_path: Path, scratch: Make, architecture: str
) -> None:
    text = tmp_path / "stories.txt"
    text.write_text("\n".join(row["text"].replace("\n", " ") for row in toy_stories(60)))
    size = ["--layers", "1", "--hidden", "16", "--heads", "2", "--vocabulary", "300"]
    more = ["--max-length", "16", "--epochs", "0.1", "--device", "cpu", "--eval-share", "0.5"]
    out = ["--data", str(text), "--output", str(tmp_path / "model")]
    shape = ["--architecture", architecture]
    done = CliRunner().invoke(main, ["pretrain", *out, *shape, *size, *more])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "model" / "model.safetensors").is_file()


def test_the_help_names_the_files_of_texts() -> None:
    assert ".txt" in CliRunner().invoke(main, ["pretrain", "--help"]).output


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": 33}, "--hidden is 33"),
        ({"heads": 32}, "the width of a head, 1, is odd"),
        ({"heads": 4, "kv_heads": 3}, "--kv-heads is 3"),
        ({"architecture": "bert", "hidden": 33}, "--hidden is 33"),
        ({"architecture": "gpt2", "kv_heads": 1}, "--kv-heads is 1, but gpt2 has no"),
        ({"tokenizer_model": "wordpiece"}, "--tokenizer-model is 'wordpiece'"),
    ],
)
def test_a_shape_that_no_model_has_is_refused(
    scratch: Make, settings: dict[str, Any], message: str
) -> None:
    config = scratch(**settings)
    with pytest.raises(OptionError, match=message):
        pretrain(config)
    assert not Workspace.of(config).folder.exists()


@pytest.mark.parametrize(
    ("architecture", "flag"),
    [("bert", "--decoder-layers"), ("llama", "--target"), ("marian", "--kv-heads")],
)
def test_a_setting_of_another_architecture_is_no_option(architecture: str, flag: str) -> None:
    arguments = ["pretrain", "--architecture", architecture, flag, "2"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert f"No such option: {flag}" in done.output or f"No such option '{flag}'" in done.output


def test_an_unknown_architecture_is_refused_with_those_that_there_are() -> None:
    done = CliRunner().invoke(main, ["pretrain", "--architecture", "elman"])
    assert done.exit_code == OptionError.exit_code
    assert "There is no architecture 'elman'" in done.output
    assert "llama, gpt2, bert, marian" in done.output


def test_a_vocabulary_must_hold_all_bytes(scratch: Make) -> None:
    with pytest.raises(TrainingError, match="A vocabulary of 100 tokens is too small"):
        pretrain(scratch(vocabulary=100))


def test_an_output_that_is_no_pretrained_model_is_left_alone(scratch: Make) -> None:
    config = scratch()
    config.output.mkdir()
    (config.output / "thesis.txt").write_text("all my work")
    with pytest.raises(TrainingError, match="holds no pretrained model"):
        pretrain(config)
