"""Training of masked language models: what is hidden, how it is scored, and its tokenizers."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy_set import VOCABULARY
from transformers import AutoConfig, AutoModelForMaskedLM

from nlplug.data import DataRow
from nlplug.errors import DataError, TrainingError
from nlplug.families.masked_lm.training import MaskedContexts, MaskedRecipe, Masking
from nlplug.train.config import TrainConfig
from nlplug.train.documents import IGNORED
from nlplug.train.vocabulary import train_masked_tokenizer, train_tokenizer

pytestmark = pytest.mark.train

Make = Callable[..., TrainConfig]
KINDS = ("wordpiece", "bpe")


def texts(count: int) -> list[str]:
    """Texts of a few to many words in any order."""
    chance = random.Random(0)
    return [" ".join(chance.choices(VOCABULARY, k=chance.randint(2, 40))) for _ in range(count)]


def tokenizer_of(kind: Any, size: int) -> Any:
    return train_masked_tokenizer(texts(100), kind=kind, size=size, max_length=64)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tokenizer_of("wordpiece", 100)


@pytest.fixture
def recipe(config: Make) -> MaskedRecipe:
    return MaskedRecipe(None, config(max_length=16))


def items(dataset: MaskedContexts) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and labels of all items, end to end."""
    found = [dataset[index] for index in range(len(dataset))]
    inputs, labels = ([item[name] for item in found] for name in ("input_ids", "labels"))
    return np.concatenate(inputs), np.concatenate(labels)


