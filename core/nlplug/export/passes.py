"""Rewrites of a fused graph that make it faster on the CPU and do not change its results."""

from __future__ import annotations

from typing import Any

from onnx import helper

from nlplug.export.graph import MICROSOFT, GraphEditor, attributes


def split_skip_layer_norm(editor: GraphEditor) -> int:
    """``SkipLayerNormalization`` into a sum and a ``LayerNormalization``.

    ONNX Runtime's CPU kernel of the fused operator is not vectorized: 0.8 ms for 520 x 384 values,
    where the two parts take 0.12 ms. The sum is written as ``Sum`` because ONNX Runtime fuses
    ``Add`` and ``LayerNormalization`` again while loading.

    Returns:
        The number of split nodes.
    """

    def change(node: Any) -> list[Any] | None:
        if node.op_type != "SkipLayerNormalization" or any(node.output[1:3]):
            return None
        value, skip, gamma, *rest = node.input
        beta, bias = (*rest, "", "")[:2]
        out = node.output[0]
        total = node.output[3] if len(node.output) > 3 and node.output[3] else f"{out}_sum"
        nodes: list[Any] = []
        if bias:
            if _is_product(editor, skip) and not _is_product(editor, value):
                value, skip = skip, value
            # A bias added directly to a product becomes part of the quantized product.
            nodes.append(helper.make_node("Add", [value, bias], [f"{out}_biased"]))
            value = f"{out}_biased"
        epsilon = float(attributes(node).get("epsilon", 1e-12))
        nodes.append(helper.make_node("Sum", [value, skip], [total]))
        inputs = [total, gamma, beta] if beta else [total, gamma]
        nodes.append(
            helper.make_node("LayerNormalization", inputs, [out], axis=-1, epsilon=epsilon)
        )
        return nodes

    return editor.rewrite(change)


def split_bias_gelu(editor: GraphEditor) -> int:
    """``BiasGelu`` into ``Add`` and ``Gelu``, so that the bias can join the quantized product.

    Returns:
        The number of split nodes.
    """

    def change(node: Any) -> list[Any] | None:
        if node.op_type not in ("BiasGelu", "FastGelu") or len(node.input) < 2:
            return None
        out = node.output[0]
        kind = {"BiasGelu": "Gelu"}.get(node.op_type, node.op_type)
        return [
            helper.make_node("Add", list(node.input), [f"{out}_biased"]),
            helper.make_node(kind, [f"{out}_biased"], [out], domain=MICROSOFT),
        ]

    return editor.rewrite(change)


def use_contributed_gelu(editor: GraphEditor) -> int:
    """``Gelu`` of ONNX into that of ONNX Runtime, which can take a bias.

    Returns:
        The number of changed nodes.
    """

    def change(node: Any) -> list[Any] | None:
        if node.op_type != "Gelu" or node.domain != "":
            return None
        kind = "FastGelu" if attributes(node).get("approximate") == b"tanh" else "Gelu"
        return [helper.make_node(kind, [node.input[0]], [node.output[0]], domain=MICROSOFT)]

    return editor.rewrite(change)


def put_attention_first(editor: GraphEditor) -> int:
    """Residual sums with the output of the attention as their first input.

    ONNX Runtime's pattern follows the first ``Add`` among the inputs, which in the first layer of
    ALBERT is the bias of the product that widens the embeddings.

    Returns:
        The number of changed nodes.
    """

    def change(node: Any) -> list[Any] | None:
        if node.op_type != "Add" or not _is_attention(editor, node.input[1]):
            return None
        turned = [node.input[1], node.input[0]]
        return [helper.make_node("Add", turned, list(node.output), name=node.name)]

    return editor.rewrite(change)


def _is_attention(editor: GraphEditor, name: str) -> bool:
    """Whether a value is the biased product of joined heads."""
    bias = editor.producer(name)
    if bias is None or bias.op_type != "Add":
        return False
    product = next((editor.producer(one) for one in bias.input if _is_product(editor, one)), None)
    joined = None if product is None else editor.producer(product.input[0])
    return joined is not None and joined.op_type == "Reshape"


def _is_product(editor: GraphEditor, name: str) -> bool:
    node = editor.producer(name)
    return node is not None and node.op_type in ("MatMul", "Gemm")
