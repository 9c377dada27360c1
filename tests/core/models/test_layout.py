"""What the names and configs of model repositories mean."""

from __future__ import annotations

from typing import Any

import pytest

from nlplug.models.layout import (
    external_data_of,
    find_graphs,
    graph_of,
    id2label_of,
    side_files,
    window_of,
)


@pytest.mark.parametrize(
    ("name", "graph"),
    [
        ("onnx/model.onnx", ("model", "fp32")),
        ("model.onnx", ("model", "fp32")),
        ("onnx/model_fp16.onnx", ("model", "fp16")),
        ("onnx/model_int8.onnx", ("model", "int8")),
        ("onnx/model_quantized.onnx", ("model", "int8")),
        ("model_quantized.onnx", ("model", "int8")),
        ("onnx/model_uint8.onnx", ("model", "uint8")),
        ("onnx/model_q4.onnx", ("model", "q4")),
        ("onnx/model_q4f16.onnx", ("model", "q4f16")),
        ("onnx/model_bnb4.onnx", ("model", "bnb4")),
        ("onnx/model_O3.onnx", ("model", "O3")),
        ("onnx/model_qint8_avx512_vnni.onnx", ("model", "qint8_avx512_vnni")),
        ("onnx/model_optimized.onnx", ("model", "optimized")),
        ("model_optimized_quantized.onnx", ("model", "int8")),
        ("onnx/model_O2_fp16.onnx", ("model", "fp16")),
        ("classifier.onnx", ("classifier", "fp32")),
        ("onnx/decoder_model_merged.onnx", ("decoder_model_merged", "fp32")),
        ("onnx/decoder_model_merged_q4f16.onnx", ("decoder_model_merged", "q4f16")),
        ("onnx/model.onnx_data", None),
        ("other/model.onnx", None),
        ("onnx/deep/model.onnx", None),
        ("pytorch_model.bin", None),
    ],
)
def test_a_files_name_says_what_it_holds(name: str, graph: tuple[str, str] | None) -> None:
    assert graph_of(name) == graph


def test_the_explicit_name_and_the_onnx_folder_win() -> None:
    names = [
        "model.onnx",
        "model_int8.onnx",
        "onnx/model.onnx",
        "onnx/model_int8.onnx",
        "onnx/model_quantized.onnx",
    ]
    assert find_graphs(names) == {
        "model": {"fp32": "onnx/model.onnx", "int8": "onnx/model_int8.onnx"}
    }


def test_an_optimized_file_is_taken_where_there_is_no_plain_one() -> None:
    both = ["onnx/model_optimized_quantized.onnx", "onnx/model_quantized.onnx"]
    assert find_graphs(both) == {"model": {"int8": "onnx/model_quantized.onnx"}}
    assert find_graphs(both[:1]) == {"model": {"int8": both[0]}}


@pytest.mark.parametrize(
    ("names", "graphs"),
    [
        (["classifier.onnx", "classifier_quantized.onnx"], ["model"]),
        (["onnx/model.onnx", "onnx/classifier.onnx"], ["classifier", "model"]),
        (["first.onnx", "second.onnx"], ["first", "second"]),
        (["decoder_model.onnx"], ["model"]),
        (["decoder_with_past_model.onnx"], ["decoder_with_past_model"]),
        (["encoder_model.onnx"], ["encoder_model"]),
    ],
)
def test_a_single_graph_of_any_name_is_the_model(names: list[str], graphs: list[str]) -> None:
    assert sorted(find_graphs(names)) == graphs


def test_side_files_are_taken_from_the_first_folder_that_has_them() -> None:
    names = {"config.json", "onnx/config.json", "onnx/tokenizer.json", "vocab.txt", "README.md"}
    assert side_files(names) == ["config.json", "onnx/tokenizer.json"]
    assert side_files({"config.json", "onnx/vocab.txt"}) == ["config.json", "onnx/vocab.txt"]
    assert side_files({"vocab.json", "merges.txt"}) == ["merges.txt", "vocab.json"]


def test_external_data_belongs_to_one_file() -> None:
    names = ["onnx/model.onnx_data", "onnx/model.onnx_data_1", "onnx/model.onnx.data"]
    others = ["onnx/model_fp16.onnx_data", "model.onnx_data", "onnx/model.onnx_database"]
    assert external_data_of("onnx/model.onnx", names + others) == sorted(names)


@pytest.mark.parametrize(
    ("config", "tokenizer", "window"),
    [
        ({"model_type": "bert", "max_position_embeddings": 512}, {}, 512),
        ({"model_type": "bert", "max_position_embeddings": 512}, {"model_max_length": 128}, 128),
        ({"model_type": "bert", "max_position_embeddings": 64}, {"model_max_length": 512}, 64),
        ({"model_type": "bert", "max_position_embeddings": 512}, {"model_max_length": 1e30}, 512),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, {}, 512),
        ({"model_type": "xlm-roberta", "max_position_embeddings": 514}, {}, 512),
        ({"model_type": "camembert", "max_position_embeddings": 514, "pad_token_id": 1}, {}, 512),
        ({"model_type": "roberta", "max_position_embeddings": 130, "pad_token_id": 1}, {}, 128),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 0}, {}, 513),
        ({"model_type": "gpt2", "n_positions": 1024}, {}, 1024),
        ({"model_type": "t5", "n_positions": 512}, {"model_max_length": 1e30}, 512),
        ({}, {}, 512),
        ({"max_position_embeddings": None}, {"model_max_length": None}, 512),
        ({"max_position_embeddings": "many"}, {"model_max_length": True}, 512),
        ({"max_position_embeddings": -1}, {"model_max_length": 0}, 512),
    ],
)
def test_the_window_is_the_smallest_sane_limit(
    config: dict[str, Any], tokenizer: dict[str, Any], window: int
) -> None:
    assert window_of(config, tokenizer) == window


def test_labels_are_in_the_order_of_their_numbers() -> None:
    config = {"id2label": {"10": "k", "2": "c", "0": "a"}}
    assert id2label_of(config) == {0: "a", 2: "c", 10: "k"}


def test_without_labels_they_are_named_as_transformers_names_them() -> None:
    assert id2label_of({"num_labels": 3}) == {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}
    assert id2label_of({}) == {0: "LABEL_0", 1: "LABEL_1"}


@pytest.mark.parametrize("given", [["a", "b"], {"first": "a"}])
def test_malformed_labels_are_refused(given: object) -> None:
    with pytest.raises(ValueError, match=r"id2label|invalid literal"):
        id2label_of({"id2label": given})


def test_labels_without_names_are_numbered_up_to_a_million() -> None:
    assert id2label_of({"num_labels": 3}) == {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}
    with pytest.raises(ValueError, match="num_labels is 1000000000000, which no model has"):
        id2label_of({"num_labels": 10**12})


def test_labels_may_be_stated_by_label_alone() -> None:
    assert id2label_of({"label2id": {"yes": 1, "no": "0"}}) == {0: "no", 1: "yes"}


@pytest.mark.parametrize("given", [{"a": 0, "b": 0}, {"a": "x"}, ["a"]])
def test_malformed_labels_by_label_are_refused(given: object) -> None:
    with pytest.raises(ValueError, match="label2id"):
        id2label_of({"label2id": given})
