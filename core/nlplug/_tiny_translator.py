"""A tiny real translator for tests; see `nlplug.testing`."""

from __future__ import annotations

import json
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nlplug._extras import require
from nlplug.models.bundle import Bundle

_PAD, _END, _UNKNOWN = "<pad>", "</s>", "<unk>"
_SPECIAL = (_PAD, _END, _UNKNOWN)
_WORDS = {
    "the": "le",
    "a": "un",
    "cat": "chat",
    "dog": "chien",
    "big": "grand",
    "sees": "voit",
    "and": "et",
    "hello": "bonjour",
    "sleeps": "dort",
}


def tiny_translator(
    folder: Path,
    words: Mapping[str, str] | None = None,
    *,
    marked: Mapping[str, Mapping[str, str]] | None = None,
    max_length: int = 64,
    config: Mapping[str, object] | None = None,
    tokenizer_config: Mapping[str, object] | None = None,
) -> Bundle:
    """Write a text-to-text model that translates word by word, and open it.

    So a test can work out the text by hand. Digits, marks and letters of words that it does not
    know stay as they are; other characters are lost. The graphs have the inputs and outputs of
    Optimum's exports, the cache among them.

    Args:
        folder: Where to write; made if missing.
        words: Word → its translation, of one word or more, or none; in lower case, and capitalized
            it is known too. None for a few English words in French.
        marked: Target language → such words, for a model of many targets that is told by a token
            such as ``>>fr<<``.
        max_length: Tokens in a source, and in a text.
        config: More entries for ``config.json``.
        tokenizer_config: More entries for ``tokenizer_config.json``.

    Raises:
        MissingExtra: The ``onnx`` package is not installed.
    """
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    sides = dict(marked) if marked else {"": _WORDS if words is None else words}
    marks = [f">>{name}<<" for name in sides if name]
    kept = ["▁", *string.ascii_letters, *string.digits, *string.punctuation]
    forms = [_forms(side) for side in sides.values()]
    sources = [word for side in forms for word in side]
    targets = [word for side in forms for word in side.values()]
    names = dict.fromkeys((*_SPECIAL, *marks, *kept, *sources, *targets))
    vocabulary = {name: number for number, name in enumerate(names)}
    table = np.zeros((len(forms), len(vocabulary), len(vocabulary)), np.float32)
    for number, side in enumerate(forms):
        for name, token in vocabulary.items():
            # A word without translation becomes the padding, which has no text.
            table[number, token, vocabulary[side.get(name, name) or _PAD]] = 20.0
    first = vocabulary[marks[0]] if marks else 0
    _write_encoder(folder / "onnx" / "encoder_model.onnx", table, first)
    _write_decoder(folder / "onnx" / "decoder_model_merged.onnx", len(vocabulary), len(marks) > 0)
    _write_tokenizer(folder / "tokenizer.json", vocabulary, set(sources), marks)
    named = {
        "eos_token": _END,
        "pad_token": _PAD,
        "unk_token": _UNKNOWN,
        "model_max_length": max_length,
        "additional_special_tokens": marks,
        **(tokenizer_config or {}),
    }
    described = {
        "model_type": "marian",
        "architectures": ["MarianMTModel"],
        "is_encoder_decoder": True,
        "max_position_embeddings": max_length,
        "decoder_start_token_id": vocabulary[_PAD],
        "eos_token_id": vocabulary[_END],
        "pad_token_id": vocabulary[_PAD],
        "vocab_size": len(vocabulary),
        **(config or {}),
    }
    for name, values in (("tokenizer_config.json", named), ("config.json", described)):
        (folder / name).write_text(json.dumps(values, indent=2), encoding="utf-8")
    return Bundle.open(folder)


def _forms(words: Mapping[str, str]) -> dict[str, str]:
    """Pieces and what they become: words with and without a space before them."""
    found = {}
    for word, translation in words.items():
        cased = (word.capitalize(), translation[:1].upper() + translation[1:])
        for source, target in (cased, (word, translation)):
            spaced = target.replace(" ", "▁")
            found[source] = spaced
            found[f"▁{source}"] = spaced and f"▁{spaced}"
    return found


def _write_tokenizer(
    path: Path, vocabulary: Mapping[str, int], words: set[str], marks: list[str]
) -> None:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

    # Pieces that only translations have are never cheaper than letters.
    scores = [(name, -1.0 if name in words else -20.0 * len(name)) for name in vocabulary]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=vocabulary[_UNKNOWN]))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {_END}", special_tokens=[(_END, vocabulary[_END])]
    )
    special = [AddedToken(name, special=True) for name in (*_SPECIAL, *marks)]
    tokenizer.add_special_tokens(special)
    tokenizer.save(str(path))


