"""A tiny real text generator for tests; see `nlplug.testing`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nlplug._extras import require
from nlplug.models.bundle import Bundle

END_TOKEN = "<end>"
_SPECIAL_TOKENS = (END_TOKEN, "<unk>")
_TALE: dict[str, dict[str, float]] = {
    "once": {"upon": 9.0},
    "upon": {"a": 9.0},
    "a": {"time": 9.0, "king": 8.0},
    "time": {"there": 9.0},
    "there": {"was": 9.0},
    "was": {"a": 9.0},
    "king": {END_TOKEN: 9.0},
    "the": {"end": 9.0},
    "end": {END_TOKEN: 9.0},
}


def tiny_text_generator(
    folder: Path,
    follows: Mapping[str, Mapping[str, float]] | None = None,
    *,
    max_length: int = 64,
    chat_template: str | None = None,
    config: Mapping[str, object] | None = None,
) -> Bundle:
    """Write a generator whose next word hangs on the last one alone, and open it.

    So a test can work out the text by hand: greedy decoding takes the word with the largest logit.
    The graph has the inputs and outputs of Optimum's exports, its cache among them.

    Args:
        folder: Where to write; made if missing.
        follows: Word → the words that may follow and their logits; all others have 0. ``<end>``
            ends the text. None for a tale that goes round: "once upon a time there was a time …",
            and "the end", which ends.
        max_length: The model's context in tokens.
        chat_template: A Jinja template, for a model that takes chats.
        config: More entries for ``config.json``.

    Raises:
        MissingExtra: The ``onnx`` package is not installed.
    """
    follows = _TALE if follows is None else follows
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    words = [*follows, *(word for after in follows.values() for word in after)]
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys((*_SPECIAL_TOKENS, *words)))}
    weights = np.zeros((len(vocabulary), len(vocabulary)), np.float32)
    for word, after in follows.items():
        for following, logit in after.items():
            weights[vocabulary[word], vocabulary[following]] = logit
    _write_graph(folder / "onnx" / "model.onnx", weights)
    _write_tokenizer(folder / "tokenizer.json", vocabulary)
    named = {"eos_token": END_TOKEN, "unk_token": "<unk>", "model_max_length": max_length}
    if chat_template is not None:
        named["chat_template"] = chat_template
    described = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "max_position_embeddings": max_length,
        "eos_token_id": vocabulary[END_TOKEN],
        "vocab_size": len(vocabulary),
        **(config or {}),
    }
    for name, values in (("tokenizer_config.json", named), ("config.json", described)):
        (folder / name).write_text(json.dumps(values, indent=2), encoding="utf-8")
    return Bundle.open(folder)


def _write_tokenizer(path: Path, vocabulary: Mapping[str, int]) -> None:
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel(dict(vocabulary), unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens([AddedToken(word, special=True) for word in _SPECIAL_TOKENS])
    tokenizer.save(str(path))


def _write_graph(path: Path, weights: np.ndarray) -> None:
    """logits = weights[token]; each token adds its id to the cache, which nothing reads."""
    onnx = require("onnx", "train", purpose="Making a test model")
    helper, tensor = onnx.helper, onnx.TensorProto
    parts = ("key", "value")
    nodes = [
        helper.make_node("Gather", ["weights", "input_ids"], ["logits"]),
        helper.make_node("Cast", ["input_ids"], ["numbers"], to=tensor.FLOAT),
        helper.make_node("Unsqueeze", ["numbers", "axes"], ["fresh"]),
        *(
            helper.make_node(
                "Concat", [f"past_key_values.0.{part}", "fresh"], [f"present.0.{part}"], axis=2
            )
            for part in parts
        ),
    ]

    def cache(name: str, length: str) -> list[object]:
        shape = ["batch_size", 1, length, 1]
        return [
            helper.make_tensor_value_info(f"{name}.0.{part}", tensor.FLOAT, shape) for part in parts
        ]

    axes = ["batch_size", "sequence_length"]
    graph = helper.make_graph(
        nodes,
        "tiny_text_generator",
        [
            helper.make_tensor_value_info("input_ids", tensor.INT64, axes),
            *cache("past_key_values", "past_length"),
        ],
        [
            helper.make_tensor_value_info("logits", tensor.FLOAT, [*axes, len(weights)]),
            *cache("present", "total_length"),
        ],
        [
            onnx.numpy_helper.from_array(weights, "weights"),
            onnx.numpy_helper.from_array(np.array([1, 3], dtype=np.int64), "axes"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
