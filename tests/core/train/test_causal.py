"""Training of causal language models: packing, windows, prompts, and bits per byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from nlplug.data import DataRow
from nlplug.errors import DataError
from nlplug.families.causal_lm.training import (
    CausalRecipe,
    PackedDocuments,
    PromptedText,
    SeparateDocuments,
)
from nlplug.train.config import TrainConfig
from nlplug.train.documents import IGNORED, loss_sums, token_loss
from nlplug.train.vocabulary import train_tokenizer

pytestmark = pytest.mark.train

Make = Callable[..., TrainConfig]
TEXTS = [f"line {number}\nand   more, naïve 中文" for number in range(40)]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_tokenizer(TEXTS, kind="bpe", size=300, end="<end>", max_length=32)


@pytest.fixture
def recipe(config: Make) -> CausalRecipe:
    return CausalRecipe(None, config())


def test_a_byte_level_tokenizer_gives_any_text_back_and_loads_as_a_fast_one(
    tokenizer: Any, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    text = " Été\t\u00a0 ≠ 🙂\n\n  done"
    assert loaded.is_fast
    assert loaded.decode(loaded(text)["input_ids"]) == text
    assert (loaded.eos_token, loaded.pad_token_id, len(loaded)) == ("<end>", 0, 300)


def test_packing_fills_each_context_and_sees_each_token_once_an_epoch(tokenizer: Any) -> None:
    packed = PackedDocuments(TEXTS, tokenizer, length=8, seed=1)
    stream = [token for text in TEXTS for token in [*tokenizer(text)["input_ids"], 1]]
    assert tokenizer.eos_token_id == 1
    for epoch in (0, 1):
        packed.set_epoch(epoch)
        items = [packed[index] for index in range(len(packed))]
        assert {len(item["input_ids"]) for item in items} == {8}
        seen = np.concatenate([item["input_ids"] for item in items]).tolist()
        ring = stream * 2
        begin = next(i for i in range(8) if ring[i : i + len(seen)] == seen)
        assert len(stream) - len(seen) < 8
        after = np.concatenate([item["labels"] for item in items]).tolist()
        assert after == ring[begin + 1 : begin + 1 + len(seen)]


def test_each_epoch_cuts_elsewhere_and_the_same_epoch_alike(tokenizer: Any) -> None:
    packed = PackedDocuments(TEXTS, tokenizer, length=8, seed=1)
    firsts = []
    for epoch in [*range(8), 0]:
        packed.set_epoch(epoch)
        firsts.append(packed[0]["input_ids"].tolist())
    assert firsts[0] == firsts[8]
    assert len({tuple(first) for first in firsts}) > 3


def test_texts_shorter_than_a_context_make_a_shorter_one(tokenizer: Any) -> None:
    packed = PackedDocuments(["line 1"], tokenizer, length=4000, seed=0)
    assert len(packed) == 1
    assert len(packed[0]["input_ids"]) == len(tokenizer("line 1")["input_ids"]) + 1


def test_of_a_prompt_and_its_completion_the_completion_is_learnt(tokenizer: Any) -> None:
    document = PromptedText(prompt="line 1", text="and more")
    item = SeparateDocuments([document], tokenizer, length=64)[0]
    learnt = item["labels"][item["labels"] != IGNORED]
    assert tokenizer.decode(learnt) == "and more<end>"
    assert tokenizer.decode(item["input_ids"]) == "<end>line 1and more"


def test_a_prompt_that_is_too_long_loses_its_beginning(tokenizer: Any) -> None:
    document = PromptedText(prompt=" ".join(TEXTS), text="and more")
    item = SeparateDocuments([document], tokenizer, length=12)[0]
    assert len(item["input_ids"]) == 12
    assert tokenizer.decode(item["labels"][item["labels"] != IGNORED]) == "and more<end>"


def test_rows_without_prompts_are_packed_and_others_are_not(
    recipe: CausalRecipe, tokenizer: Any
) -> None:
    texts = recipe.examples([DataRow({"text": text}, Path("a.jsonl"), 1) for text in TEXTS])
    pairs = recipe.examples(
        [DataRow({"prompt": "line", "completion": " 1"}, Path("b.jsonl"), 1)] * 2
    )
    assert isinstance(recipe.dataset(texts, tokenizer), PackedDocuments)
    assert isinstance(recipe.dataset(pairs, tokenizer), SeparateDocuments)
    assert recipe.row(pairs[0]) == {"prompt": "line", "completion": " 1"}


def test_the_loss_counts_no_padding(recipe: CausalRecipe, tokenizer: Any) -> None:
    torch.manual_seed(0)
    short = {"input_ids": np.array([5, 6]), "labels": np.array([6, 7])}
    long = {"input_ids": np.array([8, 9, 10]), "labels": np.array([IGNORED, 10, 11])}
    labels = recipe.collate([short, long], tokenizer)["labels"]
    logits = torch.randn(2, 3, 300)
    chances = logits.log_softmax(-1)
    expected = -(chances[0, 0, 6] + chances[0, 1, 7] + chances[1, 1, 10] + chances[1, 2, 11])
    loss = recipe.loss({"logits": logits}, labels)
    assert float(loss) == pytest.approx(float(expected) / 4, rel=1e-5)
    assert loss_sums(logits, labels)[:, 1].tolist() == [2, 2]


def test_label_smoothing_wants_a_little_of_every_token(config: Make) -> None:
    torch.manual_seed(0)
    recipe = CausalRecipe(None, config(label_smoothing=0.1))
    outputs = {"logits": torch.randn(1, 3, 300)}
    labels = torch.tensor([[IGNORED, 10, 11]])
    costs = -outputs["logits"][0, 1:].log_softmax(-1)
    plain = float(costs[[0, 1], [10, 11]].mean())
    smooth = 0.9 * plain + 0.1 * float(costs.mean())
    assert recipe.loss(outputs, labels).item() == pytest.approx(smooth, rel=1e-5)


@pytest.mark.parametrize("values", [{"words": "a"}, {"text": " "}, {"text": 5}])
def test_a_row_without_a_text_is_named(recipe: CausalRecipe, values: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"a\.jsonl:7: the column 'text'"):
        recipe.examples([DataRow(values, Path("a.jsonl"), 7)])


@pytest.mark.parametrize("column", ["messages", "conversations"])
def test_a_chat_is_refused_with_what_to_write(recipe: CausalRecipe, column: str) -> None:
    row = DataRow({column: [{"role": "user", "content": "a"}]}, Path("a.jsonl"), 7)
    with pytest.raises(DataError, match=f"a.jsonl:7: the row is a chat, in the column '{column}'"):
        recipe.examples([row])
    beside = DataRow(row.values | {"text": "a"}, row.source, row.line)
    assert recipe.examples([beside]) == [PromptedText("a")]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_in_parts_is_that_of_the_whole(smoothing: float) -> None:
    chance = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 70, 30, generator=chance, requires_grad=True)
    labels = torch.randint(0, 30, (3, 70), generator=chance)
    labels[1, 20:] = IGNORED
    whole = cross_entropy(logits.flatten(0, 1), labels.flatten(), label_smoothing=smoothing)
    [expected] = torch.autograd.grad(whole, logits)
    parts = token_loss(logits, labels, smoothing)
    [found] = torch.autograd.grad(parts, logits)
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(token_loss(logits.detach(), labels, smoothing), whole.detach())


def test_attention_is_plain_on_a_cpu(config: Make, tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    shape = GPT2Config(vocab_size=8, n_positions=8, n_embd=4, n_layer=1, n_head=1)
    GPT2LMHeadModel(shape).save_pretrained(tmp_path / "base")
    model = CausalRecipe(None, config(base=str(tmp_path / "base"), device="cpu")).model()
    assert model.config._attn_implementation == "eager"
