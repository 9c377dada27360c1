"""Values of another type than an argument has: one error of ours names the argument."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlplug import Pipeline, pipeline
from nlplug.errors import DeviceError, InputError, OptionError

MODEL = "sentiment-en"
TEXTS = ["I loved it", "It was terrible"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"precision": ["int8"]}, "precision is an object of type list"),
        ({"precision": np.array(["int8", "fp32"])}, "precision is an object of type ndarray"),
        ({"revision": 3}, "revision is an object of type int"),
        ({"cache_dir": 3}, "cache_dir is an object of type int"),
        ({"subfolder": ["onnx"]}, "subfolder is an object of type list"),
        ({"local_files_only": "no"}, "local_files_only is 'no'"),
        ({"model_kwargs": {"cache_dir": 3}}, "cache_dir is an object of type int"),
        ({"model_kwargs": {"load_in_8bit": np.array([1, 0])}}, r"load_in_8bit is \[1, 0\]"),
        ({"device_map": {"": np.array([0, 1]), "head": 1}}, "device_map="),
    ],
    ids=str,
)
def test_an_argument_of_a_pipeline(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        pipeline("sentiment", MODEL, **arguments)


def test_several_devices_are_none() -> None:
    for place in (np.array([0, 1]), [0, 1]):
        with pytest.raises(DeviceError, match=r"Unknown device '\[0,? 1\]'"):
            pipeline("sentiment", MODEL, device=place)


def test_several_tasks_are_none() -> None:
    with pytest.raises(OptionError, match="task is an object of type ndarray"):
        pipeline(np.array(["ner", "qa"]))  # type: ignore[arg-type]


@pytest.mark.parametrize("folder", [None, 3])
def test_a_folder_to_save_to(folder: Any, pipes: Callable[[str], Pipeline]) -> None:
    with pytest.raises(OptionError, match="save_directory is an object of type"):
        pipes("sentiment").save_pretrained(folder)


def test_what_exists_and_is_no_folder_is_not_saved_to(pipes: Callable[[str], Pipeline]) -> None:
    with pytest.raises(OptionError, match="/dev/null exists"):
        pipes("sentiment").save_pretrained(Path("/dev/null"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": "longer"}, "padding is 'longer'"),
        ({"padding": np.array([1, 2])}, r"padding is array\(\[1, 2\]\)"),
        ({"truncation": np.array([1, 2])}, r"truncation is array\(\[1, 2\]\)"),
        ({"return_tensors": np.array([1, 2])}, r"return_tensors is array\(\[1, 2\]\)"),
        ({"truncation": True, "max_length": 0}, "max_length is 0"),
        ({"truncation": True, "max_length": -1}, "max_length is -1"),
        ({"padding": "max_length", "max_length": "9"}, "max_length is '9'"),
    ],
    ids=str,
)
def test_an_argument_of_a_tokenizer(
    options: dict[str, Any], message: str, pipes: Callable[[str], Pipeline]
) -> None:
    with pytest.raises(OptionError, match=message):
        pipes("sentiment").tokenizer(TEXTS, **options)


def test_a_tokenizer_pads_and_truncates_as_it_is_told(pipes: Callable[[str], Pipeline]) -> None:
    tokenizer = pipes("sentiment").tokenizer
    padded = tokenizer([*TEXTS, "Fine"], padding="longest")
    assert padded == tokenizer([*TEXTS, "Fine"], padding=True)
    assert [len(ids) for ids in tokenizer(TEXTS, padding="max_length", max_length=9).input_ids] == [
        9,
        9,
    ]
    assert len(tokenizer(TEXTS[0], truncation=True, max_length=3).input_ids) == 3


@pytest.mark.parametrize(
    ("method", "value"),
    [
        ("tokenize", None),
        ("tokenize", TEXTS),
        ("batch_decode", 3),
        ("convert_tokens_to_ids", [3]),
        ("convert_tokens_to_ids", None),
        ("convert_ids_to_tokens", "good"),
        ("convert_ids_to_tokens", [1.5]),
        ("convert_ids_to_tokens", [[101]]),
        ("convert_ids_to_tokens", None),
    ],
    ids=str,
)
def test_a_method_of_a_tokenizer(method: str, value: Any, pipes: Callable[[str], Pipeline]) -> None:
    with pytest.raises(InputError, match=rf"{method}\(\) has"):
        getattr(pipes("sentiment").tokenizer, method)(value)


def test_arrays_are_ids_and_tokens(pipes: Callable[[str], Pipeline]) -> None:
    tokenizer = pipes("sentiment").tokenizer
    ids = tokenizer.encode("good")
    tokens = ["[CLS]", "good", "[SEP]"]
    assert tokenizer.convert_ids_to_tokens(np.array(ids)) == tokens
    assert tokenizer.convert_ids_to_tokens(np.int64(ids[1])) == "good"
    assert tokenizer.convert_tokens_to_ids(np.array(tokens)) == ids
