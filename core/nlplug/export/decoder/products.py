"""Matrix products and embedding tables in the three precisions that decode fast on a CPU.

A step of decoding multiplies few rows with every weight of the model, so its time is that of
reading the weights: int8 reads a quarter. Embeddings that are tied to the head are stored once in
each precision, as the head's operator wants them, and looked up from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nlplug.errors import OptionError
from nlplug.export.decoder.nodes import FLOAT, GraphWriter
from nlplug.export.decoder.weights import Linear
from nlplug.export.quantize import quantize_columns

PRECISIONS = ("fp32", "int8", "int8-blocks")
"""Float, int8 weights with activations quantized while running, and int8 weights in blocks."""

BLOCKS = (128, 64, 32)
"""Numbers of a column that share a scale: the first that leaves no rest. One row is multiplied
faster by a sixth in blocks of 128 than of 32 (onnxruntime 1.32, one thread)."""
_BLOCK_TOP = 127.0
_ZERO = 128.0
_INT8_ACTIVATIONS = 4


@dataclass(frozen=True)
class Product:
    """A value, and the constant vector that must still be added to it ("" if there is none)."""

    value: str
    bias: str = ""


class Products(Protocol):
    """How one precision writes products and look-ups.

    Attributes:
        one_thread: Bytes of weights, times rows, up to which a single thread makes a step quicker
            than two that share each product. Measured on two cores with 1 MiB of cache each.
        lane_rows: Rows that a thread must have to itself to be quicker than all threads on all
            rows, in spite of reading all weights alone; 0 where it never is.
        single_row: Steps of a single row are what it is best at.
    """

    one_thread: int
    lane_rows: int
    single_row: bool

    @property
    def many_rows(self) -> Products:
        """The products for a graph that reads whole texts, beside one that goes step by step."""

    def product(self, graph: GraphWriter, value: str, layer: Linear, name: str) -> Product:
        """``value`` of shape (..., inputs) times the weight."""

    def tied_head(
        self, graph: GraphWriter, value: str, table: np.ndarray, bias: np.ndarray | None, name: str
    ) -> str:
        """``value`` of shape (rows, hidden) times the transposed table, plus a bias: logits."""

    def look_up(
        self, graph: GraphWriter, ids: str, table: np.ndarray, name: str, *, tied: bool
    ) -> str:
        """The rows of a table of embeddings; ``tied`` if `tied_head` has the same table."""


def products_of(precision: str) -> Products:
    """The writer for one of `PRECISIONS`.

    Raises:
        OptionError: It is none of them.
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


class FloatProducts:
    """Float weights. Biases are left to the next operator, which often has them for nothing."""

    one_thread = 12_000_000
    lane_rows = 0
    single_row = False

    @property
    def many_rows(self) -> Products:
        """See `Products.many_rows`: the same."""
        return self

    def product(self, graph: GraphWriter, value: str, layer: Linear, name: str) -> Product:
        """``MatMul``."""
        weight = graph.constant(f"{name}.weight", layer.weight)
        bias = "" if layer.bias is None else graph.constant(f"{name}.bias", layer.bias)
        return Product(graph.node("MatMul", [value, weight]), bias)

    def tied_head(
        self, graph: GraphWriter, value: str, table: np.ndarray, bias: np.ndarray | None, name: str
    ) -> str:
        """``Gemm``, which multiplies with a transposed matrix as it stands."""
        inputs = [value, graph.constant(f"{name}.weight", table)]
        if bias is not None:
            inputs.append(graph.constant(f"{name}.bias", bias))
        return graph.node("Gemm", inputs, transB=1)

    def look_up(
        self, graph: GraphWriter, ids: str, table: np.ndarray, name: str, *, tied: bool
    ) -> str:
        """``Gather``."""
        return graph.node("Gather", [graph.constant(f"{name}.weight", table), ids])


class Int8Products:
    """int8 weights with a scale a column; activations quantized while running, a scale a batch."""

    one_thread = 32_000_000
    lane_rows = 8
    single_row = False

    @property
    def many_rows(self) -> Products:
        """See `Products.many_rows`: the same."""
        return self

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

    def tied_head(
        self, graph: GraphWriter, value: str, table: np.ndarray, bias: np.ndarray | None, name: str
    ) -> str:
        """The same product with the transposed table."""
        return self.product(graph, value, Linear(table.T, bias), name).value

    def look_up(
        self, graph: GraphWriter, ids: str, table: np.ndarray, name: str, *, tied: bool
    ) -> str:
        """Rows of the head's weight, or of a table of its own, in float again."""
        rounded, scale = quantize_columns(table.T)
        if tied:
            weight = graph.constant(f"{name}.weight_int8", rounded)
            scales = graph.constant(f"{name}.weight_scale", scale)
            # Done once while loading. The head keeps a packed copy of its own, so this is still
            # one table in the file and two in memory; looking up columns would be slow.
            rows = graph.node("Transpose", [weight], perm=[1, 0])
        else:
            rows = graph.constant(f"{name}.rows_int8", rounded.T)
            scales = graph.constant(f"{name}.rows_scale", scale)
        found = graph.node("Gather", [rows, ids])
        axis = graph.constant("last_axis", np.array([-1], np.int64))
        step = graph.node("Unsqueeze", [graph.node("Gather", [scales, ids]), axis])
        return graph.node("Mul", [graph.node("Cast", [found], to=FLOAT), step])


class BlockProducts:
    """int8 weights with a scale for each block of a column; activations likewise, row by row.

    Finer than `Int8Products` on both sides, so that a row's answer does not hang on the rest of
    its batch. A single row is multiplied nearly twice as fast, four or more half as fast.
    """

    one_thread = 12_000_000
    lane_rows = 0
    single_row = True

    @property
    def many_rows(self) -> Products:
        """See `Products.many_rows`: weights with a scale a column."""
        return Int8Products()

    def product(self, graph: GraphWriter, value: str, layer: Linear, name: str) -> Product:
        """``MatMulNBits``, which adds the bias too."""
        blocks, scale = quantize_blocks(layer.weight)
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
            accuracy_level=_INT8_ACTIVATIONS,
        )
        return Product(made)

    def tied_head(
        self, graph: GraphWriter, value: str, table: np.ndarray, bias: np.ndarray | None, name: str
    ) -> str:
        """The same product with the transposed table."""
        return self.product(graph, value, Linear(table.T, bias), name).value

    def look_up(
        self, graph: GraphWriter, ids: str, table: np.ndarray, name: str, *, tied: bool
    ) -> str:
        """``GatherBlockQuantized`` from the blocks that the head has, or from its own."""
        blocks, scale = quantize_blocks(table.T)
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


def quantize_blocks(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Round a matrix to bytes around 128, with a scale for each block of numbers of a column.

    Args:
        weight: Shape (inputs, outputs).

    Returns:
        uint8 of shape (outputs, blocks, numbers in a block), the last block filled up with zeros,
        and the float32 scales of shape (outputs, blocks).
    """
    inputs, outputs = weight.shape
    size = next((size for size in BLOCKS if inputs % size == 0), BLOCKS[-1])
    blocks = -(-inputs // size)
    columns = np.zeros((outputs, blocks * size), np.float32)
    columns[:, :inputs] = weight.T
    columns = columns.reshape(outputs, blocks, size)
    scale = np.abs(columns).max(axis=2) / np.float32(_BLOCK_TOP)
    divisor = np.where(scale > 0, scale, np.float32(1))[:, :, None]
    return (np.rint(columns / divisor) + _ZERO).astype(np.uint8), scale
