"""Training of sequence-to-sequence models: pairs, batches by tokens, chrF, and a copy learnt."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy_set import write_jsonl

from nlplug.data import DataRow
from nlplug.data.pairs import Pair, pairs_of
from nlplug.errors import DataError, TrainingError
from nlplug.families.seq2seq.settings import Seq2SeqConfig, Seq2SeqPretrainConfig
from nlplug.families.seq2seq.training import Seq2SeqRecipe, TokenizedPairs
from nlplug.train.config import TrainConfig
from nlplug.train.documents import IGNORED
from nlplug.train.pretrain import pretrain
from nlplug.train.trainer import TokenBatches
from nlplug.train.training_set import TrainingSet
from nlplug.train.vocabulary import train_tokenizer

pytestmark = pytest.mark.train

Make = Callable[..., TrainConfig]
WORDS = ["red", "green", "blue", "black", "white", "grey"]


def colours(count: int) -> list[str]:
    """Short lists of colours."""
    chance = random.Random(0)
    return [" ".join(chance.choices(WORDS, k=chance.randint(1, 4))) for _ in range(count)]


def row(values: dict[str, Any]) -> DataRow:
    return DataRow(values, Path("pairs.jsonl"), 3)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_tokenizer(
        [*colours(50), ">>", "<<"],
        kind="unigram",
        size=40,
        end="</s>",
        max_length=32,
        closed=True,
        tokens=[">>de<<", ">>fr<<"],
    )


@pytest.fixture
def recipe(config: Make) -> Seq2SeqRecipe:
    given = config().model_dump(include=set(Seq2SeqConfig.model_fields))
    return Seq2SeqRecipe(None, Seq2SeqConfig.model_validate(given))


def test_a_unigram_tokenizer_closes_each_text_and_keeps_language_tokens_whole(
    tokenizer: Any, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    ids = loaded("red\u202fgreen")["input_ids"]
    assert ids[-1] == loaded.eos_token_id
    assert loaded.decode(ids, skip_special_tokens=True) == "red green"
    assert len(loaded.tokenize(">>fr<<")) == 1
    assert loaded.pad_token_id == 0


@pytest.mark.parametrize(
    "text", ["red 😀 green", "你好", "Zoë <0x41> &", "a\nb", "\N{ZERO WIDTH JOINER}"]
)
def test_nothing_is_unknown_to_a_tokenizer_with_bytes(text: str, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    made = train_tokenizer(
        [*colours(50), "<0x41>", "é"],
        kind="unigram-bytes",
        size=310,
        end="</s>",
        max_length=32,
        closed=True,
    )
    made.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    ids = loaded(text)["input_ids"]
    assert loaded.unk_token_id not in ids
    assert loaded.decode(ids, skip_special_tokens=True) == text
    assert len(loaded) <= 310


def test_a_tokenizer_with_bytes_has_room_for_them() -> None:
    with pytest.raises(TrainingError, match="too small"):
        train_tokenizer(["red"], kind="unigram-bytes", size=260, end="</s>", max_length=8)


@pytest.mark.parametrize(
    ("values", "source", "target", "expected"),
    [
        ({"translation": {"en": "a", "fr": "b"}}, "", [], [Pair("a", "b", "fr")]),
        ({"translation": {"en": "a", "fr": "b"}}, "fr", [], [Pair("b", "a", "en")]),
        ({"source": "a", "target": "b"}, "", [], [Pair("a", "b", "target")]),
        ({"text": "a", "summary": "b"}, "text", ["summary"], [Pair("a", "b", "summary")]),
        (
            {"translation": {"en": "a", "fr": "b", "de": "c", "es": "d"}},
            "en",
            ["de", "fr", "zh"],
            [Pair("a", "c", "de"), Pair("a", "b", "fr")],
        ),
    ],
)
def test_rows_are_pairs_of_languages_or_columns(
    values: dict[str, Any], source: str, target: list[str], expected: list[Pair]
) -> None:
    assert pairs_of(row(values), source, target) == expected


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"translation": {"en": "a"}}, "there is no"),
        ({"translation": "a"}, "'translation' is 'a'"),
        ({"translation": {"en": "a", "fr": " "}}, "'fr' is ' ', not a text"),
        ({"source": "a"}, "there is no 'target'"),
        ({"target": "a"}, "'source' is missing"),
    ],
)
def test_a_row_that_is_no_pair_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=f"pairs.jsonl:3: {message}"):
        pairs_of(row(values), "", [])


def test_a_source_says_its_language_where_there_are_several(
    recipe: Seq2SeqRecipe, tokenizer: Any
) -> None:
    one = [row({"translation": {"en": "red", "fr": "blue"}})]
    recipe.fit(one)
    assert recipe.special_tokens() == []
    several = [*one, row({"translation": {"en": "red", "de": "green"}})]
    recipe.fit(several)
    assert recipe.special_tokens() == [">>de<<", ">>fr<<"]
    dataset = recipe.dataset(recipe.examples(several), tokenizer)
    assert tokenizer.decode(dataset[0]["input_ids"]).replace(" ", "") == ">>fr<<red</s>"
    assert tokenizer.decode(dataset[1]["labels"]) == "green</s>"


def test_what_is_too_long_is_cut_and_ended(tokenizer: Any) -> None:
    pair = Pair("red green blue black", "white " * 9, "fr")
    item = TokenizedPairs([pair], tokenizer, length=4, mark=True)[0]
    assert [len(item["input_ids"]), len(item["labels"])] == [4, 4]
    assert item["input_ids"][-1] == item["labels"][-1] == tokenizer.eos_token_id
    assert item["input_ids"][0] == tokenizer.convert_tokens_to_ids(">>fr<<")


class Lengths(TrainingSet):
    """Items of so many tokens."""

    def __init__(self, lengths: list[int]) -> None:
        self._lengths = lengths

    def __len__(self) -> int:
        return len(self._lengths)

    def lengths(self) -> list[int]:
        return self._lengths


def test_batches_hold_so_many_tokens_and_each_row_once() -> None:
    chance = random.Random(0)
    lengths = [chance.randint(2, 40) for _ in range(500)]
    batches = TokenBatches(Lengths(lengths), 200, seed=3)
    epochs = []
    for epoch in (0, 1, 0):
        batches.sampler.set_epoch(epoch)
        epochs.append(list(batches))
    for found in epochs:
        assert len(found) == len(batches)
        assert sorted(index for batch in found for index in batch) == list(range(500))
        assert all(len(batch) * max(lengths[i] for i in batch) <= 200 for batch in found)
    assert epochs[0] == epochs[2] != epochs[1]
    assert {frozenset(b) for b in epochs[0]} != {frozenset(b) for b in epochs[1]}
    padded = sum(len(batch) * max(lengths[i] for i in batch) for batch in epochs[0])
    assert padded < 1.1 * sum(lengths)


def test_a_row_that_is_longer_than_a_batch_is_one_by_itself() -> None:
    batches = TokenBatches(Lengths([3, 300, 3]), 16, seed=0)
    assert sorted(map(sorted, batches)) == [[0, 2], [1]]


@pytest.fixture(scope="module")
def copier(tmp_path_factory: pytest.TempPathFactory) -> Seq2SeqPretrainConfig:
    """Settings of a tiny model that learns to give a list of colours back."""
    folder = tmp_path_factory.mktemp("copy")
    rows = [{"translation": {"en": text, "xx": text}} for text in colours(400)]
    return Seq2SeqPretrainConfig.model_validate(
        {
            "data": [str(write_jsonl(folder / "pairs.jsonl", rows))],
            "output": folder / "out",
            "architecture": "marian",
            "vocabulary": 40,
            "max_length": 16,
            "layers": 1,
            "hidden": 32,
            "heads": 2,
            "intermediate": 64,
            "dropout": 0.0,
            "epochs": 24,
            "batch_size": 64,
            "batch_tokens": 256,
            "learning_rate": 5e-3,
            "label_smoothing": 0.1,
            "eval_share": 0.1,
            "device": "cpu",
            "threads": 1,
        }
    )


@pytest.fixture(scope="module")
def trained(copier: Seq2SeqPretrainConfig) -> Path:
    return pretrain(copier)


def test_a_copy_is_learnt_from_nothing(trained: Path) -> None:
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    scores = json.loads((trained / "training.json").read_text())["scores"]
    assert scores["chrf"] > 80
    assert scores["token_loss"] < 1
    model = AutoModelForSeq2SeqLM.from_pretrained(trained)
    tokenizer = AutoTokenizer.from_pretrained(trained)
    inputs = tokenizer(["red blue", "green"], padding=True, return_tensors="pt")
    inputs.pop("token_type_ids", None)
    answers = model.generate(**inputs, num_beams=1, do_sample=False)
    assert tokenizer.batch_decode(answers, skip_special_tokens=True) == ["red blue", "green"]


def test_a_batch_is_padded_and_its_decoder_begins_with_padding(
    trained: Path, copier: Seq2SeqPretrainConfig
) -> None:
    from transformers import AutoTokenizer

    recipe = Seq2SeqRecipe(None, copier.from_base(trained, Seq2SeqConfig))
    tokenizer = AutoTokenizer.from_pretrained(trained)
    model = recipe.model()
    pairs = [Pair("red", "red", "xx"), Pair("red blue green", "red blue green", "xx")]
    dataset = recipe.held_out(pairs, tokenizer)
    batch = recipe.collate([dataset[0], dataset[1]], tokenizer)
    short = len(dataset[0]["labels"])
    assert batch["labels"][0, short:].tolist() == [IGNORED] * (batch["labels"].shape[1] - short)
    assert batch["attention_mask"].sum(1).tolist() == dataset_lengths(dataset)
    assert batch["decoder_input_ids"][:, 0].tolist() == [0, 0]
    with torch.no_grad():
        both = model(**{k: v for k, v in batch.items() if k != "labels"})
        alone = recipe.collate([dataset[0]], tokenizer)
        one = model(**{k: v for k, v in alone.items() if k != "labels"})
    sums = recipe.sums(both, batch["labels"])
    assert sums[0].tolist() == pytest.approx(
        recipe.sums(one, alone["labels"])[0].tolist(), abs=1e-4
    )


def dataset_lengths(dataset: TokenizedPairs) -> list[int]:
    return [len(np.asarray(dataset[index]["input_ids"])) for index in range(len(dataset))]
