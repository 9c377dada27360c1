"""int8 quantization: weights at export, activations at run time with one scale per batch.

`nlplug.export.scales` then replaces these scales with fixed ones.

ONNX Runtime's general quantizer uses seven bits for the products of fused attention, and writes
chains of MatMulInteger, Cast and Mul that the session has to fuse. Here each product becomes the
operator that ONNX Runtime runs in the end, with signed weights (unsigned weights are a third
slower), one scale per column, and the bias.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from nlplug.errors import OptionError
from nlplug.export.graph import MICROSOFT, GraphEditor, attributes
from nlplug.export.passes import split_bias_gelu

FIXED = "fixed"
SCALES = (FIXED, "batch")
_SMALLEST_TABLE = 1024


@dataclass(frozen=True)
class Quantization:
    """How weights are quantized.

    Attributes:
        weight_bits: 8, or 7 for CPUs without VNNI, whose int16 sums overflow with 8. Fewer bits are
            allowed, but no kernel is faster with them; the gate shows how much they lose.
        per_channel: One scale per column (per row of embeddings) instead of one per matrix.
        embeddings: Whether to quantize the embedding tables too.
        smooth: Whether to reduce outliers first, see `nlplug.export.smooth`.
        blocks: For models that write texts. True: one scale per block of up to 128 weights of a
            column, and activations quantized row by row, which makes the next token independent of
            the batch and is faster for one text at a time (the encoder of a text-to-text model
            always has one scale per column). False: one scale per column and one for all
            activations, which is faster in batches. None: True for models that continue a text,
            False for text-to-text models.
        scales: Of activations. ``fixed``: chosen at export on real texts, so that the answer to a
            text is independent of its batch. ``batch``: taken from each batch, for models whose
            activations differ too much between texts.
        exclude: Substrings of names of weights, or of outputs of products, that stay in float, such
            as ``layer.5/attention/output``.

    Raises:
        OptionError: ``weight_bits`` is not between 2 and 8, or ``scales`` is unknown.
    """

    weight_bits: int = 8
    per_channel: bool = True
    embeddings: bool = True
    smooth: bool = True
    blocks: bool | None = None
    scales: str = FIXED
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 2 <= self.weight_bits <= 8:
            raise OptionError(
                f"weight_bits is {self.weight_bits}.", hint="Give 8, or 7 for CPUs without VNNI."
            )
        if self.scales not in SCALES:
            raise OptionError(f"scales is {self.scales!r}.", hint=f"Give {' or '.join(SCALES)}.")


def quantize(model: Any, settings: Quantization | None = None) -> Any:
    """Quantize a float graph, in place.

    Products that compute the graph's outputs (the last layer of a classifier) stay in float: they
    are small, and their errors change the outputs directly.

    Args:
        model: An ``onnx.ModelProto`` in float32, fused or plain.
        settings: None for the defaults.

    Returns:
        The model.
    """
    settings = settings or Quantization()
    editor = GraphEditor(model)
    split_bias_gelu(editor)
    _quantize_attention(editor, settings)
    _quantize_products(editor, settings)
    if settings.embeddings:
        _quantize_embeddings(editor, settings)
    return editor.finish()


def quantize_columns(
    weight: np.ndarray, *, bits: int = 8, per_channel: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Round a matrix to signed integers, symmetrically.

    For each column the scale with the least squared error is searched: to clip a single outlier is
    often better than a coarser grid.

    Args:
        weight: Shape (inputs, outputs).
        bits: Bits of an integer.
        per_channel: One scale per column instead of one for the matrix.

    Returns:
        int8 of the same shape, and the float32 scale: shape (outputs,), or () for one scale.
    """
    top = float(2 ** (bits - 1) - 1)
    weight = weight.astype(np.float32)
    axis = 0 if per_channel else None
    peak = np.maximum(np.abs(weight).max(axis=axis), np.finfo(np.float32).tiny * 1e6)
    best = np.full(np.shape(peak), np.inf)
    scale = peak / top
    for share in (1.0, 0.97, 0.94, 0.91, 0.88, 0.85, 0.8) if per_channel else (1.0,):
        trial = peak * np.float32(share) / top
        rounded = np.clip(np.rint(weight / trial), -top, top)
        error = np.square(rounded * trial - weight).sum(axis=axis)
        better = error < best
        best, scale = np.where(better, error, best), np.where(better, trial, scale)
    scale = scale.astype(np.float32)
    return np.clip(np.rint(weight / scale), -top, top).astype(np.int8), scale


