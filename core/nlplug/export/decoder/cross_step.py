"""The fast graph of a text-to-text model's decoder: one token per row.

As in the graph of a causal decoder, one buffer holds past and present keys and values of the text.
Those of the source are read from the encoder's output. Rows with the same source, such as beams,
attend to it together, as if they were one text: the source is read once and not copied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nlplug.export.decoder.encoder import PADDING
from nlplug.export.decoder.encoder_decoder_weights import Cross, EncoderDecoderWeights
from nlplug.export.decoder.nodes import FLOAT, INT32, INT64, GraphWriter
from nlplug.export.decoder.parts import Parts
from nlplug.export.decoder.products import Product, Products
from nlplug.export.decoder.weights import Block, Norm
from nlplug.runtime.decoding.decoder import ENCODER_DECODER_KEY, EncoderDecoderSpec


def build_step(weights: EncoderDecoderWeights, products: Products) -> Any:
    """Write the decoder's graph, for one token per row.

    Inputs: ``input_ids`` (rows, 1) int64; ``position_ids`` (1, 1) int64 if there are positions, the
    same for all rows; ``seqlens_k`` (rows,) int32, the number of tokens of each row after this
    step, minus one; ``total_sequence_length`` int32, this number of tokens; ``source_lengths``
    (sources,) int32; ``by_source`` (3,) int64, the number of sources, the rows per source, and the
    size of all heads;
    ``cross.N.key`` and ``.value`` (sources, heads, source tokens, head size);
    ``past_key_values.N.key`` and ``.value`` (rows, heads, capacity, head size); and that of
    `rank_logits`.

    Outputs: ``logits`` (rows, vocabulary), those of `rank_logits`, and ``present.N.key`` and
    ``.value``, which must be bound to the memory of the past.

    Args:
        weights: The model.
        products: The precision.

    Returns:
        An ``onnx.ModelProto`` with an `EncoderDecoderSpec` in its metadata.
    """
    return _DecoderStep(weights, products).build()


class _DecoderStep:
    def __init__(self, weights: EncoderDecoderWeights, products: Products) -> None:
        self.weights, self.stack = weights, weights.decoder
        self.products = products
        self.graph = GraphWriter()
        self.parts = Parts(self.graph, products, weights.activation, weights.gated)
        self.spec = EncoderDecoderSpec(
            layers=len(self.stack.layers),
            kv_heads=self.stack.heads,
            head_size=self.stack.head_size,
            vocabulary=weights.vocabulary,
            context=self.stack.context,
            positions=self.stack.positions is not None,
            start=weights.start,
            source_vocabulary=weights.encoder.vocabulary,
            source_context=weights.encoder.context,
            fast=True,
        )

    def build(self) -> Any:
        graph, stack = self.graph, self.stack
        ids = graph.input("input_ids", INT64, ["rows", 1])
        graph.input("seqlens_k", INT32, ["rows"])
        graph.input("total_sequence_length", INT32, [])
        graph.input("source_lengths", INT32, ["sources"])
        graph.input("by_source", INT64, [3])
        total = self.parts.embed(
            ids, stack.embeddings, stack.positions, [1, 1], tied=self.weights.head is None
        )
        if stack.embedding_norm is not None:
            total = self.parts.norm(total, stack.embedding_norm, "embedding_norm")
        self.bias = "" if stack.relative is None else self._distances(stack.relative)
        addend = Product("")
        for number, layer in enumerate(stack.layers):
            total, addend = self._layer(total, addend, layer, number)
        if stack.final_norm is not None:
            total = self._add_norm(total, addend, stack.final_norm, "final_norm")[1]
        flat = graph.constant("flat", np.array([-1, stack.hidden], np.int64))
        value = graph.node("Reshape", [total, flat])
        self.parts.logits(value, self.weights.head, stack.embeddings, self.weights.logits_bias)
        for number in range(self.spec.layers):
            for part in ("key", "value"):
                shape: list[int | str] = ["sources", stack.heads, "tokens", stack.head_size]
                graph.input(f"cross.{number}.{part}", FLOAT, shape)
                shape = ["rows", stack.heads, "capacity", stack.head_size]
                graph.input(f"past_key_values.{number}.{part}", FLOAT, shape)
                graph.output(f"present.{number}.{part}", FLOAT, shape)
        return graph.finish({ENCODER_DECODER_KEY: self.spec.to_json()})

    def _layer(self, total: str, addend: Product, layer: Block, number: int) -> tuple[str, Product]:
        name, cross = f"layers.{number}", self.weights.cross[number]
        parts: list[tuple[Norm, Callable[[str], Product]]] = [
            (layer.attention_norm, lambda value: self._attention(value, layer, number)),
            (cross.norm, lambda value: self._cross_attention(value, cross, number)),
            (layer.mlp_norm, lambda value: self.parts.mlp(value, layer.up, layer.down, name)),
        ]
        add_norm = self._add_norm
        for place, (norm, part) in enumerate(parts, 1):
            if self.weights.norm_first:
                total, normed = add_norm(total, addend, norm, f"{name}.norm_{place}")
                addend = part(normed)
            else:
                _, total = add_norm(total, part(total), norm, f"{name}.norm_{place}")
        return total, addend

    def _add_norm(self, total: str, addend: Product, norm: Norm, name: str) -> tuple[str, str]:
        single = self.products.single_row
        add_norm = self.parts.add_norm_of_row if single else self.parts.add_norm
        return add_norm(total, addend, norm, name)

    def _attention(self, value: str, layer: Block, number: int) -> Product:
        stack = self.stack
        return self.parts.self_attention(
            value,
            layer,
            number,
            *(["", "", "", self.bias] if self.bias else []),
            heads=stack.heads,
            kv_num_heads=stack.heads,
            scale=stack.scale,
        )

    def _cross_attention(self, value: str, cross: Cross, number: int) -> Product:
        graph, stack, name = self.graph, self.stack, f"layers.{number}"
        query = self.parts.linear(value, cross.query, f"{name}.cross_query")
        attended = graph.ours(
            "MultiHeadAttention",
            [
                graph.node("Reshape", [query, "by_source"]),
                f"cross.{number}.key",
                f"cross.{number}.value",
                "",
                "source_lengths",
            ],
            num_heads=stack.heads,
            scale=stack.scale,
            mask_filter_value=PADDING,
        )
        shape = graph.constant("by_row", np.array([-1, 1, stack.heads * stack.head_size], np.int64))
        rows = graph.node("Reshape", [attended, shape])
        return self.products.product(graph, rows, cross.out, f"{name}.cross_out")

    def _distances(self, relative: np.ndarray) -> str:
        """The bias for the distance of the new token to each token, (1, heads, 1, tokens)."""
        graph = self.graph
        back = graph.constant("back", np.array(-1, np.int32))
        last = graph.node("Add", ["total_sequence_length", back])
        apart = graph.node("Range", [last, back, back])
        furthest = graph.constant("furthest", np.array(relative.shape[1] - 1, np.int32))
        table = graph.constant("distances", relative[None, :, None])
        return graph.node("Gather", [table, graph.node("Min", [apart, furthest])], axis=3)
