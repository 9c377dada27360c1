"""Whatever the text and the tokenizer: ``text[start:end]`` is the word, in order, no overlaps."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from characters_kit import within_character
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import (
    Regex,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from nlplug.families.token_classification import TokenClassificationInput
from nlplug.models.bundle import Bundle
from nlplug.testing import tiny_token_classifier
from nlplug_ner.task import NerModel, NerOptions

TEXT = (
    "Angela Merkel met Zoë O'Neill in São Paulo; Jean-Luc paid €5.975,74 (about $6k).\n"
    "王小明 于1998年 搬到 北京市。 ภาษาไทย שלום עולם مرحبا 👩‍🚀 🇫🇷 ❤️ e\u0301te\u0301 ﬁ ½ Ａ"
)
# Vocabularies are fixed, as trained ones differ from run to run where counts are equal.
LETTERS = sorted({char for char in TEXT + TEXT.lower() if not char.isspace()})
PIECES = [
    *TEXT.split(),
    *"aB1.,'(-_@",
    *"  \t\n\xa0\u3000\x1c",
    *"\x00\x07\x7f\u200b\u200d\u200f\u202e\ufeff\ufffd",
    *"\u0301\u0e35\ufe0f😀👍🏽",
    "日本語",
]
texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=40).map("".join)


def word_piece() -> Tokenizer:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS, *(f"##{one}" for one in LETTERS)]
    pieces += ["ange", "##la", "mer", "##kel", "paulo", "jean", "##ai", "##er"]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    inner = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer(lowercase=True)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return inner


def byte_level() -> Tokenizer:
    merges = [
        ("e", "r"),
        ("Ġ", "M"),
        ("ĠM", "er"),
        ("a", "i"),
        ("Ġ", "p"),
        ("Ġp", "ai"),
        ("Ã", "£"),
    ]
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    pieces += [one + other for one, other in merges]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    inner = Tokenizer(models.BPE(vocabulary, merges))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    inner.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    # Unlike RoBERTa's, GPT-2's offsets count a space to the token behind it.
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return inner


def unigram() -> Tokenizer:
    pieces = [(name, 0.0) for name in ("<s>", "<pad>", "</s>", "<unk>")]
    pieces += [("▁", -2.0), *((letter, -4.0) for letter in LETTERS if letter.isascii())]
    pieces += [("▁Angela", -5.0), ("Merkel", -5.0), ("▁p", -4.5), ("aid", -5.0), ("王", -5.0)]
    inner = Tokenizer(models.Unigram(pieces, unk_id=3))
    inner.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    inner.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    return inner  # with no special tokens around a text, as T5 has none before


@pytest.fixture(scope="module", params=[word_piece, byte_level, unigram], ids=lambda f: f.__name__)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NerModel:
    """A tiny model with windows of 12 tokens and a tokenizer of each kind."""
    make: Callable[[], Tokenizer] = request.param
    folder = tmp_path_factory.mktemp(make.__name__)
    tiny_token_classifier(folder, max_length=12)
    make().save(str(folder / "tokenizer.json"))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    unknown = "[UNK]" if make is word_piece else "<unk>"
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"unk_token": unknown}))
    return NerModel(Bundle.open(folder))


def answers(model: NerModel, text: str, options: NerOptions, seed: int) -> list[dict[str, Any]]:
    """The answers where each token's scores are drawn by chance, the same in each window."""
    item = TokenClassificationInput(text=text)
    [rows] = model.encode([item], options)
    tokens = len(rows[0].meta)
    scores = np.random.default_rng(seed).normal(scale=3, size=(tokens, len(model.labels)))
    before, _ = model._tokenizer.text_frame
    outputs, begin = [], 0
    for row in rows:
        logits = np.zeros((len(row), len(model.labels)), dtype=np.float32)
        own = scores[begin : begin + len(row)]
        own = own[: len(row) - sum(map(len, model._tokenizer.text_frame))]
        logits[len(before) : len(before) + len(own)] = own
        outputs.append({"logits": logits})
        begin += len(own) - options.stride
    found: list[dict[str, Any]] = model.decode(item, rows, outputs, options)
    return found


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(text=texts, seed=st.integers(0, 99), stride=st.integers(0, 9))
@pytest.mark.parametrize("strategy", ["none", "simple", "first", "average", "max"])
def test_every_span_slices_to_its_word(
    model: NerModel, strategy: Any, text: str, seed: int, stride: int
) -> None:
    options = NerOptions(aggregation_strategy=strategy, stride=stride)
    found = answers(model, text, options, seed)
    for answer in found:
        word = text[answer["start"] : answer["end"]]
        assert answer["word"] == word == word.strip() != ""
        assert 0 <= answer["score"] <= 1
        assert not within_character(text, answer["start"])
        assert not within_character(text, answer["end"])
    for one, two in pairwise(found):
        if strategy == "none":  # the tokens of one character share its place
            assert (one["start"], one["index"]) <= (two["start"], two["index"])
        else:
            assert one["end"] <= two["start"]


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(text=texts, seed=st.integers(0, 99), stride=st.integers(0, 9))
@pytest.mark.parametrize("strategy", ["simple", "average"])
def test_windows_change_no_answer_where_the_scores_are_the_same(
    model: NerModel, strategy: Any, text: str, seed: int, stride: int
) -> None:
    windowed = NerOptions(aggregation_strategy=strategy, stride=stride)
    limit = model._tokenizer.max_length
    found = answers(model, text, windowed, seed)
    try:
        model._tokenizer.max_length = 1_000_000
        assert answers(model, text, windowed, seed) == found
    finally:
        model._tokenizer.max_length = limit
