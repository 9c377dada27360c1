"""A tokenizer of another model is refused, and that of no model which only is careless."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from tokenizers import AddedToken, models

from nlplug import Bundle
from nlplug.errors import BundleError
from nlplug.families.vocabulary import check_vocabulary
from nlplug.runtime.tokenizer import Tokenizer, load_tokenizer
from nlplug.testing import tiny_text_generator, tiny_translator


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_text_generator(tmp_path_factory.mktemp("tale"))


def sized(folder: Path, words: int, *, added: int = 0, first: int = 0) -> Tokenizer:
    """A tokenizer of so many words, the last of which are added ones."""
    names = {f"w{number}": first + number for number in range(words)}
    made = tokenizers.Tokenizer(models.WordLevel(names, unk_token="w0"))
    made.add_special_tokens([AddedToken(name) for name in list(names)[words - added :]])
    made.save(str(folder / "tokenizer.json"))
    return Tokenizer(folder / "tokenizer.json", max_length=8)


@pytest.mark.parametrize(
    ("tokens", "rows"),
    [
        (32_100, 32_128),  # T5
        (50_257, 50_304),  # Pythia
        (50_295, 51_200),  # phi-2
        (100_015, 102_400),  # DeepSeek
        (151_665, 151_936),  # Qwen2
    ],
)
def test_graphs_of_the_hub_have_rows_to_spare(
    tmp_path: Path, bundle: Bundle, tokens: int, rows: int
) -> None:
    check_vocabulary(bundle, sized(tmp_path, tokens), rows)


def test_a_token_that_no_text_has_may_lie_beyond_the_graph(tmp_path: Path, bundle: Bundle) -> None:
    check_vocabulary(bundle, sized(tmp_path, 50_265, added=1), 50_264)  # BART's <mask>


def test_ids_may_have_gaps(tmp_path: Path, bundle: Bundle) -> None:
    check_vocabulary(bundle, sized(tmp_path, 100, first=5_000), 5_120)


@pytest.mark.parametrize(
    ("tokens", "rows"),
    [(28_996, 30_522), (32_000, 40_000), (50_257, 63_000), (15_166, 15_000), (50_265, 50_264)],
)
def test_a_tokenizer_of_another_size_is_refused(
    tmp_path: Path, bundle: Bundle, tokens: int, rows: int
) -> None:
    with pytest.raises(BundleError, match=f"has {tokens} tokens, but its graph has {rows}"):
        check_vocabulary(bundle, sized(tmp_path, tokens), rows)


def told(
    folder: Path,
    config: dict[str, Any],
    *,
    named: dict[str, Any] | None = None,
    generation: dict[str, Any] | None = None,
    writes: bool = False,
) -> None:
    """Check a model that says this of its special tokens.

    Its tokenizer has <end> 0, <unk> 1, once 2, upon 3, a 4, time 5, there 6, … if it goes on with
    a text, and <pad> 0, </s> 1, <unk> 2 and words from 100 on if it writes one anew.
    """
    make = tiny_translator if writes else tiny_text_generator
    made = make(folder, config=config)
    files = {"tokenizer_config.json": {**made.repository.tokenizer_config, **(named or {})}}
    if generation is not None:
        files["generation_config.json"] = generation
    for name, values in files.items():
        (folder / name).write_text(json.dumps(values), encoding="utf-8")
    opened = Bundle.open(folder)
    tokenizer = load_tokenizer(opened)
    check_vocabulary(opened, tokenizer, tokenizer.size, needs_end=writes)


@pytest.mark.parametrize(
    ("config", "more"),
    [
        ({"eos_token_id": 0}, {}),
        ({"eos_token_id": [5, 0]}, {}),  # as Llama 3 has several
        ({"eos_token_id": 5}, {"generation": {"eos_token_id": [0]}}),
        ({"eos_token_id": 0}, {"generation": {"eos_token_id": 5}}),
        ({"eos_token_id": 5, "bos_token_id": 0}, {"named": {"bos_token": "<end>"}}),
        ({"eos_token_id": 1}, {}),  # another special one
        ({"eos_token_id": 2, "bos_token_id": 3}, {}),  # a default that nobody changed
        ({"eos_token_id": 50256}, {}),
        ({"eos_token_id": None}, {}),
        ({"eos_token_id": -1, "pad_token_id": -1}, {}),
        ({"eos_token_id": 5}, {"named": {"eos_token": None}}),
        ({"eos_token_id": None, "pad_token_id": 5}, {"named": {"pad_token": "<unk>"}}),
        ({"decoder_start_token_id": 0}, {"writes": True}),  # as Marian begins with its padding
        ({"pad_token_id": 120, "decoder_start_token_id": 120}, {"writes": True}),
    ],
)
def test_what_is_only_careless_is_no_reason(
    tmp_path: Path, config: dict[str, Any], more: dict[str, Any]
) -> None:
    told(tmp_path, config, **more)


@pytest.mark.parametrize(
    ("config", "more", "words"),
    [
        ({"eos_token_id": 5}, {}, "eos_token_id 5; .* 'time', but its eos_token is '<end>'"),
        ({"eos_token_id": [5, 6]}, {}, "eos_token_id 5"),
        (
            {"eos_token_id": None, "bos_token_id": 6},
            {"named": {"bos_token": {"content": "<end>"}}},
            "bos_token_id 6; .* 'there'",
        ),
        ({"eos_token_id": 5}, {"generation": {"eos_token_id": 6}}, "eos_token_id 5"),
        (
            {"eos_token_id": 120, "pad_token_id": 121},
            {"writes": True},
            "eos_token_id 120; .* eos_token is '</s>'",
        ),
        (
            {"eos_token_id": 2, "pad_token_id": 1, "decoder_start_token_id": 121},
            {"writes": True},
            "decoder_start_token_id 121; .* not a special token",
        ),
    ],
)
def test_special_tokens_that_are_words_to_the_tokenizer_are_refused(
    tmp_path: Path, config: dict[str, Any], more: dict[str, Any], words: str
) -> None:
    with pytest.raises(BundleError, match=words) as error:
        told(tmp_path, config, **more)
    assert "copy or export both together" in str(error.value.hint)


def test_special_tokens_may_be_named_in_a_file_of_their_own(tmp_path: Path) -> None:
    content = {"eos_token": {"content": "<end>"}}
    (tmp_path / "special_tokens_map.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(BundleError, match="eos_token_id 5"):
        told(tmp_path, {"eos_token_id": 5}, named={"eos_token": None})
