"""Tiny real models for tests: made in milliseconds, run by ONNX Runtime like any other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nlplug._extras import require
from nlplug.models.bundle import Bundle

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


def tiny_text_classifier(
    folder: Path,
    words: Mapping[str, Sequence[float]] | None = None,
    *,
    labels: Sequence[str] = ("negative", "positive"),
    max_length: int = 32,
    config: Mapping[str, object] | None = None,
    output: str = "logits",
) -> Bundle:
    """Write a bag-of-words text classifier in the Hub's layout and open it.

    Its logits are the mean over the tokens of each word's row of weights, so that a test can
    work out the right answer by hand. Special and unknown tokens weigh nothing.

    Args:
        folder: Where to write; made if missing.
        words: Word → one weight a label.
        labels: Names of the labels.
        max_length: The model's window in tokens, two special tokens included.
        config: More entries for ``config.json``.
        output: Name of the graph's output.

    Raises:
        MissingExtra: The ``onnx`` package is not installed.
    """
    words = words or {"good": (-4.0, 4.0), "bad": (4.0, -4.0), "dull": (2.0, -2.0)}
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    vocabulary = {word: index for index, word in enumerate((*SPECIAL_TOKENS, *words))}
    weights = np.zeros((len(vocabulary), len(labels)), dtype=np.float32)
    for word, row in words.items():
        weights[vocabulary[word]] = row
    _write_graph(folder / "onnx" / "model.onnx", weights, output)
    _write_tokenizer(folder / "tokenizer.json", vocabulary)
    _write_json(
        folder / "tokenizer_config.json",
        {"model_max_length": max_length, "pad_token": "[PAD]", "tokenizer_class": "BertTokenizer"},
    )
    _write_json(
        folder / "config.json",
        {
            "model_type": "bert",
            "architectures": ["BertForSequenceClassification"],
            "max_position_embeddings": max_length,
            "id2label": {str(index): label for index, label in enumerate(labels)},
            "label2id": {label: index for index, label in enumerate(labels)},
            **(config or {}),
        },
    )
    return Bundle.open(folder)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")


def _write_tokenizer(path: Path, vocabulary: Mapping[str, int]) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordLevel(dict(vocabulary), unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(
        ("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"])
    )
    tokenizer.save(str(path))


def _write_graph(path: Path, weights: np.ndarray, output: str) -> None:
    """logits = sum over tokens of mask x weights[token], over the number of tokens."""
    onnx = require("onnx", "train", purpose="Making a test model")
    helper, tensor = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("Gather", ["weights", "input_ids"], ["rows"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=tensor.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["mask3"]),
        helper.make_node("Mul", ["rows", "mask3"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "middle"], ["total"], keepdims=0),
        helper.make_node("ReduceSum", ["mask", "middle"], ["count"], keepdims=1),
        helper.make_node("Div", ["total", "count"], [output]),
    ]
    axes = ["batch_size", "sequence_length"]
    graph = helper.make_graph(
        nodes,
        "tiny_text_classifier",
        [
            helper.make_tensor_value_info(name, tensor.INT64, axes)
            for name in ("input_ids", "attention_mask")
        ],
        [helper.make_tensor_value_info(output, tensor.FLOAT, [axes[0], weights.shape[1]])],
        [
            onnx.numpy_helper.from_array(weights, "weights"),
            onnx.numpy_helper.from_array(np.array([2], dtype=np.int64), "last"),
            onnx.numpy_helper.from_array(np.array([1], dtype=np.int64), "middle"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
