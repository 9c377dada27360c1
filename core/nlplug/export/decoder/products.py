"""Matrix products and embedding tables in the three precisions that decode fast on a CPU.

A decoding step multiplies few rows with every weight of the model, so its time is the time to read
the weights: int8 reads a quarter of float32. Embeddings that are tied to the head are stored once
in each precision, in the layout of the head's operator, and looked up from there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nlplug.errors import OptionError
from nlplug.export.decoder.nodes import FLOAT, GraphWriter
from nlplug.export.decoder.weights import Linear
from nlplug.export.quantize import quantize_columns

PRECISIONS = ("fp32", "int8", "int8-blocks")
"""Float, int8 weights with activations quantized at run time, and int8 weights in blocks."""

BLOCKS = (64, 32)
"""Sizes of the blocks of a column that share a scale: the first that divides the column is used.
With larger ones, ``MatMulNBits`` multiplies one row by another kernel than several: the last bits
of a row then depend on the rows beside it, and activations that are rounded from them may differ by
a whole step (onnxruntime 1.32, AVX-512). Blocks of 128 are up to a sixth faster."""
_BLOCK_TOP = 127.0
_ZERO = 128.0
_INT8_ACTIVATIONS = 4
_FLOAT_ACTIVATIONS = 1


@dataclass(frozen=True)
class Product:
    """A value, and the constant vector that must still be added to it ("" if there is none)."""

    value: str
    bias: str = ""


class Products(ABC):
    """How one precision writes products and look-ups.

    Attributes:
        one_thread: Bytes of weights, times rows, up to which one thread makes a step faster than
            two that share each product. Measured on two cores with 1 MiB of cache each.
        lane_rows: Number of rows from which a thread with rows of its own is faster than all
            threads on all rows, although it reads all weights alone; 0 for never.
        single_row: Whether this precision is fastest for steps of a single row.
    """

    one_thread: ClassVar[int]
    lane_rows: ClassVar[int] = 0
    single_row: ClassVar[bool] = False

    @property
    def many_rows(self) -> Products:
        """The products for the graph that reads whole texts, next to the one for single steps."""
        return self

    @abstractmethod
    def product(self, graph: GraphWriter, value: str, layer: Linear, name: str) -> Product:
        """``value`` of shape (..., inputs) times the weight."""

    def tied_head(
        self, graph: GraphWriter, value: str, table: np.ndarray, bias: np.ndarray | None, name: str
    ) -> str:
        """``value`` of shape (rows, hidden) times the transposed table, plus a bias: logits."""
        return self.product(graph, value, Linear(table.T, bias), name).value

    @abstractmethod
    def look_up(
        self, graph: GraphWriter, ids: str, table: np.ndarray, name: str, *, tied: bool
    ) -> str:
        """The rows of a table of embeddings; ``tied`` if `tied_head` uses the same table."""


def products_of(precision: str) -> Products:
    """The products of one of `PRECISIONS`.

    Raises:
        OptionError: There is no such precision.
    """
    known: dict[str, Products] = {
        "fp32": FloatProducts(),
        "int8": Int8Products(),
        "int8-blocks": BlockProducts(),
    }
    if precision not in known:
        raise OptionError(
            f"There is no precision {precision!r} for decoders.",
            hint=f"Choose from {', '.join(PRECISIONS)}.",
        )
    return known[precision]


class FloatProducts(Products):
    """Float weights. The next operator adds the bias, often at no cost."""

    one_thread = 12_000_000

    def product(self, graph: GraphWriter, value: str, layer: Linear, name: str) -> Product:
        """``MatMul``."""
        weight = graph.constant(f"{name}.weight", layer.weight)
        bias = "" if layer.bias is None else graph.constant(f"{name}.bias", layer.bias)
        return Product(graph.node("MatMul", [value, weight]), bias)

    def tied_head(
        self, graph: GraphWriter, value: str, table: np.ndarray, bias: np.ndarray | None, name: str
    ) -> str:
        """``Gemm``, which multiplies with a transposed matrix without copying it."""
        inputs = [value, graph.constant(f"{name}.weight", table)]
        if bias is not None:
            inputs.append(graph.constant(f"{name}.bias", bias))
        return graph.node("Gemm", inputs, transB=1)

    def look_up(
        self, graph: GraphWriter, ids: str, table: np.ndarray, name: str, *, tied: bool
    ) -> str:
        """``Gather``."""
        return graph.node("Gather", [graph.constant(f"{name}.weight", table), ids])


class Int8Products(Products):
    """int8 weights, one scale per column; activations with one scale per batch, at run time."""

    one_thread = 32_000_000
    lane_rows = 8

    def product(self, graph: GraphWriter, value: str, layer: Linear, name: str) -> Product:
        """``DynamicQuantizeMatMul``, which adds the bias too."""
        rounded, scale = quantize_columns(layer.weight)
        inputs = [
            value,
            graph.constant(f"{name}.weight_int8", rounded),
            graph.constant(f"{name}.weight_scale", scale),
        ]
        if layer.bias is not None:
            inputs += ["", graph.constant(f"{name}.bias", layer.bias)]
        return Product(graph.ours("DynamicQuantizeMatMul", inputs))

    def look_up(
        self, graph: GraphWriter, ids: str, table: np.ndarray, name: str, *, tied: bool
    ) -> str:
        """Rows of the head's weight, or of a separate table, converted to float."""
        rounded, scale = quantize_columns(table.T)
        if tied:
            weight = graph.constant(f"{name}.weight_int8", rounded)
            scales = graph.constant(f"{name}.weight_scale", scale)
            # Done once while loading. The head keeps its own packed copy, so there is one table
            # in the file and two in memory; looking up columns would be slow.
            rows = graph.node("Transpose", [weight], perm=[1, 0])
        else:
            rows = graph.constant(f"{name}.rows_int8", rounded.T)
            scales = graph.constant(f"{name}.rows_scale", scale)
        found = graph.node("Gather", [rows, ids])
        axis = graph.constant("last_axis", np.array([-1], np.int64))
        step = graph.node("Unsqueeze", [graph.node("Gather", [scales, ids]), axis])
        return graph.node("Mul", [graph.node("Cast", [found], to=FLOAT), step])


