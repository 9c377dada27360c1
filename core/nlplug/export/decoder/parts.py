"""The parts that graphs of decoders and encoders share: norms, attention, feed-forward, ranking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nlplug.export.decoder.nodes import FLOAT, INT64, GraphWriter
from nlplug.export.decoder.products import Product, Products
from nlplug.export.decoder.weights import Block, Linear, Norm
from nlplug.export.graph import MICROSOFT


@dataclass(frozen=True)
class Parts:
    """Writes parts of layers into a graph.

    Attributes:
        graph: The graph to write into.
        products: The precision.
        activation: A value of `nlplug.export.decoder.weights.ACTIVATIONS`.
        gated: Whether the activation of one half of the feed-forward part is multiplied with the
            other half.
    """

    graph: GraphWriter
    products: Products
    activation: str
    gated: bool

    def embed(
        self,
        ids: str,
        table: np.ndarray,
        positions: np.ndarray | None,
        shape: Sequence[int | str],
        *,
        tied: bool,
    ) -> str:
        """Embeddings, plus those of the input ``position_ids`` of this shape if there are any."""
        graph = self.graph
        value = self.products.look_up(graph, ids, table, "embeddings", tied=tied)
        if positions is None:
            return value
        where = graph.input("position_ids", INT64, shape)
        rows = graph.node("Gather", [graph.constant("positions", positions), where])
        return graph.node("Add", [value, rows])

    def self_attention(
        self, value: str, block: Block, number: int, *more: str, heads: int, **attributes: Any
    ) -> Product:
        """Attention to the text so far, whose keys and values are inputs and outputs.

        Args:
            value: The normalized input of the layer.
            block: The weights of the layer.
            number: Number of the layer.
            more: Inputs of ``GroupQueryAttention`` after the lengths.
            heads: Query heads.
            attributes: Further attributes of ``GroupQueryAttention``.
        """
        graph, name = self.graph, f"layers.{number}"
        qkv = self.linear(value, block.qkv, f"{name}.qkv")
        past = [f"past_key_values.{number}.{part}" for part in ("key", "value")]
        attended = graph.name("attention")
        graph.nodes(
            "GroupQueryAttention",
            [qkv, "", "", *past, "seqlens_k", "total_sequence_length", *more],
            [attended, f"present.{number}.key", f"present.{number}.value"],
            domain=MICROSOFT,
            num_heads=heads,
            **attributes,
        )
        return self.products.product(graph, attended, block.attention_out, f"{name}.out")

    def logits(
        self, value: str, head: Linear | None, table: np.ndarray, bias: np.ndarray | None
    ) -> None:
        """The output ``logits`` and its ranking, from ``value`` of shape (rows, hidden).

        Args:
            value: The last normalized value.
            head: The product; None for the transposed embeddings.
            table: The embeddings.
            bias: Added to the product with the embeddings, or None.
        """
        graph = self.graph
        if head is None:
            logits = self.products.tied_head(graph, value, table, bias, "embeddings")
        else:
            logits = self.linear(value, head, "head")
        graph.rename(logits, "logits")
        vocabulary = len(table) if head is None else head.weight.shape[1]
        graph.output("logits", FLOAT, ["rows", int(vocabulary)])
        rank_logits(graph)

    def mlp(self, value: str, up: Linear, down: Linear, name: str) -> Product:
        """The feed-forward part."""
        graph = self.graph
        if not self.gated:
            inner = self._activate(self.products.product(graph, value, up, f"{name}.up"))
            return self.products.product(graph, inner, down, f"{name}.down")
        both = self.whole(self.products.product(graph, value, up, f"{name}.up"))
        gate, rest = graph.nodes(
            "Split", [both], [graph.name("gate"), graph.name("up")], axis=-1, num_outputs=2
        )
        inner = graph.node("Mul", [self._activate(Product(gate)), rest])
        return self.products.product(graph, inner, down, f"{name}.down")

    def linear(self, value: str, layer: Linear, name: str) -> str:
        """A product with its bias."""
        return self.whole(self.products.product(self.graph, value, layer, name))

    def whole(self, product: Product) -> str:
        """The product with its bias."""
        if not product.bias:
            return product.value
        return self.graph.node("Add", [product.value, product.bias])

    def norm(self, value: str, norm: Norm, name: str) -> str:
        """Normalize."""
        inputs = [value, *self._norm_constants(norm, name)]
        kind = "SimplifiedLayerNormalization" if norm.rms else "LayerNormalization"
        return self.graph.node(kind, inputs, axis=-1, epsilon=norm.epsilon)

    def add_norm(self, total: str, addend: Product, norm: Norm, name: str) -> tuple[str, str]:
        """Add a layer's output to the residual sum, and normalize: (the sum, normalized).

        Not with ``SkipLayerNormalization``, which takes ten times as long per row (onnxruntime
        1.32), nor with ``Add``, which ONNX Runtime would fuse into that operator while loading.
        """
        if addend.value:
            parts = [addend.value, total, addend.bias] if addend.bias else [addend.value, total]
            total = self.graph.node("Sum", parts)
        return total, self.norm(total, norm, name)

    def add_norm_of_row(
        self, total: str, addend: Product, norm: Norm, name: str
    ) -> tuple[str, str]:
        """The same as one node, which is faster than two nodes for a single row."""
        if not addend.value:
            return total, self.norm(total, norm, name)
        inputs = [addend.value, total, *self._norm_constants(norm, name)]
        kind = "SkipLayerNormalization"
        if norm.rms:
            kind = "SkipSimplifiedLayerNormalization"
        elif norm.bias is None:
            inputs.append("")
        if addend.bias:
            inputs.append(addend.bias)
        outputs = [self.graph.name("normed"), "", "", self.graph.name("sum")]
        self.graph.nodes(kind, inputs, outputs, domain=MICROSOFT, epsilon=norm.epsilon)
        return outputs[3], outputs[0]

    def _norm_constants(self, norm: Norm, name: str) -> list[str]:
        constants = [self.graph.constant(f"{name}.weight", norm.weight)]
        if norm.bias is not None:
            constants.append(self.graph.constant(f"{name}.bias", norm.bias))
        return constants

    def _activate(self, product: Product) -> str:
        graph, kind = self.graph, self.activation
        if kind == "gelu_tanh":
            inputs = [product.value, product.bias] if product.bias else [product.value]
            return graph.ours("FastGelu", inputs)
        if kind == "gelu" and product.bias:
            return graph.ours("BiasGelu", [product.value, product.bias])
        value = self.whole(product)
        if kind == "gelu":
            return graph.ours("Gelu", [value])
        if kind == "silu":
            return graph.ours("QuickGelu", [value], alpha=1.0)
        return graph.node("Relu", [value])


def rank_logits(graph: GraphWriter) -> None:
    """Rank the value ``logits`` for greedy decoding, sampling and beam search.

    Input: ``top`` (1,) int64, the number of tokens. Outputs, most likely token first:
    ``top_logits`` (rows, top), ``top_tokens`` (rows, top) int64, and ``top_share`` (rows, 1), the
    probability of the most likely token, which gives the sum of the exponentials of all logits.

    For one token ``TopK`` is faster than ``ArgMax``, which makes up for the time of the sum;
    ``ReduceLogSumExp`` would take many times as long.
    """
    graph.input("top", INT64, [1])
    graph.nodes("TopK", ["logits", "top"], ["top_logits", "top_tokens"], axis=-1)
    axis = graph.constant("last_axis", np.array([-1], np.int64))
    shares = graph.node("Softmax", ["logits"], axis=-1)
    graph.nodes("ReduceMax", [shares, axis], ["top_share"], keepdims=1)
    graph.output("top_logits", FLOAT, ["rows", "top"])
    graph.output("top_tokens", INT64, ["rows", "top"])
    graph.output("top_share", FLOAT, ["rows", 1])
