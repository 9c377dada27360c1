"""Tiny real models for tests: made in milliseconds, run by ONNX Runtime like any other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nlplug._extras import require
from nlplug._tiny_generator import tiny_text_generator
from nlplug._tiny_translator import tiny_translator
from nlplug.models.bundle import Bundle

__all__ = [
    "SPECIAL_TOKENS",
    "tiny_question_answerer",
    "tiny_text_classifier",
    "tiny_text_generator",
    "tiny_token_classifier",
    "tiny_translator",
]

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


def tiny_question_answerer(
    folder: Path,
    words: Mapping[str, tuple[float, float]] | None = None,
    *,
    max_length: int = 64,
    config: Mapping[str, object] | None = None,
) -> Bundle:
    """Write an extractive question answerer in the Hub's layout and open it.

    Its start and end logits at a token are that word's two weights, whatever the question, so
    that a test can work out the right answer by hand. Unknown words weigh nothing.

    Args:
        folder: Where to write; made if missing.
        words: Word → (start logit, end logit); ``[CLS]`` among them sets those of "no answer".
        max_length: The model's window in tokens, three special tokens included.
        config: More entries for ``config.json``.

    Raises:
        MissingExtra: The ``onnx`` package is not installed.
    """
    words = words or {"paris": (6.0, 6.0), "new": (5.0, 0.0), "york": (0.0, 5.0), "it": (1.0, 1.0)}
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    vocabulary = {
        word: index for index, word in enumerate(dict.fromkeys((*SPECIAL_TOKENS, *words)))
    }
    weights = np.zeros((len(vocabulary), 2), dtype=np.float32)
    for word, row in words.items():
        weights[vocabulary[word]] = row
    _write_span_graph(folder / "onnx" / "model.onnx", weights)
    _write_tokenizer(folder / "tokenizer.json", vocabulary)
    _write_json(
        folder / "tokenizer_config.json",
        {
            "model_max_length": max_length,
            "pad_token": "[PAD]",
            "cls_token": "[CLS]",
            "tokenizer_class": "BertTokenizer",
        },
    )
    _write_json(
        folder / "config.json",
        {
            "model_type": "bert",
            "architectures": ["BertForQuestionAnswering"],
            "max_position_embeddings": max_length,
            **(config or {}),
        },
    )
    return Bundle.open(folder)


def tiny_token_classifier(
    folder: Path,
    words: Mapping[str, Sequence[float]] | None = None,
    *,
    labels: Sequence[str] = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC"),
    after: Mapping[str, Sequence[float]] | None = None,
    max_length: int = 32,
    config: Mapping[str, object] | None = None,
) -> Bundle:
    """Write a token classifier in the Hub's layout and open it.

    The logits of a token are its word's row of weights, plus what the token before adds, so that a
    test can work out the right answer by hand. Text is lower-cased and cut by WordPiece.

    Args:
        folder: Where to write; made if missing.
        words: Word, or piece of a word as ``##land`` → one weight a label. ``[UNK]``, for all other
            words, has the first label unless it is given. None for a few persons and places.
        labels: Names of the labels.
        after: Word or piece → what it adds to the logits of the token after it, a weight a label.
        max_length: The model's window in tokens, two special tokens included.
        config: More entries for ``config.json``.

    Raises:
        MissingExtra: The ``onnx`` package is not installed.
    """
    if words is None:
        words = {
            "anna": (0, 6, 0, 0, 0),
            "smith": (0, 0, 6, 0, 0),
            "paris": (0, 0, 0, 6, 0),
            "ro": (0, 0, 0, 5, 0),
            "##me": (0, 0, 0, 0, 4),
            "new": (0, 0, 0, 6, 0),
            "york": (0, 0, 0, 0, 6),
        }
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    unknown = [6.0] + [0.0] * (len(labels) - 1)
    rows = {**dict.fromkeys(SPECIAL_TOKENS, unknown), **words}
    vocabulary = {word: index for index, word in enumerate(dict.fromkeys((*rows, *(after or {}))))}
    weights = np.zeros((2, len(vocabulary), len(labels)), dtype=np.float32)
    for table, given in zip(weights, (rows, after or {}), strict=True):
        for word, row in given.items():
            table[vocabulary[word]] = row
    _write_tagging_graph(folder / "onnx" / "model.onnx", weights[0], weights[1])
    _write_wordpiece(folder / "tokenizer.json", vocabulary)
    _write_json(
        folder / "tokenizer_config.json",
        {
            "model_max_length": max_length,
            "pad_token": "[PAD]",
            "unk_token": "[UNK]",
            "tokenizer_class": "BertTokenizer",
        },
    )
    _write_json(
        folder / "config.json",
        {
            "model_type": "bert",
            "architectures": ["BertForTokenClassification"],
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


def _write_span_graph(path: Path, weights: np.ndarray) -> None:
    """start_logits and end_logits = the two columns of weights[token]."""
    onnx = require("onnx", "train", purpose="Making a test model")
    helper, tensor = onnx.helper, onnx.TensorProto
    axes = ["batch_size", "sequence_length"]
    names = ("start_logits", "end_logits")
    graph = helper.make_graph(
        [helper.make_node("Gather", [f"{name}_of", "input_ids"], [name]) for name in names],
        "tiny_question_answerer",
        [
            helper.make_tensor_value_info(name, tensor.INT64, axes)
            for name in ("input_ids", "attention_mask")
        ],
        [helper.make_tensor_value_info(name, tensor.FLOAT, axes) for name in names],
        [
            onnx.numpy_helper.from_array(np.ascontiguousarray(weights[:, column]), f"{name}_of")
            for column, name in enumerate(names)
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _write_wordpiece(path: Path, vocabulary: Mapping[str, int]) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordPiece(dict(vocabulary), unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(
        ("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"])
    )
    tokenizer.save(str(path))


def _write_tagging_graph(path: Path, weights: np.ndarray, after: np.ndarray) -> None:
    """logits = mask x (weights[token] + after[the token before])."""
    onnx = require("onnx", "train", purpose="Making a test model")
    helper, tensor = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("Gather", ["weights", "input_ids"], ["own"]),
        helper.make_node("Gather", ["after", "input_ids"], ["added"]),
        helper.make_node("Pad", ["added", "one_in_front"], ["shifted"]),
        helper.make_node("Slice", ["shifted", "zero", "less_one", "middle"], ["cut"]),
        helper.make_node("Add", ["own", "cut"], ["sum"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=tensor.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["mask3"]),
        helper.make_node("Mul", ["sum", "mask3"], ["logits"]),
    ]
    constants = {
        "last": [2],
        "middle": [1],
        "zero": [0],
        "less_one": [-1],
        "one_in_front": [0, 1, 0, 0, 0, 0],
    }
    axes = ["batch_size", "sequence_length"]
    from_array = onnx.numpy_helper.from_array
    graph = helper.make_graph(
        nodes,
        "tiny_token_classifier",
        [
            helper.make_tensor_value_info(name, tensor.INT64, axes)
            for name in ("input_ids", "attention_mask")
        ],
        [helper.make_tensor_value_info("logits", tensor.FLOAT, [*axes, weights.shape[1]])],
        [
            from_array(weights, "weights"),
            from_array(after, "after"),
            *(from_array(np.array(v, dtype=np.int64), name) for name, v in constants.items()),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