def whole(inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The tokens as they were before some were hidden."""
    return np.where(labels == IGNORED, inputs, labels)


@pytest.mark.parametrize(("kind", "size"), [("wordpiece", 100), ("bpe", 300), ("unigram", 100)])
def test_a_tokenizer_frames_texts_and_pairs_and_loads_as_a_fast_one(
    kind: str, size: int, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    tokenizer_of(kind, size).save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert loaded.is_fast
    assert loaded.convert_tokens_to_ids(special) == [0, 1, 2, 3, 4]
    assert [loaded.pad_token, loaded.unk_token, loaded.mask_token] == ["[PAD]", "[UNK]", "[MASK]"]
    pair = loaded("good film", "dull")
    assert loaded.decode(pair["input_ids"]).replace(" ", "") == "[CLS]goodfilm[SEP]dull[SEP]"
    assert set(pair["token_type_ids"]) == {0, 1}
    assert loaded.tokenize("a [MASK] plot").count("[MASK]") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_stands_where_its_letters_do(kind: str) -> None:
    text = "the good film"
    encoded = tokenizer_of(kind, 400)(text, return_offsets_mapping=True)
    places = [text[start:end] for start, end in encoded["offset_mapping"]]
    assert places == ["", "the", "good", "film", ""]


def test_of_many_letters_the_usual_ones_get_into_a_small_vocabulary() -> None:
    rare = ["".join(map(chr, range(0x4E00, 0x4E00 + 300)))]
    small = train_masked_tokenizer([*texts(50), *rare], kind="wordpiece", size=80, max_length=64)
    assert len(small) == 80
    assert small.unk_token_id not in small("the good film")["input_ids"]


def test_each_of_many_chinese_characters_gets_into_a_vocabulary_with_room() -> None:
    signs = "".join(map(chr, range(0x4E00, 0x4E00 + 1200)))
    tokenizer = train_masked_tokenizer([signs, signs], kind="wordpiece", size=2600, max_length=64)
    assert tokenizer.tokenize(signs) == list(signs)


def test_the_right_share_is_hidden_by_mask_other_token_or_nothing(tokenizer: Any) -> None:
    inputs, labels = items(MaskedContexts(texts(2000), tokenizer, length=64, seed=1))
    plain = ~np.isin(whole(inputs, labels), tokenizer.all_special_ids)
    hidden = labels != IGNORED
    assert hidden[plain].mean() == pytest.approx(0.15, abs=0.003)
    masked = (inputs == tokenizer.mask_token_id)[hidden]
    kept = (inputs == labels)[hidden]
    assert masked.mean() == pytest.approx(0.8, abs=0.02)
    assert kept.mean() == pytest.approx(0.1, abs=0.02)
    others = inputs[hidden][~masked & ~kept]
    assert not np.isin(others, tokenizer.all_special_ids).any()
    assert len(set(others.tolist())) > len(tokenizer) / 2


def test_special_tokens_are_never_hidden(tokenizer: Any) -> None:
    inputs, labels = items(MaskedContexts(texts(500), tokenizer, length=64, seed=1))
    assert not np.isin(labels, tokenizer.all_special_ids).any()
    assert (inputs[labels == IGNORED] != tokenizer.mask_token_id).all()


def test_contexts_are_packed_and_framed_and_see_each_token_once_an_epoch(tokenizer: Any) -> None:
    written = texts(60)
    dataset = MaskedContexts(written, tokenizer, length=16, seed=1)
    assert dataset.lengths() == [16] * len(dataset)
    contexts = whole(*items(dataset)).reshape(-1, 16)
    assert (contexts[:, 0] == tokenizer.cls_token_id).all()
    assert (contexts[:, -1] == tokenizer.sep_token_id).all()
    ring = [i for text in written for i in tokenizer(text)["input_ids"][1:]]
    seen = contexts[:, 1:-1].flatten().tolist()
    assert len(ring) - len(seen) < 14
    begin = next(i for i in range(14) if (ring * 2)[i : i + len(seen)] == seen)
    assert begin > 0


def test_each_epoch_hides_others_and_the_same_epoch_the_same(tokenizer: Any) -> None:
    dataset = MaskedContexts(["good film " * 30], tokenizer, length=200, seed=1)
    epochs = []
    for epoch in (0, 1, 2, 0):
        dataset.set_epoch(epoch)
        epochs.append((dataset[0]["labels"] != IGNORED).tolist())
    assert epochs[0] == epochs[3]
    assert len({tuple(hidden) for hidden in epochs}) == 3


def test_evaluation_sees_all_tokens_and_always_hides_the_same(config: Make, tokenizer: Any) -> None:
    written = texts(20)
    seen = []
    for seed in (1, 2):
        recipe = MaskedRecipe(None, config(max_length=16, seed=seed))
        dataset = recipe.held_out(written, tokenizer)
        seen.append(items(dataset))
    assert np.array_equal(seen[0], seen[1])
    framing = len(dataset) * 2
    assert len(seen[0][0]) - framing == sum(len(tokenizer(t)["input_ids"]) - 1 for t in written)
    assert sum(dataset.lengths()) == len(seen[0][0])


def test_of_a_short_text_one_token_is_hidden(tokenizer: Any) -> None:
    dataset = MaskedContexts(["good"], tokenizer, length=64, seed=1)
    assert (dataset[0]["labels"] != IGNORED).sum() == 1


def test_a_batch_without_a_hidden_token_costs_nothing(recipe: MaskedRecipe) -> None:
    logits = torch.zeros(1, 3, 100, requires_grad=True)
    loss = recipe.loss({"logits": logits}, torch.full((1, 3), IGNORED))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None and not logits.grad.isnan().any()


@pytest.mark.parametrize("kind", ["bert", "distilbert", "modernbert", "roberta"])
def test_logits_of_the_masked_tokens_alone_give_the_same_gradients(
    kind: str, recipe: MaskedRecipe, tokenizer: Any
) -> None:
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "pad_token_id": 0}
    small["intermediate_size"] = 16
    config = AutoConfig.for_model(kind, vocab_size=100, dropout=0.0, **small)
    torch.manual_seed(0)
    model = AutoModelForMaskedLM.from_config(config).eval()
    dataset = recipe.held_out(texts(4), tokenizer)
    batch = recipe.collate([dataset[index] for index in range(len(dataset))], tokenizer)
    labels = batch.pop("labels")

    def gradients(context: AbstractContextManager[object]) -> tuple[int, list[torch.Tensor]]:
        model.zero_grad()
        with context:
            logits = model(**batch).logits
        recipe.loss({"logits": logits}, labels).backward()
        return logits.shape[1], [part.grad for part in model.parameters() if part.grad is not None]

    _, whole = gradients(nullcontext())
    tokens, narrow = gradients(recipe.narrowed(model, labels))
    assert tokens == (labels != IGNORED).sum()
    assert len(whole) == len(narrow)
    for one, other in zip(whole, narrow, strict=True):
        torch.testing.assert_close(one, other)


def test_scores_by_hand(recipe: MaskedRecipe, tokenizer: Any) -> None:
    features = [
        {"input_ids": np.array([2, 4, 3]), "labels": np.array([IGNORED, 7, IGNORED])},
        {"input_ids": np.array([2, 4, 8, 4, 3]), "labels": np.array([IGNORED, 9, 8, 7, IGNORED])},
    ]
    batch = recipe.collate(features, tokenizer)
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert batch["input_ids"][0].tolist() == [2, 4, 3, 0, 0]
    chances = torch.full((2, 5, 10), 0.05)
    chances[..., 7] = 0.55
    sums = recipe.sums({"logits": chances.log()}, batch["labels"])
    scores = recipe.scores(sums.double().sum(0).tolist(), None, None)
    nats = -2 * math.log(0.55) - 2 * math.log(0.05)
    assert scores["accuracy"] == 0.5
    assert scores["token_loss"] == pytest.approx(nats / 4, rel=1e-5)
    assert scores["perplexity"] == pytest.approx(math.exp(nats / 4), rel=1e-5)


def test_a_tokenizer_without_a_mask_is_refused(tokenizer: Any) -> None:
    other = train_tokenizer(["a b"] * 9, kind="bpe", size=270, end="<end>", max_length=32)
    with pytest.raises(TrainingError, match="has no mask_token"):
        Masking(other)


def test_texts_of_unknown_letters_alone_are_refused(tokenizer: Any) -> None:
    with pytest.raises(DataError, match="no token that can be masked"):
        MaskedContexts(["中文"], tokenizer, length=16, seed=0)


def test_a_row_without_a_text_is_named(recipe: MaskedRecipe) -> None:
    with pytest.raises(DataError, match=r"a\.jsonl:7: the column 'text' is missing") as caught:
        recipe.examples([DataRow({"words": "a"}, Path("a.jsonl"), 7)])
    assert "prompt" not in str(caught.value.hint)
