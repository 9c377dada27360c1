"""Filling masks: shapes, targets, several masks, long texts, bad input, and other mask tokens."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from nlplug import Bundle, Pipeline
from nlplug.errors import BundleError, InputError, OptionError
from nlplug.families.masked_lm import MaskedLMModel, MaskedLMTask
from nlplug.testing import tiny_text_classifier, tiny_word_filler

WORDS = {"capital": 5.0, "city": 4.0, "heart": 3.0, "of": 0.0}


class Filling(MaskedLMTask):
    name = "filling"
    title = "Filling"
    description = "Fills masks."


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_word_filler(tmp_path_factory.mktemp("filler"), WORDS, max_length=8)


@pytest.fixture(scope="module")
def fill(bundle: Bundle) -> Iterator[Pipeline]:
    with Pipeline(Filling(), bundle, threads=1) as pipe:
        yield pipe


def test_one_mask_gives_the_best_tokens_in_their_place(fill: Pipeline) -> None:
    found = fill("the [MASK] of", top_k=2)
    assert [(one["token_str"], one["sequence"]) for one in found] == [
        ("capital", "capital of"),
        ("city", "city of"),
    ]
    assert found[0]["score"] > found[1]["score"] > 0


def test_several_masks_give_a_list_each_and_keep_the_other_masks(fill: Pipeline) -> None:
    found = fill("[MASK] of [MASK]", top_k=1)
    assert [row[0]["sequence"] for row in found] == [
        "[CLS] capital of [MASK] [SEP]",
        "[CLS] [MASK] of capital [SEP]",
    ]


def test_the_mask_of_another_model_means_the_same(fill: Pipeline) -> None:
    assert fill("city of <mask>") == fill("city of [MASK]")


def test_a_list_of_one_text_is_this_text(fill: Pipeline) -> None:
    assert fill(["city of [MASK]"]) == fill("city of [MASK]")
    assert len(fill(["city of [MASK]"] * 2)) == 2


def test_targets_keep_their_scores_among_all_tokens(fill: Pipeline) -> None:
    scores = {one["token_str"]: one["score"] for one in fill("[MASK]", top_k=4)}
    found = fill("[MASK]", targets=["heart", "city"])
    assert [one["token_str"] for one in found] == ["city", "heart"]
    assert found[0]["score"] == pytest.approx(scores["city"])
    assert fill("[MASK]", targets="heart") == found[1:]


def test_a_target_that_is_no_token_is_replaced_with_a_warning(fill: Pipeline) -> None:
    with pytest.warns(UserWarning, match="'nowhere' is not a single token"):
        assert fill("[MASK]", targets=["nowhere"])[0]["token_str"] == "[UNK]"


def test_targets_without_tokens_are_refused(fill: Pipeline) -> None:
    with warnings.catch_warnings(), pytest.raises(OptionError, match="none of them"):
        warnings.simplefilter("ignore")
        fill("[MASK]", targets=[" "])


def test_a_text_without_mask_names_the_mask_token(fill: Pipeline) -> None:
    with pytest.raises(InputError, match=r"no mask token '\[MASK\]'"):
        fill("city of heart")


def test_a_long_text_is_refused_or_cut_off(fill: Pipeline) -> None:
    long = "[MASK]" + " city" * 9
    with pytest.raises(InputError, match="10 tokens; .* room for 6"):
        fill(long)
    assert fill(long, truncation=True, top_k=1)[0]["sequence"] == "capital" + " city" * 5
    assert fill(long, tokenizer_kwargs={"truncation": True, "max_length": 4}, top_k=1)[0][
        "sequence"
    ] == ("capital city")
    with pytest.raises(InputError, match="All masks are behind the first 6 tokens"):
        fill("city " * 9 + "[MASK]", truncation=True)


def test_other_arguments_of_the_tokenizer_are_refused(fill: Pipeline) -> None:
    with pytest.raises(OptionError, match="tokenizer_kwargs="):
        fill("[MASK]", tokenizer_kwargs={"add_special_tokens": False})


def test_a_model_without_mask_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no mask token"):
        Pipeline(Filling(), tiny_text_classifier(tmp_path))


def test_the_mask_token_of_a_repository_that_names_none(fill: Pipeline, tmp_path: Path) -> None:
    made = tiny_word_filler(tmp_path, WORDS, max_length=8)
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        (tmp_path / name).unlink(missing_ok=True)
    with Pipeline(Filling(), Bundle.open(made.path), threads=1) as pipe:
        assert pipe("the [MASK] of") == fill("the [MASK] of")


def test_memory_is_bounded_by_the_vocabulary(tmp_path: Path) -> None:
    large = tiny_word_filler(tmp_path, config={"vocab_size": 250_000})
    model = MaskedLMModel(large)
    assert model.token_budget == 134
    assert model.largest_chunk == 67


def test_many_texts_give_the_answers_of_single_ones(fill: Pipeline) -> None:
    texts = [f"[MASK] of{' city' * (number % 4)}" for number in range(200)]
    assert list(fill.map(texts)) == [fill(text) for text in texts]