class BlockProducts(Products):
    """int8 weights, one scale per block of a column; activations are quantized row by row.

    So, unlike with `Int8Products`, a row's result is independent of the rest of its batch. One row
    is multiplied nearly twice as fast, four or more rows half as fast.
    """

    one_thread = 12_000_000
    single_row = True
    _sizes: ClassVar[tuple[int, ...]] = BLOCKS
    _accuracy: ClassVar[int] = _INT8_ACTIVATIONS

    @property
    def many_rows(self) -> Products:
        """See `Products.many_rows`: weights with one scale per column."""
        return Int8Products()

    def product(self, graph: GraphWriter, value: str, layer: Linear, name: str) -> Product:
        """``MatMulNBits``, which adds the bias too."""
        blocks, scale = quantize_blocks(layer.weight, self._sizes)
        given = [
            value,
            graph.constant(f"{name}.weight_blocks", blocks),
            graph.constant(f"{name}.weight_scale", scale),
        ]
        if layer.bias is not None:
            given += ["", "", graph.constant(f"{name}.bias", layer.bias)]
        made = graph.ours(
            "MatMulNBits",
            given,
            K=len(layer.weight),
            N=len(blocks),
            bits=8,
            block_size=blocks.shape[2],
            accuracy_level=self._accuracy,
        )
        return Product(made)

    def look_up(
        self, graph: GraphWriter, ids: str, table: np.ndarray, name: str, *, tied: bool
    ) -> str:
        """``GatherBlockQuantized`` from the head's blocks, or from separate ones."""
        blocks, scale = quantize_blocks(table.T, self._sizes)
        weight = graph.constant(f"{name}.weight_blocks", blocks)
        shape = graph.constant(f"{name}.scale_shape", np.array([*scale.shape, 1], np.int64))
        scales = graph.node("Reshape", [graph.constant(f"{name}.weight_scale", scale), shape])
        found = graph.ours(
            "GatherBlockQuantized",
            [weight, ids, scales],
            bits=8,
            block_size=blocks.shape[2],
            gather_axis=0,
            quantize_axis=2,
        )
        hidden = table.shape[1]
        whole = graph.constant(f"{name}.row_shape", np.array([0, 0, blocks[0].size], np.int64))
        found = graph.node("Reshape", [found, whole])
        if hidden == blocks[0].size:
            return found
        ends = [
            graph.constant(f"{name}.{end}", np.array([number], np.int64))
            for end, number in (("first", 0), ("last", hidden), ("axis", 2))
        ]
        return graph.node("Slice", [found, *ends])


class FineBlockProducts(BlockProducts):
    """int8 weights with one scale per 32 weights, and float activations: slower, more exact."""

    _sizes: ClassVar[tuple[int, ...]] = BLOCKS[-1:]
    _accuracy: ClassVar[int] = _FLOAT_ACTIVATIONS

    @property
    def many_rows(self) -> Products:
        """The same products: activations of whole texts stay in float too."""
        return self


def quantize_blocks(
    weight: np.ndarray, sizes: Sequence[int] = BLOCKS
) -> tuple[np.ndarray, np.ndarray]:
    """Round a matrix to bytes centred at 128, with one scale per block of a column.

    Args:
        weight: Shape (inputs, outputs).
        sizes: Sizes of blocks; the first that divides the inputs is used, or the last.

    Returns:
        uint8 of shape (outputs, blocks, block size), the last block padded with zeros, and the
        float32 scales of shape (outputs, blocks).
    """
    inputs, outputs = weight.shape
    size = next((size for size in sizes if inputs % size == 0), sizes[-1])
    blocks = -(-inputs // size)
    columns = np.zeros((outputs, blocks * size), np.float32)
    columns[:, :inputs] = weight.T
    columns = columns.reshape(outputs, blocks, size)
    scale = np.abs(columns).max(axis=2) / np.float32(_BLOCK_TOP)
    divisor = np.where(scale > 0, scale, np.float32(1))[:, :, None]
    return (np.rint(columns / divisor) + _ZERO).astype(np.uint8), scale
