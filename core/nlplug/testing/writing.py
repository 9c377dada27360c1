"""What the tiny models share: their files in the Hub's layout, their tokenizer and their graphs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nlplug.extras import require
from nlplug.models.bundle import Bundle

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
TEXT_INPUTS = ("input_ids", "attention_mask")
TEXT_AXES = ("batch_size", "sequence_length")


def write_bundle(
    folder: Path,
    tokenizer: Tokenizer,
    tokenizer_config: Mapping[str, object],
    config: Mapping[str, object],
) -> Bundle:
    """Write the other files of the bundle, and open the bundle."""
    tokenizer.save(str(folder / "tokenizer.json"))
    for name, values in (("tokenizer_config.json", tokenizer_config), ("config.json", config)):
        (folder / name).write_text(json.dumps(values, indent=2), encoding="utf-8")
    return Bundle.open(folder)


def write_bert(
    folder: Path,
    head: str,
    vocabulary: Mapping[str, int],
    *,
    max_length: int,
    config: Mapping[str, object] | None,
    labels: Sequence[str] = (),
    pieces: bool = False,
    **tokens: str,
) -> Bundle:
    """Write the other files of a lower-casing BERT, and open the bundle.

    Args:
        folder: Where to write.
        head: What follows ``BertFor`` in the name of its architecture.
        vocabulary: Token → id.
        max_length: The model's window in tokens.
        config: Further entries of ``config.json``.
        labels: Names of the labels; empty for a model without labels.
        pieces: Whether words are split by WordPiece; otherwise a token is a word.
        **tokens: Special tokens that ``tokenizer_config.json`` names besides ``[PAD]``.
    """
    named = {
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "label2id": {label: index for index, label in enumerate(labels)},
    }
    return write_bundle(
        folder,
        _bert_tokenizer(vocabulary, pieces, tokens),
        {
            "model_max_length": max_length,
            "pad_token": "[PAD]",
            "tokenizer_class": "BertTokenizer",
            **tokens,
        },
        {
            "model_type": "bert",
            "architectures": [f"BertFor{head}"],
            "max_position_embeddings": max_length,
            **(named if labels else {}),
            **(config or {}),
        },
    )


def _bert_tokenizer(
    vocabulary: Mapping[str, int], pieces: bool, tokens: Mapping[str, str]
) -> Tokenizer:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    model = models.WordPiece if pieces else models.WordLevel
    tokenizer = Tokenizer(model(dict(vocabulary), unk_token="[UNK]"))
    if pieces:
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    else:
        tokenizer.normalizer = normalizers.Lowercase()
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(
        ("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"])
    )
    if "mask_token" in tokens:  # a text holds it, so it must not be split
        tokenizer.add_special_tokens([*SPECIAL_TOKENS, tokens["mask_token"]])
    return tokenizer


def node(operator: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: object) -> Any:
    """A node of a graph; ``to=1`` of a Cast is float32."""
    return _onnx().helper.make_node(operator, inputs, outputs, **attributes)


def integers(name: str, axes: Sequence[str | int] = TEXT_AXES) -> Any:
    """An int64 input or output of a graph."""
    return _value(name, "INT64", axes)


def floats(name: str, axes: Sequence[str | int] = TEXT_AXES) -> Any:
    """A float32 input or output of a graph."""
    return _value(name, "FLOAT", axes)


def flags(name: str, axes: Sequence[str | int]) -> Any:
    """A boolean input of a graph."""
    return _value(name, "BOOL", axes)


def save_graph(
    path: Path,
    nodes: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    constants: Mapping[str, np.ndarray | Sequence[int]],
) -> None:
    """Check a graph and write it.

    Args:
        path: The file; its folder is made if missing.
        nodes: As `node` makes them, in the order of computation.
        inputs: As `integers`, `floats` and `flags` make them.
        outputs: The same.
        constants: Name → value; lists become arrays of int64.

    Raises:
        MissingExtra: The ``onnx`` package is not installed.
    """
    onnx = _onnx()
    path.parent.mkdir(parents=True, exist_ok=True)
    values = [
        onnx.numpy_helper.from_array(
            v if isinstance(v, np.ndarray) else np.array(v, np.int64), name
        )
        for name, v in constants.items()
    ]
    graph = onnx.helper.make_graph(nodes, f"tiny_{path.stem}", inputs, outputs, values)
    opset = onnx.helper.make_opsetid("", 17)
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def save_lookup(path: Path, table: np.ndarray, output: str) -> None:
    """Write a graph whose output for a token is its row of a table; padding has zeros.

    Args:
        path: The file; its folder is made if missing.
        table: Float32, (vocabulary, n).
        output: Name of the output, of shape (rows, tokens, n).

    Raises:
        MissingExtra: The ``onnx`` package is not installed.
    """
    save_graph(
        path,
        [
            node("Cast", ["attention_mask"], ["mask"], to=1),
            node("Unsqueeze", ["mask", "last"], ["mask3"]),
            node("Gather", ["table", "input_ids"], ["rows"]),
            node("Mul", ["rows", "mask3"], [output]),
        ],
        [integers(name) for name in TEXT_INPUTS],
        [floats(output, (*TEXT_AXES, table.shape[1]))],
        {"table": table, "last": [2]},
    )


def _onnx() -> Any:
    return require("onnx", "train", purpose="Writing a test model")


def _value(name: str, kind: str, axes: Sequence[str | int]) -> Any:
    onnx = _onnx()
    return onnx.helper.make_tensor_value_info(name, getattr(onnx.TensorProto, kind), axes)
