"""Attention of a model as one node of the exported graph.

The operators that attention is made of can be written in many ways, and each needs a pattern that
finds it again. So a model is exported with an attention implementation that writes a single node
``nlplug.Attention``. The graph has a function of this name, with standard operators, so it runs as
it is. `fuse_marked` replaces the nodes by ``Attention`` of ONNX Runtime where it computes the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx
from onnx import helper, inliner

from nlplug.export.graph import MICROSOFT, GraphEditor, attributes
from nlplug.extras import require

IMPLEMENTATION = "nlplug_marked"
"""The name of the attention implementation in transformers."""

_DOMAIN = "nlplug"
_ROUNDING = 1e-6
_SPLIT = [0, 2, 1, 3]
"""Permutation from (batch, tokens, heads, size) to (batch, heads, tokens, size), and back."""


@contextmanager
def marked(model: Any) -> Iterator[None]:
    """Let a model of transformers 5 write its attention as one node while it is exported.

    Models with an attention of their own are not changed. Neither is attention with another mask
    than that of the padding, such as to near tokens only, which stays as PyTorch writes it.

    Args:
        model: A ``transformers.PreTrainedModel``.
    """
    transformers = require("transformers", "train5", purpose="Export")
    masks = require("transformers.masking_utils", "train5", purpose="Export")
    before = model.config._attn_implementation
    if not model._can_set_attn_implementation() or before != "sdpa":
        yield
        return

    def padding(*args: Any, **kwargs: Any) -> Any:
        own = kwargs.get("mask_function") is masks.bidirectional_mask_function
        given = kwargs.get("attention_mask")
        if own and given is not None and given.ndim == 2:
            return given
        return masks.sdpa_mask(*args, **kwargs)

    transformers.AttentionMaskInterface.register(IMPLEMENTATION, padding)
    transformers.AttentionInterface.register(IMPLEMENTATION, _attention)
    model.set_attn_implementation(IMPLEMENTATION)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def _attention(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Any, None]:
    """An attention function of transformers; tensors of shape (batch, heads, tokens, size)."""
    torch = require("torch", "train5", purpose="Export")
    alike = query.shape[1] == key.shape[1] and query.shape[3] == value.shape[3]
    if attention_mask is None or attention_mask.ndim != 2 or not alike:
        sdpa = require("transformers.integrations.sdpa_attention", "train5", purpose="Export")
        found: tuple[Any, None] = sdpa.sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return found
    size = int(query.shape[3])
    settings = {
        "heads": int(query.shape[1]),
        "size": size,
        "scale": float(size**-0.5 if scaling is None else scaling),
    }
    result = torch.onnx.ops.symbolic(
        f"{_DOMAIN}::Attention",
        [query, key, value, attention_mask],
        attrs=settings,
        dtype=query.dtype,
        shape=query.shape,
        version=1,
    )
    return result.transpose(1, 2).contiguous(), None


def has_marks(graph: Any) -> bool:
    """Whether an ``onnx.ModelProto`` has nodes ``nlplug.Attention``."""
    return any(node.domain == _DOMAIN for node in graph.graph.node)


def define_marks(graph: Any) -> None:
    """Give a graph the function that its nodes ``nlplug.Attention`` call."""
    if not has_marks(graph):
        return
    [opset] = [item for item in graph.opset_import if item.domain == ""]
    scale = helper.make_node("Constant", [], ["scale"])
    reference = onnx.AttributeProto(
        name="value_float", ref_attr_name="scale", type=onnx.AttributeProto.FLOAT
    )
    scale.attribute.append(reference)
    lowest = float(np.finfo(np.float32).min)
    nodes = [
        scale,
        helper.make_node("Constant", [], ["axes"], value_ints=[1, 2]),
        helper.make_node("Constant", [], ["none"], value_float=0.0),
        helper.make_node("Constant", [], ["lowest"], value_float=lowest),
        helper.make_node("Transpose", ["key"], ["turned"], perm=[0, 1, 3, 2]),
        helper.make_node("MatMul", ["query", "turned"], ["products"]),
        helper.make_node("Mul", ["products", "scale"], ["scores"]),
        helper.make_node("Cast", ["mask"], ["seen"], to=onnx.TensorProto.BOOL),
        helper.make_node("Unsqueeze", ["seen", "axes"], ["broad"]),
        helper.make_node("Where", ["broad", "none", "lowest"], ["bias"]),
        helper.make_node("Add", ["scores", "bias"], ["masked"]),
        helper.make_node("Softmax", ["masked"], ["shares"], axis=-1),
        helper.make_node("MatMul", ["shares", "value"], ["result"]),
    ]
    inputs, settings = ["query", "key", "value", "mask"], ["heads", "size", "scale"]
    graph.functions.append(
        helper.make_function(
            _DOMAIN, "Attention", inputs, ["result"], nodes, [opset], attributes=settings
        )
    )


def fuse_marked(graph: Any) -> Any:
    """The graph with ``Attention`` of ONNX Runtime where queries, keys and values are products.

    Args:
        graph: An ``onnx.ModelProto``, changed in place.

    Returns:
        The graph without nodes ``nlplug.Attention``: those that compute something else, such as
        with rotated queries, become standard operators.
    """
    editor = GraphEditor(graph)
    casts: dict[str, str] = {}  # one for all layers, from the mask to its form in int32
    editor.rewrite(lambda node: _fused(editor, node, casts))
    graph = editor.finish()
    if has_marks(graph):
        return inliner.inline_local_functions(graph)
    del graph.functions[:]
    return graph


def _fused(editor: GraphEditor, node: Any, casts: dict[str, str]) -> list[Any] | None:
    """The replacement of the Reshape that ends an attention."""
    if node.op_type != "Reshape":
        return None
    turned = editor.producer(node.input[0])
    mark = None if turned is None else editor.producer(turned.input[0])
    if mark is None or mark.domain != _DOMAIN or not _turns(turned):
        return None
    found = [_product(editor, name) for name in mark.input[:3]]
    if any(one is None for one in found):
        return None
    products = [one for one in found if one is not None]
    [source, *others] = [name for name, _, _ in products]
    settings = attributes(mark)
    width = settings["heads"] * settings["size"]
    if set(others) != {source} or any(weight.shape[1] != width for _, weight, _ in products):
        return None
    out, name = node.output[0], mark.name
    # The operator divides by the root of the size; another factor becomes part of the queries.
    factor = np.float32(settings["scale"] * settings["size"] ** 0.5)
    factors = (1 if abs(factor - 1) < _ROUNDING else factor, 1, 1)
    weights = [one[1] * part for one, part in zip(products, factors, strict=True)]
    biases = [one[2] * part for one, part in zip(products, factors, strict=True)]
    weight = editor.add_weight(f"{name}_qkv_weight", np.hstack(weights))
    bias = editor.add_weight(f"{name}_qkv_bias", np.hstack(biases))
    mask = mark.input[3]
    cast = editor.producer(mask)
    if cast is not None and cast.op_type == "Cast":  # of the input, to a mask of truth values
        mask = cast.input[0]
    nodes = []
    if mask not in casts:
        casts[mask] = f"{mask}_int32"
        kind = onnx.TensorProto.INT32
        nodes.append(helper.make_node("Cast", [mask], [casts[mask]], to=kind))
    inputs = [source, weight, bias, casts[mask]]
    heads = settings["heads"]
    nodes.append(
        helper.make_node(
            "Attention", inputs, [out], name=mark.name, domain=MICROSOFT, num_heads=heads
        )
    )
    return nodes


def _product(editor: GraphEditor, name: str) -> tuple[str, np.ndarray, np.ndarray] | None:
    """Input, weight and bias of a product that is split into heads."""
    turned = editor.producer(name)
    split = editor.producer(turned.input[0]) if turned is not None and _turns(turned) else None
    if split is None or split.op_type != "Reshape":
        return None
    node = editor.producer(split.input[0])
    bias: np.ndarray | None = None
    if node is not None and node.op_type == "Add":
        known = [(editor.weight(one), other) for one, other in (node.input, reversed(node.input))]
        for constant, other in known:
            if constant is not None and constant.ndim == 1:
                bias, node = constant, editor.producer(other)
    if node is None or node.op_type != "MatMul":
        return None
    weight = editor.weight(node.input[1])
    if weight is None or weight.ndim != 2:
        return None
    none = np.zeros(weight.shape[1], weight.dtype)
    return node.input[0], weight, none if bias is None else bias


def _turns(node: Any) -> bool:
    return bool(node.op_type == "Transpose" and list(attributes(node).get("perm", [])) == _SPLIT)
