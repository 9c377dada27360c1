"""Whether a model answers labelled rows much better with another setting of its configuration.

The number of heads and the activation leave no trace in the shapes of the weights. A checkpoint
without a record can only be tested: if the usual value of a setting makes many more rows right, the
value in ``config.json`` is wrong.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nlplug.export.paired import paired_loss
from nlplug.export.preflight.findings import CheckpointFinding
from nlplug.export.preflight.suspects import SETTINGS
from nlplug.extras import require

_HEAD_SIZES = (32, 64)
_GAIN = 0.03


def check_alternatives(model: Any, score: Callable[[Any], np.ndarray]) -> list[CheckpointFinding]:
    """Try the usual values of settings that shapes do not show.

    Args:
        model: The PyTorch model.
        score: What each of some labelled rows contributes to the metric, for a model.
    """
    own = score(model)
    best: tuple[float, str, Any] | None = None
    for name, value in _candidates(model.config):
        loss = paired_loss(score(_with(model, name, value)), own)
        if loss.low > 0 and loss.mean >= _GAIN and (best is None or loss.mean > best[0]):
            best = loss.mean, name, value
    if best is None:
        return []
    gain, name, value = best
    return [
        CheckpointFinding(
            "answers",
            f"{name} is {getattr(model.config, name)!r} in config.json, and with {value!r} the "
            f"PyTorch model gains {gain * 100:.1f} points on {len(own)} of the rows.",
            f"Set {name} to the value that the model was trained with.",
        )
    ]


def _candidates(config: Any) -> Iterator[tuple[str, Any]]:
    hidden, heads = (getattr(config, name, None) for name in ("hidden_size", "num_attention_heads"))
    # Where heads are pruned by their number, another number of heads would not fit the weights.
    pruned = getattr(config, "pruned_heads", None)
    if isinstance(hidden, int) and isinstance(heads, int) and not pruned:
        for size in _HEAD_SIZES:
            if hidden % size == 0 and hidden // size != heads:
                yield "num_attention_heads", hidden // size
    usual = require("transformers", "train", purpose="Export").CONFIG_MAPPING[config.model_type]()
    for name in SETTINGS:
        value, common = getattr(config, name, None), getattr(usual, name, None)
        if value is not None and common is not None and value != common:
            yield name, common


def _with(model: Any, name: str, value: Any) -> Any:
    """The same weights with another setting."""
    config = copy.deepcopy(model.config)
    setattr(config, name, value)
    other = type(model)(config)
    other.load_state_dict(model.state_dict())
    return other.eval()