def _quantize_attention(editor: GraphEditor, settings: Quantization) -> None:
    def change(node: Any) -> list[Any] | None:
        if node.op_type != "Attention" or len(node.input) < 3 or any(node.input[4:]):
            return None
        given = attributes(node)
        # QAttention does not support these; such a node keeps its float weights.
        if "scale" in given or "qkv_hidden_sizes" in given:
            return None
        value, name, bias, *mask = node.input
        weight = _eligible(editor, name, settings)
        if weight is None or not bias:
            return None
        quantized, scale = quantize_columns(
            weight, bits=settings.weight_bits, per_channel=settings.per_channel
        )
        zero = np.zeros(np.shape(scale), dtype=np.int8)
        whole, step, middle = f"{value}_u8", f"{value}_scale", f"{value}_zero"
        kept = {
            key: item
            for key, item in given.items()
            if key in ("num_heads", "unidirectional", "mask_filter_value")
        }
        inputs = [
            whole,
            editor.add_weight(f"{name}_int8", quantized),
            bias,
            step,
            editor.add_weight(f"{name}_scale", scale),
            mask[0] if mask else "",
            middle,
            editor.add_weight(f"{name}_zero", zero),
        ]
        return [
            helper.make_node("DynamicQuantizeLinear", [value], [whole, step, middle]),
            helper.make_node("QAttention", inputs, list(node.output), domain=MICROSOFT, **kept),
        ]

    editor.rewrite(change)


def _quantize_products(editor: GraphEditor, settings: Quantization) -> None:
    biases = _biases(editor)
    last = editor.last_products()

    def change(node: Any) -> list[Any] | None:
        if node.output and node.output[0] in absorbed:
            return []
        if node.op_type not in ("MatMul", "Gemm") or node.output[0] in last:
            return None
        name, out = node.input[1], node.output[0]
        weight = _eligible(editor, name, settings, out)
        if weight is None:
            return None
        bias = ""
        if node.op_type == "Gemm":
            given = attributes(node)
            if given.get("transA") or given.get("alpha", 1.0) != 1 or given.get("beta", 1.0) != 1:
                return None
            if given.get("transB"):
                weight, name = weight.T, f"{name}_t"
            if len(node.input) > 2 and node.input[2]:
                bias = node.input[2]
                added = editor.weight(bias)
                if added is None or added.ndim != 1:
                    return None
        elif out in biases:
            bias, out = biases[out]
        if node.op_type == "MatMul" and bias:
            absorbed.add(out)
        quantized, scale = quantize_columns(
            weight, bits=settings.weight_bits, per_channel=settings.per_channel
        )
        inputs = [
            node.input[0],
            editor.add_weight(f"{name}_int8", quantized),
            editor.add_weight(f"{name}_scale", scale),
            "",
            bias,
        ]
        return [
            helper.make_node(
                "DynamicQuantizeMatMul", inputs if bias else inputs[:3], [out], domain=MICROSOFT
            )
        ]

    absorbed: set[str] = set()
    editor.rewrite(change)


def _biases(editor: GraphEditor) -> dict[str, tuple[str, str]]:
    """For each product that only an ``Add`` of a constant vector reads: the vector and the sum."""
    found = {}
    for node in editor.nodes:
        if node.op_type != "Add":
            continue
        for value, other in (node.input, reversed(node.input)):
            vector = editor.weight(other)
            product = editor.producer(value)
            if (
                vector is not None
                and vector.ndim == 1
                and product is not None
                and product.op_type == "MatMul"
                and editor.uses(value) == 1
                and (weight := editor.weight(product.input[1])) is not None
                and weight.shape[-1:] == vector.shape
            ):
                found[value] = (other, node.output[0])
    return found


def _quantize_embeddings(editor: GraphEditor, settings: Quantization) -> None:
    """Tables of embeddings as int8 rows with one scale per row.

    A quantized Gather has one scale per table, which its row with the largest values would set.
    """

    def change(node: Any) -> list[Any] | None:
        if node.op_type != "Gather" or attributes(node).get("axis", 0) != 0:
            return None
        name, indices = node.input
        table = _eligible(editor, name, settings)
        if table is None or table.size < _SMALLEST_TABLE or editor.uses(name) > 1:
            return None
        rows, scale = quantize_columns(
            table.T, bits=settings.weight_bits, per_channel=settings.per_channel
        )
        scale = np.broadcast_to(scale, len(table))
        out = node.output[0]
        return [
            helper.make_node(
                "Gather", [editor.add_weight(f"{name}_int8", rows.T), indices], [f"{out}_int8"]
            ),
            helper.make_node(
                "Gather",
                [editor.add_weight(f"{name}_scale", scale[:, None]), indices],
                [f"{out}_scale"],
            ),
            helper.make_node("Cast", [f"{out}_int8"], [f"{out}_float"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{out}_float", f"{out}_scale"], [out]),
        ]

    editor.rewrite(change)


def _eligible(
    editor: GraphEditor, name: str, settings: Quantization, product: str = ""
) -> np.ndarray | None:
    """The float matrix of this name, unless it or its product is excluded."""
    weight = editor.weight(name)
    if weight is None or weight.ndim != 2 or weight.dtype != np.float32:
        return None
    excluded = any(part in name or part in product for part in settings.exclude)
    return None if excluded else weight
