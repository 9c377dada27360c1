"""The fast graph of a decoder.

A plain export concatenates the whole cache at every step and builds masks with dozens of small
nodes. Here ``GroupQueryAttention`` writes each new key and value into one buffer for past and
present, takes queries, keys and values packed in the output of one product, applies the rotary
positions, and derives the padding from the lengths. Rows of different lengths are padded on the
right. The last norm, the head and the ranking are computed only for the requested positions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from nlplug.export.decoder.nodes import FLOAT, INT32, INT64, GraphWriter
from nlplug.export.decoder.parts import Parts
from nlplug.export.decoder.products import Product, Products
from nlplug.export.decoder.weights import Block, DecoderWeights
from nlplug.runtime.decoding.decoder import METADATA_KEY, DecoderSpec


def build(weights: DecoderWeights, products: Products) -> Any:
    """Write the graph.

    Inputs: ``input_ids`` (batch, sequence) int64; ``seqlens_k`` (batch,) int32, the number of
    tokens of each row after this step, minus one; ``total_sequence_length`` int32, the largest
    number of tokens of a row after this step; ``logits_at`` (rows,) int64, the positions whose
    logits are wanted, as indices into the flattened padded batch; ``position_ids`` (batch,
    sequence) int64 if positions are learned; ``past_key_values.N.key`` and ``.value`` (batch, kv
    heads, capacity, head size); and that of `rank_logits`.

    Outputs: ``logits`` (rows, vocabulary), those of `rank_logits`, and ``present.N.key`` and
    ``.value``, which must be bound to the memory of the past.

    Args:
        weights: The decoder.
        products: The precision.

    Returns:
        An ``onnx.ModelProto`` with a `DecoderSpec` in its metadata.
    """
    return _Builder(weights, products).build()


class _Builder:
    def __init__(self, weights: DecoderWeights, products: Products) -> None:
        self.weights = weights
        self.products = products
        self.graph = GraphWriter()
        self.parts = Parts(self.graph, products, weights.activation, weights.gated)
        self.spec = DecoderSpec(
            layers=len(weights.blocks),
            kv_heads=weights.kv_heads,
            head_size=weights.head_size,
            vocabulary=weights.vocabulary,
            context=weights.context,
            positions=weights.positions is not None,
        )

    def build(self) -> Any:
        graph = self.graph
        ids = graph.input("input_ids", INT64, ["batch", "sequence"])
        graph.input("seqlens_k", INT32, ["batch"])
        graph.input("total_sequence_length", INT32, [])
        graph.input("logits_at", INT64, ["rows"])
        weights = self.weights
        total = self.parts.embed(
            ids,
            weights.embeddings,
            weights.positions,
            ["batch", "sequence"],
            tied=weights.head is None,
        )
        addend = Product("")
        for number, block in enumerate(weights.blocks):
            step = self._parallel_block if weights.parallel else self._block
            total, addend = step(total, addend, block, number)
        self._finish(total, addend)
        for number in range(self.spec.layers):
            for part in ("key", "value"):
                graph.input(f"past_key_values.{number}.{part}", FLOAT, self._cache_shape())
                graph.output(f"present.{number}.{part}", FLOAT, self._cache_shape())
        spec = replace(
            self.spec,
            one_thread=self.products.one_thread // graph.weight,
            lane_rows=self.products.lane_rows,
        )
        return graph.finish({METADATA_KEY: spec.to_json()})

    def _cache_shape(self) -> list[int | str]:
        return ["batch", self.spec.kv_heads, "capacity", self.spec.head_size]

    def _block(self, total: str, addend: Product, block: Block, number: int) -> tuple[str, Product]:
        name = f"layers.{number}"
        total, normed = self.parts.add_norm(total, addend, block.attention_norm, f"{name}.norm_1")
        attended = self._attention(normed, block, number)
        total, normed = self.parts.add_norm(total, attended, block.mlp_norm, f"{name}.norm_2")
        return total, self.parts.mlp(normed, block.up, block.down, name)

    def _parallel_block(
        self, total: str, addend: Product, block: Block, number: int
    ) -> tuple[str, Product]:
        name = f"layers.{number}"
        total, normed = self.parts.add_norm(total, addend, block.attention_norm, f"{name}.norm_1")
        attended = self._attention(normed, block, number)
        second = self.parts.norm(total, block.mlp_norm, f"{name}.norm_2")
        total = self.graph.node("Add", [total, self.parts.whole(attended)])
        return total, self.parts.mlp(second, block.up, block.down, name)

    def _attention(self, value: str, block: Block, number: int) -> Product:
        weights, rotary = self.weights, []
        if weights.rotary is not None:
            rotary.append(self.graph.constant("rotary.cos", weights.rotary.cos))
            rotary.append(self.graph.constant("rotary.sin", weights.rotary.sin))
        return self.parts.self_attention(
            value,
            block,
            number,
            *rotary,
            heads=weights.heads,
            kv_num_heads=weights.kv_heads,
            do_rotary=int(bool(rotary)),
        )

    def _finish(self, total: str, addend: Product) -> None:
        graph, weights = self.graph, self.weights
        if addend.value:
            total = graph.node("Add", [total, self.parts.whole(addend)])
        flat = graph.constant("flat", np.array([-1, weights.hidden], np.int64))
        wanted = graph.node("Gather", [graph.node("Reshape", [total, flat]), "logits_at"])
        normed = self.parts.norm(wanted, weights.final_norm, "final_norm")
        self.parts.logits(normed, weights.head, weights.embeddings, None)
