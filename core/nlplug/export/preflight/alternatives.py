"""Whether a model answers labelled rows much better with another setting of its configuration.

The number of heads and the activation leave no trace in the shapes of the weights. A checkpoint
without a record can only be tested: if the usual value of a setting makes many more rows right, the
value in ``config.json`` is wrong.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np

from nlplug.export.paired import paired_loss
from nlplug.export.preflight.findings import CheckpointFinding
from nlplug.export.preflight.suspects import SETTINGS
from nlplug.extras import require

Alternative = tuple[Callable[[], AbstractContextManager[Any]], str, str]
"""Makes the other model, what is other about it, and what to do if it is better."""

_HEAD_SIZES = (32, 64)
_GAIN = 0.03
_ALONE = 64
"""Most square weights that are tried one at a time."""
_NUMBER = re.compile(r"\.\d+\.")


def check_alternatives(
    model: Any, score: Callable[[Any], np.ndarray], *, wrong: bool = False, unit: str = ""
) -> list[CheckpointFinding]:
    """Try the usual values of settings that shapes do not show.

    Args:
        model: The PyTorch model.
        score: What each of some labelled rows contributes to the metric, for a model.
        wrong: Whether its answers are known to be wrong; then, and where another setting is
            better, square weights are tried the other way round too.
        unit: Name of a metric whose unit is not that of a share.
    """
    own = score(model)
    better = [*_better(_settings(model), score, own)]
    if better or wrong:  # another setting may help a little where a weight is the cause
        better += _better(_transposed(model), score, own)
    if not better:
        return []
    gain, what, remedy = max(better, key=itemgetter(0))
    amount = f"{gain:.3g} {unit.replace('_', ' ')}" if unit else f"{gain * 100:.1f} points"
    text = f"{what} the PyTorch model gains {amount} on {len(own)} of the rows."
    return [CheckpointFinding("answers", text, remedy)]


def _better(
    others: Iterable[Alternative], score: Callable[[Any], np.ndarray], own: np.ndarray
) -> Iterator[tuple[float, str, str]]:
    """The gain, the difference and the remedy of each alternative that is clearly better."""
    for other, what, remedy in others:
        with other() as changed:
            loss = paired_loss(score(changed), own) if changed is not None else None
        if loss is not None and loss.low > 0 and loss.mean >= _GAIN:
            yield loss.mean, what, remedy


def _settings(model: Any) -> Iterator[Alternative]:
    for name, value in _candidates(model.config):
        yield (
            partial(_with, model, name, value),
            f"{name} is {getattr(model.config, name)!r} in config.json, and with {value!r}",
            f"Set {name} to the value that the model was trained with.",
        )


def _transposed(model: Any) -> Iterator[Alternative]:
    """Square weights of linear layers: all, those of one kind in all layers, and each alone."""
    linear = require("torch", "train", purpose="Export").nn.Linear
    square = {
        f"{name}.weight": module.weight
        for name, module in model.named_modules()
        if isinstance(module, linear) and module.in_features == module.out_features
    }
    kinds: dict[str, list[str]] = {}
    for name in square:
        kinds.setdefault(_NUMBER.sub(".*.", name), []).append(name)
    groups = {name: [name] for name in square} if len(square) <= _ALONE else {}
    groups |= kinds
    if len(kinds) > 1:
        groups[", ".join(kinds)] = list(square)
    for name, members in groups.items():
        yield (
            partial(_turned, model, [square[one] for one in members]),
            f"{name} seems to be transposed: the other way round",
            "Transpose it, or save the checkpoint again.",
        )


@contextmanager
def _turned(model: Any, weights: Sequence[Any]) -> Iterator[Any]:
    """The model with some weights transposed."""
    _turn(weights)
    try:
        yield model
    finally:
        _turn(weights)


def _turn(weights: Sequence[Any]) -> None:
    for weight in weights:
        weight.data = weight.data.T.contiguous()


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


@contextmanager
def _with(model: Any, name: str, value: Any) -> Iterator[Any]:
    """The same weights with another setting; None if they do not fit it."""
    config = copy.deepcopy(model.config)
    setattr(config, name, value)
    other = type(model)(config)
    try:
        other.load_state_dict(model.state_dict())
    except RuntimeError:  # such as another number of heads where groups of them share keys
        other = None
    yield None if other is None else other.eval()
