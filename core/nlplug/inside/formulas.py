"""Attention weights from the inputs of fused nodes, which do not return them.

The operators: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nlplug.errors import BundleError
from nlplug.models.graph import Node

Values = Mapping[str, np.ndarray]
_FILTER = -10000.0
"""The default of ``mask_filter_value``."""


def attention(node: Node, values: Values) -> np.ndarray:
    """The weights of ``Attention``, float32 of shape (rows, heads, queries, keys)."""
    states, weights = (_floats(values[node.input(number)]) for number in (0, 1))
    bias, mask, past, added = (values.get(node.input(number)) for number in (2, 3, 4, 5))
    return _joint(node, states, weights, bias, mask, past, added)


def quantized_attention(node: Node, values: Values) -> np.ndarray:
    """The weights of ``QAttention``, float32 of shape (rows, heads, queries, keys)."""
    states, weights, scale, weight_scale = (values[node.input(number)] for number in (0, 1, 3, 4))
    bias, mask, zero, weight_zero, past = (
        values.get(node.input(number)) for number in (2, 5, 6, 7, 8)
    )
    states = _dequantized(states, scale, zero)
    weights = _dequantized(weights, weight_scale, weight_zero)
    return _joint(node, states, weights, bias, mask, past, None)


def multi_head_attention(node: Node, values: Values) -> np.ndarray:
    """The weights of ``MultiHeadAttention``, float32 of shape (rows, heads, queries, keys)."""
    query, key = _floats(values[node.input(0)]), values.get(node.input(1))
    bias, mask, added, past = (values.get(node.input(number)) for number in (3, 4, 5, 6))
    if key is None or key.ndim == 5 or (bias is not None and key.ndim == 4):
        raise _unknown(node)  # packed forms, which run on a GPU only
    if bias is not None:
        width = query.shape[-1]
        query = query + _floats(bias)[:width]
        key = key + _floats(bias)[width : 2 * width]
    heads = int(node.number("num_heads", 0))
    return _weights(node, _by_head(query, heads), _by_head(_floats(key), heads), mask, past, added)


def _joint(
    node: Node,
    states: np.ndarray,
    weights: np.ndarray,
    bias: np.ndarray | None,
    mask: np.ndarray | None,
    past: np.ndarray | None,
    added: np.ndarray | None,
) -> np.ndarray:
    """Of a node whose queries and keys are the products of the same states."""
    if node.number("do_rotary", 0):
        raise _unknown(node)
    heads, sizes = int(node.number("num_heads", 0)), node.numbers("qkv_hidden_sizes")
    width = sizes[0] if sizes else weights.shape[1] // 3
    both = states @ weights[:, : 2 * width]
    if bias is not None:
        both = both + _floats(bias)[: 2 * width]
    query, key = both[..., :width], both[..., width:]
    keys = None if past is None else past[0]
    return _weights(node, _by_head(query, heads), _by_head(key, heads), mask, keys, added)


def _weights(
    node: Node,
    query: np.ndarray,
    key: np.ndarray,
    mask: np.ndarray | None,
    past: np.ndarray | None,
    added: np.ndarray | None,
) -> np.ndarray:
    """Softmax of the scaled products.

    Args:
        node: The node.
        query: (rows, heads, queries, head size).
        key: (rows, heads, keys, head size).
        mask: In any of the forms of the operators.
        past: Keys of former tokens, (rows, heads, tokens, head size).
        added: What is added to the scores.
    """
    if past is not None:
        key = np.concatenate((_floats(past), key), axis=2)
    scale = node.number("scale", 0.0) or query.shape[-1] ** -0.5
    scores = scale * query @ key.swapaxes(2, 3)
    rows, _, queries, keys = scores.shape
    if mask is not None:
        seen = _visible(node, mask, rows, queries, keys)
        scores = scores + np.where(seen, 0, np.float32(node.number("mask_filter_value", _FILTER)))
    if added is not None:
        scores = scores + _floats(added)
    if node.number("unidirectional", 0):
        later = np.arange(keys) > np.arange(queries)[:, None] + keys - queries
        scores = np.where(later, np.finfo(np.float32).min, scores)
    exponents = np.exp(scores - scores.max(axis=-1, keepdims=True))
    found: np.ndarray = exponents / exponents.sum(axis=-1, keepdims=True)
    return found


def _visible(node: Node, mask: np.ndarray, rows: int, queries: int, keys: int) -> np.ndarray:
    """Which keys are visible, of a shape that broadcasts to (rows, heads, queries, keys)."""
    places = np.arange(keys)
    if mask.ndim == 1:
        begins = mask[rows:] if len(mask) == 2 * rows else np.zeros(rows)
        inside = (places >= begins[:, None]) & (places < mask[:rows, None])
        return inside[:, None, None]
    if mask.shape == (rows, keys):
        return (mask > 0)[:, None, None]
    if mask.shape == (rows, queries, keys):
        return (mask > 0)[:, None]
    raise _unknown(node)


def _by_head(values: np.ndarray, heads: int) -> np.ndarray:
    """(rows, heads, tokens, size) of such values, or of (rows, tokens, heads x size)."""
    if values.ndim == 4:
        return values
    return values.reshape(*values.shape[:2], heads, -1).swapaxes(1, 2)


def _floats(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32, copy=False)


def _dequantized(values: np.ndarray, scale: np.ndarray, zero: np.ndarray | None) -> np.ndarray:
    centered = values.astype(np.int32) - (0 if zero is None else zero.astype(np.int32))
    return _floats(centered * scale)


def _unknown(node: Node) -> BundleError:
    return BundleError(
        f"The attention weights of this graph are not known: its node {node.op} has inputs of an "
        "unknown form.",
        hint="Use another precision, or export the model again with `nlplug export`.",
    )
