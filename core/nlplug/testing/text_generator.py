"""A tiny text generator: the next word depends only on the last word."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nlplug.models.bundle import Bundle
from nlplug.testing.writing import TEXT_AXES, floats, integers, node, save_graph, write_bundle

if TYPE_CHECKING:
    from tokenizers import Tokenizer

END_TOKEN = "<end>"
_SPECIAL_TOKENS = (END_TOKEN, "<unk>")
_STORY: dict[str, dict[str, float]] = {
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
    """Write a generator whose next word depends on the last one alone, and open it.

    Greedy decoding takes the word with the largest logit. The graph has the inputs and outputs of
    Optimum's exports, the cache included.

    Args:
        folder: Where to write; made if missing.
        follows: Word → the words that may follow and their logits; all others have the logit 0.
            ``<end>`` ends the text. None for a story that repeats itself, "once upon a time there
            was a time …", and for "the end", which ends.
        max_length: The model's context in tokens.
        chat_template: A Jinja template, for a model that answers chats.
        config: Further entries of ``config.json``.

    Raises:
        MissingExtra: The ``onnx`` package is not installed.
    """
    follows = _STORY if follows is None else follows
    words = [*follows, *(word for after in follows.values() for word in after)]
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys((*_SPECIAL_TOKENS, *words)))}
    weights = np.zeros((len(vocabulary), len(vocabulary)), np.float32)
    for word, after in follows.items():
        for following, logit in after.items():
            weights[vocabulary[word], vocabulary[following]] = logit
    _write_graph(folder / "onnx" / "model.onnx", weights)
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
    return write_bundle(folder, _tokenizer(vocabulary), named, described)


def _tokenizer(vocabulary: Mapping[str, int]) -> Tokenizer:
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel(dict(vocabulary), unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens([AddedToken(word, special=True) for word in _SPECIAL_TOKENS])
    return tokenizer


def _write_graph(path: Path, weights: np.ndarray) -> None:
    """logits = weights[token]; each token adds its id to the cache, which nothing reads."""
    parts = ("key", "value")
    past, present = (
        [floats(f"{name}.0.{part}", ("batch_size", 1, length, 1)) for part in parts]
        for name, length in (("past_key_values", "past_length"), ("present", "total_length"))
    )
    save_graph(
        path,
        [
            node("Gather", ["weights", "input_ids"], ["logits"]),
            node("Cast", ["input_ids"], ["numbers"], to=1),
            node("Unsqueeze", ["numbers", "axes"], ["fresh"]),
            *(
                node(
                    "Concat", [f"past_key_values.0.{part}", "fresh"], [f"present.0.{part}"], axis=2
                )
                for part in parts
            ),
        ],
        [integers("input_ids"), *past],
        [floats("logits", (*TEXT_AXES, len(weights))), *present],
        {"weights": weights, "axes": [1, 3]},
    )
