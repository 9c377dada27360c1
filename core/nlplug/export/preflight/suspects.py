"""What is unusual about a model that answers badly: settings and outlier weights.

Both are normal in some good models, so they are not errors by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nlplug.extras import require

HEAD_SIZES = (32, 64, 96, 128)
SETTINGS = (
    "hidden_act",
    "activation",
    "activation_function",
    "layer_norm_eps",
    "layer_norm_epsilon",
    "rms_norm_eps",
    "rope_theta",
)
_OUTLIER = 30.0
_SHOWN = 3


def suspects(model: Any) -> str:
    """Unusual settings and weights in words, with a leading space; empty if there are none."""
    settings, weights = list(_settings(model.config)), _outliers(model)
    text = f" Unusual in config.json: {', '.join(settings)}." if settings else ""
    return text + (f" Unusual weights: {'; '.join(weights)}." if weights else "")


def _settings(config: Any) -> Iterator[str]:
    usual = require("transformers", "train", purpose="Export").CONFIG_MAPPING[config.model_type]()
    for name in SETTINGS:
        value, common = getattr(config, name, None), getattr(usual, name, None)
        if value is not None and value != common:
            yield f"{name} {value} (usual: {common})"
    hidden, heads = (getattr(config, name, 0) for name in ("hidden_size", "num_attention_heads"))
    if isinstance(heads, int) and heads and hidden // heads not in HEAD_SIZES:
        yield f"num_attention_heads {heads}, which are heads of {hidden // heads} numbers"


def _outliers(model: Any) -> list[str]:
    """The channels and rows that are largest against the median of their tensor."""
    found = []
    for name, value in model.named_parameters():
        if value.ndim > 2 or value.numel() < 8 or name.endswith("bias"):
            continue
        size = value.detach().abs()
        for axis in range(value.ndim):
            sizes = size if value.ndim == 1 else size.amax(dim=1 - axis)
            ratio = float(sizes.max() / sizes.median().clamp(min=1e-12))
            if ratio > _OUTLIER:
                kind = "channel" if value.ndim == 1 else ("row", "column")[axis]
                place = int(sizes.argmax())
                found.append((ratio, f"{name}, {kind} {place}, is {ratio:.3g} times the median"))
    return [text for _, text in sorted(found, reverse=True)[:_SHOWN]]
