"""A tiny translator, word by word."""

from __future__ import annotations

import string
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nlplug.models.bundle import Bundle
from nlplug.testing.writing import (
    TEXT_AXES,
    TEXT_INPUTS,
    flags,
    floats,
    integers,
    node,
    save_graph,
    write_bundle,
)

if TYPE_CHECKING:
    from tokenizers import Tokenizer

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

    Digits, punctuation and the letters of unknown words are copied; other characters are lost. The
    graphs have the inputs and outputs of Optimum's exports, the cache included.

    Args:
        folder: Where to write; made if missing.
        words: Lower-case word → its translation, of any number of words; each word is known
            capitalized too. None for a few English words in French.
        marked: Target language → such words, for a model of several target languages, whose input
            begins with a token such as ``>>fr<<``.
        max_length: Maximum number of tokens in a source and in a translation.
        config: Further entries of ``config.json``.
        tokenizer_config: Further entries of ``tokenizer_config.json``.

    Raises:
        MissingExtra: The ``onnx`` package is not installed.
    """
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
    tokenizer = _tokenizer(vocabulary, set(sources), marks)
    return write_bundle(folder, tokenizer, named, described)


def _forms(words: Mapping[str, str]) -> dict[str, str]:
    """Pieces and their translations: words with and without a space before them."""
    found = {}
    for word, translation in words.items():
        cased = (word.capitalize(), translation[:1].upper() + translation[1:])
        for source, target in (cased, (word, translation)):
            spaced = target.replace(" ", "▁")
            found[source] = spaced
            found[f"▁{source}"] = spaced and f"▁{spaced}"
    return found


def _tokenizer(vocabulary: Mapping[str, int], words: set[str], marks: list[str]) -> Tokenizer:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

    # Pieces that occur only in translations score lower than their letters do.
    scores = [(name, -1.0 if name in words else -20.0 * len(name)) for name in vocabulary]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=vocabulary[_UNKNOWN]))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {_END}", special_tokens=[(_END, vocabulary[_END])]
    )
    special = [AddedToken(name, special=True) for name in (*_SPECIAL, *marks)]
    tokenizer.add_special_tokens(special)
    return tokenizer


def _write_encoder(path: Path, table: np.ndarray, first_mark: int) -> None:
    """last_hidden_state = each token's row in the table of the target language."""
    sides, size, _ = table.shape
    save_graph(
        path,
        [
            node("Gather", ["input_ids", "zero"], ["named"], axis=1),
            node("Sub", ["named", "first_mark"], ["side"]),
            node("Clip", ["side", "none", "last_side"], ["known"]),
            node("Mul", ["known", "size"], ["shift"]),
            node("Add", ["input_ids", "shift"], ["rows"]),
            node("Gather", ["table", "rows"], ["last_hidden_state"]),
        ],
        [integers(name) for name in TEXT_INPUTS],
        [floats("last_hidden_state", (*TEXT_AXES, size))],
        {
            "table": table.reshape(sides * size, size),
            "zero": [0],
            "none": np.array(0),
            "first_mark": np.array(first_mark),
            "last_side": np.array(sides - 1),
            "size": np.array(size),
        },
    )


def _write_decoder(path: Path, size: int, marked: bool) -> None:
    """logits = the encoder's row at the position of the text, after a language token if any."""
    caches = [f"0.{side}.{part}" for side in ("decoder", "encoder") for part in ("key", "value")]
    batch, sources = TEXT_AXES[0], (TEXT_AXES[0], "encoder_sequence_length")

    def cached(name: str, length: str) -> list[Any]:
        return [
            floats(f"{name}.{cache}", (batch, 1, f"{length}_{cache[2:5]}", 1)) for cache in caches
        ]

    save_graph(
        path,
        [
            node("Shape", ["past_key_values.0.decoder.key"], ["past"]),
            node("Gather", ["past", "two"], ["done"]),
            node("Add", ["done", "skipped"], ["place"]),
            node("Shape", ["encoder_hidden_states"], ["states"]),
            node("Gather", ["states", "one"], ["length"]),
            node("Sub", ["length", "one"], ["last"]),
            node("Min", ["place", "last"], ["reached"]),
            node("Gather", ["encoder_hidden_states", "reached"], ["logits"], axis=1),
            node("Cast", ["input_ids"], ["numbers"], to=1),
            node("Unsqueeze", ["numbers", "axes"], ["fresh"]),
            node("Cast", ["encoder_attention_mask"], ["mask"], to=1),
            node("Unsqueeze", ["mask", "axes"], ["sources"]),
            *(
                node("Concat", [f"past_key_values.{cache}", "fresh"], [f"present.{cache}"], axis=2)
                if "decoder" in cache
                else node("Identity", ["sources"], [f"present.{cache}"])
                for cache in caches
            ),
        ],
        [
            integers("encoder_attention_mask", sources),
            integers("input_ids"),
            floats("encoder_hidden_states", (*sources, size)),
            *cached("past_key_values", "past"),
            flags("use_cache_branch", (1,)),
        ],
        [floats("logits", (*TEXT_AXES, size)), *cached("present", "total")],
        {"one": [1], "two": [2], "skipped": [int(marked)], "axes": [1, 3]},
    )
