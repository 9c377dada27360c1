"""Reducing outliers of activations before quantization, without changing the graph's results.

A dynamic quantizer uses one scale per batch, set by the largest activation. In transformers a few
channels always have outliers; on a sentiment model they cause nearly all of the int8 error, the
rounding of the weights a fifth of it. So these channels are scaled down where the activations are
computed and up again in the weights that read them, and a channel's constant part moves into the
bias (SmoothQuant, Xiao et al. 2023; Outlier Suppression+, Wei et al. 2023). The residual path keeps
its values: the layer norm is written twice, once for it and once for the product.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper

from nlplug.export.graph import GraphEditor, attributes
from nlplug.runtime.cpu import usable_cpus
from nlplug.runtime.session import build_session, session_options

Feeds = Mapping[str, np.ndarray]

_TOKENS = 512
_BATCH = 256  # tokens per batch of the runtime, which share one scale
_STRENGTHS = (0.5, 0.65, 0.8)
_UNCHANGED = (0.5, 0.8, 0.95, 0.99)  # shares of the channels that are not scaled
_LARGEST_REST = 0.5  # an extra operator must reduce the squared error below this share
_EVERYWHERE_REST = 0.9


@dataclass(frozen=True)
class _Consumer:
    """A product that reads an activation: the names of its output, weight and bias."""

    node: str
    weight: str
    bias: str


@dataclass(frozen=True)
class _Change:
    """The change of an activation: minus ``shift``, divided by ``scale``."""

    shift: np.ndarray
    scale: np.ndarray


def smooth(editor: GraphEditor, calibration: Sequence[Feeds], *, everywhere: bool = False) -> int:
    """Rewrite a float graph so that the activations that products read have fewer outliers.

    Args:
        editor: The graph, before quantization.
        calibration: Batches of real inputs without padding; some dozens of texts are enough,
            because the channels with outliers are the same for all texts.
        everywhere: Whether to change the inputs of all products, also where it gains little; each
            may need a further operator.

    Returns:
        The number of changed activations.
    """
    readers = _consumers(editor, everywhere=everywhere)
    samples = record_activations(editor.model, list(readers), calibration)
    changes = {}
    for name, group in readers.items():
        weights = [editor.weight(reader.weight) for reader in group]
        stacked = np.concatenate([weight for weight in weights if weight is not None], axis=1)
        dense = _follows_norm(editor, name)
        shift = dense and all(reader.bias for reader in group)
        rest = _EVERYWHERE_REST if everywhere else _LARGEST_REST
        change = _best(samples[name], stacked, dense=dense, shift=shift, rest=rest)
        if change is not None:
            changes[name] = change
    _apply(editor, readers, changes)
    return len(changes)


def _consumers(editor: GraphEditor, *, everywhere: bool) -> dict[str, list[_Consumer]]:
    """The activations that may be changed, and the products that read them.

    These are the inputs of attention and of the first product of a feed-forward block, if they come
    from a layer norm, and the input of the second product.
    """
    found: dict[str, list[_Consumer]] = {}
    last = editor.last_products()  # these stay in float
    for node in editor.nodes:
        if node.op_type not in ("Attention", "MatMul") or any(node.input[4:]):
            continue
        if node.output[0] in last:
            continue
        weight = editor.weight(node.input[1])
        if weight is None or weight.ndim != 2 or editor.uses(node.input[1]) != 1:
            continue
        narrows = node.op_type == "MatMul" and weight.shape[0] > weight.shape[1]
        if everywhere or _follows_norm(editor, node.input[0]) or narrows:
            reader = _Consumer(node.output[0], node.input[1], _bias_of(editor, node))
            found.setdefault(node.input[0], []).append(reader)
    return found


def _bias_of(editor: GraphEditor, node: Any) -> str:
    """The constant that is added to a product directly, if nothing else uses it."""
    name = ""
    if node.op_type == "Attention":
        name = node.input[2]
    elif editor.uses(node.output[0]) == 1:
        (reader,) = (other for other in editor.nodes if node.output[0] in other.input)
        if reader.op_type in ("Add", "BiasGelu", "FastGelu") and len(reader.input) == 2:
            name = next(value for value in reader.input if value != node.output[0])
    bias = editor.weight(name) if name else None
    return name if bias is not None and bias.ndim == 1 and editor.uses(name) == 1 else ""


def _follows_norm(editor: GraphEditor, name: str) -> bool:
    node = editor.producer(name)
    return (
        node is not None
        and node.op_type == "LayerNormalization"
        and len(node.input) == 3
        and all(editor.weight(value) is not None for value in node.input[1:])
    )


def record_activations(
    model: Any, names: Sequence[str], calibration: Sequence[Feeds]
) -> dict[str, np.ndarray]:
    """The named activations of a float graph, shape (tokens, channels) each.

    Args:
        model: The ``onnx.ModelProto``; not changed.
        names: Names of activations whose last axis is the channel.
        calibration: Batches of real inputs without padding.
    """
    if not names:
        return {}
    probe = onnx.ModelProto.FromString(model.SerializeToString())
    del probe.graph.output[:]
    probe.graph.output.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    )
    session = build_session(probe.SerializeToString(), session_options(usable_cpus()))
    known = {item.name for item in session.get_inputs()}
    share = max(8, -(-_TOKENS // max(1, len(calibration))))
    kept: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for feeds in calibration:
        values = session.run(None, {key: value for key, value in feeds.items() if key in known})
        for name, value in zip(names, values, strict=True):
            tokens = value.reshape(-1, value.shape[-1])
            # Evenly spaced, with the special tokens at both ends, which have outliers.
            places = np.linspace(0, len(tokens) - 1, min(share, len(tokens))).astype(np.int64)
            kept[name].append(tokens[places])
    return {name: np.concatenate(parts).astype(np.float32) for name, parts in kept.items()}


def _best(
    values: np.ndarray, weight: np.ndarray, *, dense: bool, shift: bool, rest: float
) -> _Change | None:
    """The change with the least error of the quantized product; None if none is good enough.

    Args:
        values: The recorded activations, shape (tokens, channels).
        weight: Shape (channels, outputs).
        dense: Whether every channel is active for every token, as after a layer norm. After an
            activation function a channel can be inactive in all calibration texts, so small
            recorded values do not show that a channel has no outliers, and none is scaled up.
        shift: Whether a constant part can move into the bias.
        rest: Largest share of the squared error that a change may leave.
    """
    exact = values @ weight
    centre = np.zeros(values.shape[1], dtype=np.float32)
    if shift:
        centre = (values.max(axis=0) + values.min(axis=0)) / 2
    reach = np.maximum(np.abs(values - centre).max(axis=0), 1e-5)
    if dense:
        size = np.maximum(np.abs(weight).max(axis=1), 1e-5)
        trials = [reach**strength / size ** (1 - strength) for strength in _STRENGTHS]
        trials = [scale / np.exp(np.mean(np.log(scale))) for scale in trials]
    else:
        trials = [np.maximum(reach / np.quantile(reach, share), 1) for share in _UNCHANGED]
    moved = exact - centre @ weight
    best, least = None, _error(values, weight, exact) * rest
    for scale in trials:
        error = _error((values - centre) / scale, weight * scale[:, None], moved)
        if error < least:
            best, least = _Change(centre, scale.astype(np.float32)), error
    return best


def _error(values: np.ndarray, weight: np.ndarray, exact: np.ndarray) -> float:
    """Squared error of the product when both sides are rounded to eight bits."""
    step = np.maximum(np.abs(weight).max(axis=0), 1e-12) / 127
    rounded_weight = np.rint(weight / step) * step
    total = 0.0
    for start in range(0, len(values), _BATCH):
        part = values[start : start + _BATCH]
        low, high = min(0.0, float(part.min())), max(0.0, float(part.max()))
        width = max(high - low, 1e-12) / 255
        zero = np.rint(-low / width)
        rounded = (np.clip(np.rint(part / width) + zero, 0, 255) - zero) * width
        total += float(np.square(rounded @ rounded_weight - exact[start : start + _BATCH]).sum())
    return total


def _apply(
    editor: GraphEditor,
    readers: Mapping[str, list[_Consumer]],
    changes: Mapping[str, _Change],
) -> None:
    """Write the changed activations, weights and biases into the graph."""
    weights = {
        reader.weight: (reader, changes[name])
        for name, group in readers.items()
        if name in changes
        for reader in group
    }
    biases = {reader.bias: entry for entry in weights.values() if (reader := entry[0]).bias}

    def change(node: Any) -> list[Any] | None:
        nodes = [_redirect(node, weights, biases, editor)]
        for name in node.output:
            if name in changes:
                nodes.append(_smoothed(node, name, changes[name], editor))
        return nodes

    editor.rewrite(change)


def _redirect(
    node: Any,
    weights: Mapping[str, tuple[_Consumer, _Change]],
    biases: Mapping[str, tuple[_Consumer, _Change]],
    editor: GraphEditor,
) -> Any:
    """Make a consumer read the changed activation, with the matching weights and bias."""
    for index, name in enumerate(node.input):
        if name in weights and index == 1 and node.op_type in ("Attention", "MatMul"):
            _, change = weights[name]
            weight = editor.weight(name)
            if weight is not None:
                node.input[0] = f"{node.input[0]}_smooth"
                node.input[1] = editor.add_weight(f"{name}_smooth", weight * change.scale[:, None])
        elif name in biases:
            reader, change = biases[name]
            weight, bias = editor.weight(reader.weight), editor.weight(name)
            if weight is not None and bias is not None:
                moved = (bias + change.shift @ weight).astype(np.float32)
                node.input[index] = editor.add_weight(f"{name}_smooth", moved)
    return node


def _smoothed(node: Any, name: str, change: _Change, editor: GraphEditor) -> Any:
    """The node that computes the changed activation."""
    out = f"{name}_smooth"
    if node.op_type != "LayerNormalization":
        factor = editor.add_weight(f"{name}_factor", 1 / change.scale)
        return helper.make_node("Mul", [name, factor], [out])
    gamma, beta = editor.weight(node.input[1]), editor.weight(node.input[2])
    if gamma is None or beta is None:
        raise ValueError(f"{node.name} has computed weights")
    inputs = [
        node.input[0],
        editor.add_weight(f"{name}_gamma", gamma / change.scale),
        editor.add_weight(f"{name}_beta", (beta - change.shift) / change.scale),
    ]
    return helper.make_node("LayerNormalization", inputs, [out], **attributes(node))
