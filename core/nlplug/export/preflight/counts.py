"""Numbers of layers, units and labels in a configuration for which a checkpoint has no weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nlplug.export.preflight.findings import CheckpointFinding

_LABELS = "num_labels"
_WIDTHS = (_LABELS, "hidden_size", "d_model", "n_embd", "dim", "embedding_size")
"""Names under which architectures have a dimension of some tensor."""
_PARTS = frozenset(
    {
        *("num_hidden_layers", "num_layers", "n_layer", "n_layers", "num_decoder_layers"),
        *("encoder_layers", "decoder_layers", "num_hidden_groups", "inner_group_num"),
        *("num_experts", "num_local_experts", "n_routed_experts"),
    }
)
"""Names under which architectures have the number of parts that are built one by one."""


def check_counts(
    config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
) -> list[CheckpointFinding]:
    """Counts that no such weights can have; to build a model of them has no end.

    Args:
        config: The values of ``config.json``.
        shapes: The shapes of all tensors; nothing is found without tensors.
    """
    if not shapes:
        return []
    widest = max((size for shape in shapes.values() for size in shape), default=1)
    limits = {**dict.fromkeys(_PARTS, len(shapes)), **dict.fromkeys(_WIDTHS, widest)}
    return [
        CheckpointFinding(
            "sizes",
            f"{name} is {value} in config.json, but the weights are {len(shapes)} tensors with "
            f"dimensions up to {widest}.",
            f"Set {name} to the number that the model was trained with.",
        )
        for name, value in _numbers(config)
        if value > limits.get(name, value)
    ]


def _numbers(values: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """All whole numbers, also those of a model within a model."""
    left = [values]
    while left:
        for name, value in left.pop().items():
            if isinstance(value, Mapping):
                left.append(value)
            elif type(value) is int and not (name == _LABELS and values.get("id2label")):
                yield name, value
