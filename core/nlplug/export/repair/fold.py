"""Moving scales out of outlier channels of a float graph, without changing its results.

A channel of an activation may be divided by a number where it is computed and the rows of the
weights that read it multiplied by the same number. No operator is added. This is exact where only
linear operators are between the two: between the values of attention and its output product,
between a layer norm and the products that alone read it, between two products with ReLU between
them, and between the ungated half of a gated feed-forward part and its last product. The scales
balance the largest activation and the largest weight of each channel (Nagel et al. 2019, "Data-Free
Quantization Through Weight Equalization and Bias Correction"; Xiao et al. 2023, "SmoothQuant").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nlplug.export.graph import GraphEditor, attributes
from nlplug.export.smooth import Feeds, record_activations

_LAYOUT = frozenset({"Gather", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"})
_PRODUCTS = frozenset({"MatMul", "Gemm", "Attention"})


@dataclass(frozen=True)
class _Columns:
    """Columns of a weight, or a vector, that compute the channels of an activation."""

    name: str
    first: int
    count: int
    transposed: bool = False


@dataclass(frozen=True)
class _Pair:
    """An activation, the constants that are divided by its scale, and those multiplied by it.

    Attributes:
        value: Name of the activation that the products read.
        makers: Constants whose columns are divided.
        readers: Weights whose rows are multiplied, and whether they are stored transposed.
    """

    value: str
    makers: tuple[_Columns, ...]
    readers: tuple[tuple[str, bool], ...]


def fold(editor: GraphEditor, calibration: Sequence[Feeds]) -> int:
    """Balance all channels that can be balanced, in place.

    Args:
        editor: The float graph.
        calibration: Batches of real inputs without padding.

    Returns:
        The number of changed activations.
    """
    pairs = list(_pairs(editor))
    samples = record_activations(editor.model, [pair.value for pair in pairs], calibration)
    for pair in pairs:
        reach = np.abs(samples[pair.value]).max(axis=0)
        size = np.max(
            [np.abs(_rows(editor, name, turned)).max(axis=1) for name, turned in pair.readers],
            axis=0,
        )
        floor = np.finfo(np.float32).tiny * 1e6
        active = (reach > floor) & (size > floor)
        if not active.any():
            continue
        scale = np.ones(len(reach), np.float64)
        scale[active] = np.sqrt(reach[active].astype(np.float64) / size[active])
        scale[active] /= np.exp(np.mean(np.log(scale[active])))
        _apply(editor, pair, scale)
    return len(pairs)


def _apply(editor: GraphEditor, pair: _Pair, scale: np.ndarray) -> None:
    for maker in pair.makers:
        weight = editor.weight(maker.name)
        if weight is None:
            raise ValueError(f"{maker.name} is computed")
        changed = weight.astype(np.float64)
        part = slice(maker.first, maker.first + maker.count)
        if maker.transposed:
            changed[part] /= scale[:, None]
        else:
            changed[..., part] /= scale
        editor.set_weight(maker.name, changed.astype(np.float32))
    for name, turned in pair.readers:
        changed = _rows(editor, name, turned).astype(np.float64) * scale[:, None]
        editor.set_weight(name, (changed.T if turned else changed).astype(np.float32))


def _rows(editor: GraphEditor, name: str, transposed: bool) -> np.ndarray:
    weight = editor.weight(name)
    if weight is None:
        raise ValueError(f"{name} is computed")
    return weight.T if transposed else weight


def _pairs(editor: GraphEditor) -> Iterator[_Pair]:
    taken: set[str] = set()
    for node in editor.nodes:
        if node.op_type == "LayerNormalization" and len(node.input) == 3:
            pair = _of_norm(editor, node)
        elif node.op_type in ("MatMul", "Gemm"):
            pair = _of_product(editor, node)
        else:
            continue
        if pair is None:
            continue
        names = {maker.name for maker in pair.makers} | {name for name, _ in pair.readers}
        # A constant may be divided for one activation and multiplied for another, but is then
        # changed twice in different axes, which is exact too; shared constants are not.
        if all(editor.uses(name) == 1 for name in names) and pair.value not in taken:
            taken.add(pair.value)
            yield pair


def _of_norm(editor: GraphEditor, node: Any) -> _Pair | None:
    """A layer norm that only products read, directly or after selecting tokens."""
    gamma = editor.weight(node.input[1])
    if gamma is None or editor.weight(node.input[2]) is None:
        return None
    readers, value = [], node.output[0]
    ends = list(_ends(editor, value))
    for reader, name in ends:
        found = _weight_of(editor, reader)
        if found is None or reader.input[0] != name:
            return None
        if _rows(editor, *found).shape[0] != len(gamma):
            return None
        readers.append(found)
    makers = tuple(_Columns(name, 0, len(gamma)) for name in node.input[1:])
    return _Pair(value, makers, tuple(readers)) if readers else None


def _ends(editor: GraphEditor, value: str) -> Iterator[tuple[Any, str]]:
    """The nodes that read a value, after operators that only select tokens, and what they read."""
    if value in editor.outputs:
        yield None, value
    for node in editor.readers(value):
        selects = node.op_type == "Gather" and attributes(node).get("axis", 0) == 1
        if selects or node.op_type in ("Squeeze", "Identity"):
            yield from _ends(editor, node.output[0])
        else:
            yield node, value


def _of_product(editor: GraphEditor, node: Any) -> _Pair | None:
    """A product whose input is linear in the output of an earlier product, channel by channel."""
    found = _weight_of(editor, node)
    if found is None or editor.uses(node.input[0]) != 1:
        return None
    channels = _rows(editor, *found).shape[0]
    source = editor.producer(node.input[0])
    if source is None:
        return None
    makers: tuple[_Columns, ...] | None = None
    if source.op_type == "Attention":
        makers = _values_of(editor, source, channels)
    elif source.op_type == "Relu":
        makers = _linear(editor, source.input[0], channels)
    elif source.op_type == "Mul":
        makers = next(
            (made for name in source.input if (made := _linear(editor, name, channels))), None
        )
    elif source.op_type in _LAYOUT:
        makers = _plain_values(editor, node.input[0], channels)
    return None if makers is None else _Pair(node.input[0], makers, (found,))


def _values_of(editor: GraphEditor, node: Any, channels: int) -> tuple[_Columns, ...] | None:
    """The columns of the values in the weight of fused attention."""
    weight, bias = editor.weight(node.input[1]), editor.weight(node.input[2])
    if weight is None or bias is None or "qkv_hidden_sizes" in attributes(node):
        return None
    if weight.shape[1] != 3 * channels or any(node.input[4:]):
        return None
    return tuple(_Columns(name, 2 * channels, channels) for name in node.input[1:3])


def _plain_values(editor: GraphEditor, name: str, channels: int) -> tuple[_Columns, ...] | None:
    """The product that makes the values of attention that is not fused."""
    mixing = _before_layout(editor, name)
    if mixing is None or mixing.op_type != "MatMul" or len(mixing.input) != 2:
        return None
    if editor.weight(mixing.input[1]) is not None or editor.uses(mixing.output[0]) != 1:
        return None
    node = _before_layout(editor, mixing.input[1])
    return None if node is None else _linear(editor, node.output[0], channels)


def _before_layout(editor: GraphEditor, name: str) -> Any | None:
    node = editor.producer(name)
    while node is not None and node.op_type in ("Reshape", "Transpose"):
        if editor.uses(node.output[0]) != 1:
            return None
        node = editor.producer(node.input[0])
    return node


def _linear(editor: GraphEditor, name: str, channels: int) -> tuple[_Columns, ...] | None:
    """The weight and the bias of a product, if nothing else reads its output."""
    node = editor.producer(name)
    if node is None or editor.uses(name) != 1:
        return None
    makers: list[_Columns] = []
    if node.op_type == "Add":
        sides = [value for value in node.input if editor.weight(value) is None]
        vectors = [value for value in node.input if editor.weight(value) is not None]
        if len(sides) != 1 or _length(editor, vectors[0]) != channels:
            return None
        makers.append(_Columns(vectors[0], 0, channels))
        node = editor.producer(sides[0])
        if node is None or editor.uses(sides[0]) != 1:
            return None
    found = _weight_of(editor, node)
    if found is None or node.op_type == "Attention":
        return None
    weight, turned = found
    if _rows(editor, weight, turned).shape[1] != channels:
        return None
    makers.append(_Columns(weight, 0, channels, transposed=turned))
    if node.op_type == "Gemm" and len(node.input) > 2 and node.input[2]:
        if _length(editor, node.input[2]) != channels:
            return None
        makers.append(_Columns(node.input[2], 0, channels))
    return tuple(makers)


def _length(editor: GraphEditor, name: str) -> int:
    """Length of a constant vector; -1 for anything else."""
    vector = editor.weight(name)
    return len(vector) if vector is not None and vector.ndim == 1 else -1


def _weight_of(editor: GraphEditor, node: Any) -> tuple[str, bool] | None:
    """The constant matrix of a product, and whether it is stored transposed."""
    if node is None or node.op_type not in _PRODUCTS or len(node.input) < 2:
        return None
    weight = editor.weight(node.input[1])
    if weight is None or weight.ndim != 2:
        return None
    given = attributes(node)
    if node.op_type == "Gemm" and (
        given.get("transA") or given.get("alpha", 1.0) != 1 or given.get("beta", 1.0) != 1
    ):
        return None
    return node.input[1], bool(given.get("transB", 0))