def _write_encoder(path: Path, table: np.ndarray, first_mark: int) -> None:
    """last_hidden_state = each token's row in the table of the first one's language."""
    onnx = require("onnx", "train", purpose="Making a test model")
    helper, tensor = onnx.helper, onnx.TensorProto
    sides, size, _ = table.shape
    nodes = [
        helper.make_node("Gather", ["input_ids", "zero"], ["named"], axis=1),
        helper.make_node("Sub", ["named", "first_mark"], ["side"]),
        helper.make_node("Clip", ["side", "none", "last_side"], ["known"]),
        helper.make_node("Mul", ["known", "size"], ["shift"]),
        helper.make_node("Add", ["input_ids", "shift"], ["rows"]),
        helper.make_node("Gather", ["table", "rows"], ["last_hidden_state"]),
    ]
    axes = ["batch_size", "sequence_length"]
    _save(
        path,
        nodes,
        [
            helper.make_tensor_value_info(name, tensor.INT64, axes)
            for name in ("input_ids", "attention_mask")
        ],
        [helper.make_tensor_value_info("last_hidden_state", tensor.FLOAT, [*axes, size])],
        {
            "table": table.reshape(sides * size, size),
            "zero": np.array([0]),
            "none": np.array(0),
            "first_mark": np.array(first_mark),
            "last_side": np.array(sides - 1),
            "size": np.array(size),
        },
    )


def _write_decoder(path: Path, size: int, marked: bool) -> None:
    """logits = the encoder's row of the place that the text has reached, past a language's mark."""
    onnx = require("onnx", "train", purpose="Making a test model")
    helper, tensor = onnx.helper, onnx.TensorProto
    caches = [f"0.{side}.{part}" for side in ("decoder", "encoder") for part in ("key", "value")]
    nodes = [
        helper.make_node("Shape", ["past_key_values.0.decoder.key"], ["past"]),
        helper.make_node("Gather", ["past", "two"], ["done"]),
        helper.make_node("Add", ["done", "skipped"], ["place"]),
        helper.make_node("Shape", ["encoder_hidden_states"], ["states"]),
        helper.make_node("Gather", ["states", "one"], ["length"]),
        helper.make_node("Sub", ["length", "one"], ["last"]),
        helper.make_node("Min", ["place", "last"], ["reached"]),
        helper.make_node("Gather", ["encoder_hidden_states", "reached"], ["logits"], axis=1),
        helper.make_node("Cast", ["input_ids"], ["numbers"], to=tensor.FLOAT),
        helper.make_node("Unsqueeze", ["numbers", "axes"], ["fresh"]),
        helper.make_node("Cast", ["encoder_attention_mask"], ["mask"], to=tensor.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "axes"], ["sources"]),
    ]
    for cache in caches:
        past, present = f"past_key_values.{cache}", f"present.{cache}"
        own = "decoder" in cache
        given = ([past, "fresh"], {"axis": 2}) if own else (["sources"], {})
        nodes.append(
            helper.make_node("Concat" if own else "Identity", given[0], [present], **given[1])
        )
    batch = "batch_size"
    texts, sources = [batch, "sequence_length"], [batch, "encoder_sequence_length"]
    _save(
        path,
        nodes,
        [
            helper.make_tensor_value_info("encoder_attention_mask", tensor.INT64, sources),
            helper.make_tensor_value_info("input_ids", tensor.INT64, texts),
            helper.make_tensor_value_info("encoder_hidden_states", tensor.FLOAT, [*sources, size]),
            *(
                helper.make_tensor_value_info(
                    f"past_key_values.{cache}", tensor.FLOAT, [batch, 1, f"past_{cache[2:5]}", 1]
                )
                for cache in caches
            ),
            helper.make_tensor_value_info("use_cache_branch", tensor.BOOL, [1]),
        ],
        [
            helper.make_tensor_value_info("logits", tensor.FLOAT, [*texts, size]),
            *(
                helper.make_tensor_value_info(
                    f"present.{cache}", tensor.FLOAT, [batch, 1, f"total_{cache[2:5]}", 1]
                )
                for cache in caches
            ),
        ],
        {
            "one": np.array([1]),
            "two": np.array([2]),
            "skipped": np.array([int(marked)]),
            "axes": np.array([1, 3]),
        },
    )


def _save(
    path: Path,
    nodes: list[Any],
    inputs: list[Any],
    outputs: list[Any],
    constants: Mapping[str, np.ndarray],
) -> None:
    onnx = require("onnx", "train", purpose="Making a test model")
    helper = onnx.helper
    made = [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny_translator", inputs, outputs, made)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
