"""The fast graph of an encoder; its output is the keys and values of the decoder's cross-attention.

They are the same at every step of the decoder, so the encoder computes those of all layers once,
with one product, in the layout that the decoder's attention reads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nlplug.export.decoder.encoder_decoder_weights import EncoderDecoderWeights
from nlplug.export.decoder.nodes import FLOAT, INT32, INT64, GraphWriter
from nlplug.export.decoder.parts import Parts
from nlplug.export.decoder.products import Product, Products
from nlplug.export.decoder.weights import Block, Linear

# The operator's default, -10,000, is within the range of scores that are not scaled.
PADDING = -1e30
"""What is added to the scores of padding."""


def build_encoder(weights: EncoderDecoderWeights, products: Products) -> Any:
    """Write the encoder's graph.

    Inputs: ``input_ids`` (sources, tokens) int64, padded on the right; ``source_lengths``
    (sources,) int32. Output: ``cross`` (2 x layers of the decoder, sources, heads, tokens, head
    size), the keys, then the values of each layer.

    Args:
        weights: The model.
        products: The precision.

    Returns:
        An ``onnx.ModelProto``.
    """
    return _Encoder(weights, products).build()


class _Encoder:
    def __init__(self, weights: EncoderDecoderWeights, products: Products) -> None:
        self.weights, self.stack = weights, weights.encoder
        self.products = products
        self.graph = GraphWriter()
        self.parts = Parts(self.graph, products, weights.activation, weights.gated)

    def build(self) -> Any:
        graph, stack = self.graph, self.stack
        ids = graph.input("input_ids", INT64, ["sources", "tokens"])
        graph.input("source_lengths", INT32, ["sources"])
        total = self.products.look_up(graph, ids, stack.embeddings, "embeddings", tied=False)
        tokens = self._tokens(ids)
        if stack.positions is not None:
            table = graph.constant("positions", stack.positions)
            first = graph.constant("first", np.zeros(1, np.int64))
            total = graph.node("Add", [total, graph.node("Slice", [table, first, tokens])])
        if stack.embedding_norm is not None:
            total = self.parts.norm(total, stack.embedding_norm, "embedding_norm")
        self.bias = "" if stack.relative is None else self._distances(tokens, stack.relative)
        addend = Product("")
        for number, layer in enumerate(stack.layers):
            total, addend = self._layer(total, addend, layer, f"layers.{number}")
        if stack.final_norm is not None:
            total = self.parts.add_norm(total, addend, stack.final_norm, "final_norm")[1]
        self._cross(total)
        return graph.finish({})

    def _tokens(self, ids: str) -> str:
        """Number of tokens of the longest source, shape (1,)."""
        return self.graph.node("Shape", [ids], start=1)

    def _layer(self, total: str, addend: Product, layer: Block, name: str) -> tuple[str, Product]:
        parts = self.parts
        if self.weights.norm_first:
            total, normed = parts.add_norm(total, addend, layer.attention_norm, f"{name}.norm_1")
            addend = self._attention(normed, layer, name)
            total, normed = parts.add_norm(total, addend, layer.mlp_norm, f"{name}.norm_2")
            return total, parts.mlp(normed, layer.up, layer.down, name)
        addend = self._attention(total, layer, name)
        _, total = parts.add_norm(total, addend, layer.attention_norm, f"{name}.norm_1")
        addend = parts.mlp(total, layer.up, layer.down, name)
        return parts.add_norm(total, addend, layer.mlp_norm, f"{name}.norm_2")[1], Product("")

    def _attention(self, value: str, layer: Block, name: str) -> Product:
        graph, stack = self.graph, self.stack
        qkv = self.parts.linear(value, layer.qkv, f"{name}.qkv")
        split = [graph.name(part) for part in ("query", "key", "value")]
        graph.nodes("Split", [qkv], split, axis=-1, num_outputs=3)
        inputs = [*split, "", "source_lengths", self.bias]
        attended = graph.ours(
            "MultiHeadAttention",
            inputs if self.bias else inputs[:-1],
            num_heads=stack.heads,
            scale=stack.scale,
            mask_filter_value=PADDING,
        )
        return self.products.product(graph, attended, layer.attention_out, f"{name}.out")

    def _distances(self, tokens: str, relative: np.ndarray) -> str:
        """The bias for the distance of every two tokens, shape (1, heads, tokens, tokens)."""
        graph = self.graph
        furthest = relative.shape[1] // 2
        scalar = graph.constant("no_axes", np.zeros(0, np.int64))
        places = graph.node(
            "Range",
            [
                graph.constant("zero", np.array(0, np.int64)),
                graph.node("Reshape", [tokens, scalar]),
                graph.constant("one", np.array(1, np.int64)),
            ],
        )
        column = graph.constant("column", np.array([-1, 1], np.int64))
        apart = graph.node("Sub", [places, graph.node("Reshape", [places, column])])
        for kind, end in (("Max", -furthest), ("Min", furthest)):
            apart = graph.node(kind, [apart, graph.constant(kind, np.array(end, np.int64))])
        index = graph.node("Add", [apart, graph.constant("middle", np.array(furthest, np.int64))])
        table = graph.constant("distances", relative[None])
        return graph.node("Gather", [table, index], axis=2)

    def _cross(self, value: str) -> None:
        graph, decoder = self.graph, self.weights.decoder
        both = [part for cross in self.weights.cross for part in (cross.key, cross.value)]
        made = self.parts.linear(value, Linear.join(both), "cross")
        shape = [0, 0, len(both), decoder.heads, decoder.head_size]
        apart = graph.node("Reshape", [made, graph.constant("heads", np.array(shape, np.int64))])
        graph.nodes("Transpose", [apart], ["cross"], perm=[2, 0, 3, 1, 4])
        graph.output(
            "cross", FLOAT, [len(both), "sources", decoder.heads, "tokens", decoder.head_size]
        )
