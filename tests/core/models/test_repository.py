"""The record of a repository's files agrees with transformers where both read the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from layouts_kit import Layout, build, write
from transformers import AutoTokenizer

from nlplug.errors import BundleCorrupt
from nlplug.models.repository import ROLES, Repository
from nlplug.runtime.tokenizer import Tokenizer

FAST: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}
LISTED = {"5": {"content": "good", "special": True}}


@pytest.mark.parametrize(
    ("tokenizer_config", "special_tokens_map"),
    [
        ({"pad_token": "good"}, {}),
        ({}, {"pad_token": "good", "unk_token": {"content": "[UNK]"}}),
        ({"pad_token": "good"}, {"pad_token": "bad"}),
        ({"pad_token": "good", "added_tokens_decoder": LISTED}, {"pad_token": "bad"}),
        ({"pad_token": {"content": "good", "__type": "AddedToken"}}, {}),
        ({"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}, {}),
        ({"bos_token": None}, {"bos_token": "[CLS]", "eos_token": "[SEP]"}),
    ],
)
def test_special_tokens_are_those_of_transformers(
    tokenizer_config: dict[str, Any], special_tokens_map: dict[str, Any], tmp_path: Path
) -> None:
    layout = Layout(
        "roles",
        tokenizer_config={**FAST, **tokenizer_config},
        files={"special_tokens_map.json": special_tokens_map},
    )
    repository = Repository.read(build(layout, tmp_path))
    reference = AutoTokenizer.from_pretrained(str(tmp_path))
    expected = {role: getattr(reference, f"{role}_token") for role in ROLES}
    found = {role: repository.special_tokens.get(role) for role in ROLES}
    assert found == expected


def test_the_id_that_the_config_states_pads_before_the_tokenizers_own(tmp_path: Path) -> None:
    """A graph that looks for the last token of a row compares with the id of the config."""
    layout = Layout("pads", config={"pad_token_id": 6}, tokenizer_config={"pad_token": "good"})
    repository = Repository.read(build(layout, tmp_path))
    tokenizer = Tokenizer(repository.tokenizer_file, max_length=8, repository=repository)
    assert tokenizer.pad_token_id == 6


@pytest.mark.parametrize("token", [-1, 99_999, "6", None, True])
def test_an_id_that_is_no_token_of_the_vocabulary_is_ignored(token: Any, tmp_path: Path) -> None:
    layout = Layout("pads", config={"pad_token_id": token}, tokenizer_config={"pad_token": "good"})
    repository = Repository.read(build(layout, tmp_path))
    tokenizer = Tokenizer(repository.tokenizer_file, max_length=8, repository=repository)
    assert tokenizer.token_text(tokenizer.pad_token_id or 0) == "good"


def test_a_file_in_an_inner_folder_counts_where_the_root_has_none(tmp_path: Path) -> None:
    write(tmp_path / "onnx" / "tokenizer_config.json", {"model_max_length": 16})
    write(tmp_path / "tokenizer" / "special_tokens_map.json", {"pad_token": "x"})
    write(tmp_path / "config.json", {"max_position_embeddings": 64})
    repository = Repository.read(tmp_path)
    assert (repository.window, repository.special_tokens) == (16, {"pad": "x"})


@pytest.mark.parametrize("content", ["[1]", "{", '"x"', '{"a": "\\ud800"}', "[" * 100_000])
@pytest.mark.parametrize("name", ["special_tokens_map.json", "added_tokens.json", "config.json"])
def test_a_broken_file_is_named(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(BundleCorrupt, match=name):
        Repository.read(tmp_path)


def test_a_type_of_model_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": ["bert"]}')
    with pytest.raises(BundleCorrupt, match=r"model_type is \['bert'\], not a text"):
        Repository.read(tmp_path)
