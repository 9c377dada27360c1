"""Lengths of texts in the tokens of a base, and an estimate of the time of a training."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nlplug.data.check import Lengths
from nlplug.models.files import card_facts, stated_languages
from nlplug.models.layout import CARD_FILE

_MEASURED = 2000
"""Texts whose tokens are counted."""
_CHARACTERS = 4
"""Characters per token of an alphabetic script, for a base without a tokenizer at hand."""
_SIZES = (64, 512)
"""Rows of the matrices. OpenBLAS computes the small ones on one thread; other programs can make a
product on all threads ten times as slow, because each thread waits for the slowest one."""
_SECONDS = 0.1
_EFFICIENCY = 0.35
"""Share of the speed of a matrix product that a training step reaches."""


def measure(texts: Sequence[str], base: str, window: int) -> Lengths | None:
    """The lengths of some texts, evenly spread; None without texts.

    They are in tokens if the tokenizer of the base is a file of this computer, else in characters.

    Args:
        texts: The texts.
        base: A checkpoint: a folder or a Hub id.
        window: Window in tokens.
    """
    chosen = texts[:: max(1, len(texts) // _MEASURED)]
    if not chosen:
        return None
    file = base_file(base, "tokenizer.json")
    if file is None:
        sizes, unit = np.array([len(text) for text in chosen]), "characters"
        window *= _CHARACTERS
    else:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(file))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        sizes = np.array([len(item.ids) for item in tokenizer.encode_batch(list(chosen))])
        unit = "tokens"
    longer = float((sizes > window).mean())
    return Lengths(unit, int(sizes.max()), float(sizes.mean()), window, longer)


def estimate(rows: int, epochs: float, lengths: Lengths | None, base: str) -> str:
    """How long the training of a base is likely to take on this CPU, as a sentence.

    A training step needs about 6 operations per weight and token (Kaplan et al. 2020, section 2.1).
    The speed of the CPU is measured with matrix products for 0.2 seconds. Empty if the shape of
    the base or the number of tokens is not known.

    Args:
        rows: Number of training rows.
        epochs: Passes over them.
        lengths: Lengths of the texts.
        base: A checkpoint: a folder or a Hub id.
    """
    weights = _weights(base)
    if lengths is None or lengths.unit != "tokens" or not weights:
        return ""
    tokens = rows * epochs * min(lengths.mean, lengths.window)
    seconds = 6 * weights * tokens / (_speed() * _EFFICIENCY)
    return (
        f"Training is likely to take {_about(seconds)} on this CPU, plus evaluations (estimated "
        f"from {tokens:,.0f} tokens, {_count(weights)} weights and the measured speed of a matrix "
        "product)."
    )


def _count(weights: float) -> str:
    """A number of weights, in millions where there are as many."""
    return f"{weights / 1e6:,.1f} million" if weights >= 1e6 else f"{weights:,.0f}"


def base_file(base: str, name: str) -> Path | None:
    """A file of a checkpoint in a folder or in the cache of the Hub; None if it is not there."""
    if not base:
        return None
    path = Path(base) / name
    if path.is_file():
        return path
    if os.path.isdir(base) or base.count("/") > 1:
        return None
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(base, name)
    except HFValidationError:
        return None
    return Path(found) if isinstance(found, str) else None


def languages_of(base: str) -> list[str]:
    """The languages that the card of a checkpoint names; none if it has no card, or names none."""
    return stated_languages(_card(base))


def license_of(base: str) -> str:
    """The licence that the card of a checkpoint names; empty if it has no card, or names none."""
    found = _card(base).get("license")
    return found if isinstance(found, str) else ""


def _card(base: str) -> dict[str, Any]:
    file = base_file(base, CARD_FILE)
    return {} if file is None else card_facts(file)


def _weights(base: str) -> int:
    """Weights of the layers of a transformer by its config, without embeddings; 0: not known."""
    file = base_file(base, "config.json")
    if file is None:
        return 0
    try:
        config: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0

    def value(*names: str) -> int:
        return next((v for n in names if isinstance(v := config.get(n), int)), 0)

    hidden = value("hidden_size", "d_model", "n_embd", "dim")
    layers = value("num_hidden_layers", "n_layer", "n_layers", "num_layers")
    layers += value("decoder_layers") if config.get("is_encoder_decoder") else 0
    inner = value("intermediate_size", "encoder_ffn_dim", "d_ff", "hidden_dim", "n_inner")
    return layers * (4 * hidden * hidden + 2 * hidden * (inner or 4 * hidden))


def _speed() -> float:
    """Operations per second of a float32 matrix product, of the size that is faster."""
    return max(map(_speed_of, _SIZES))


def _speed_of(size: int) -> float:
    matrix = np.ones((size, size), dtype=np.float32)
    begin = time.perf_counter()
    fastest = _SECONDS
    while (start := time.perf_counter()) - begin < _SECONDS:
        matrix @ matrix
        fastest = min(fastest, time.perf_counter() - start)
    return 2 * size**3 / fastest


def _about(seconds: float) -> str:
    if seconds < 60:
        return "less than a minute"
    minutes = seconds / 60
    return f"about {minutes:.0f} min" if minutes < 90 else f"about {minutes / 60:.1f} h"
