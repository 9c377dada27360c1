"""Tiny graphs in all the forms that repositories of the Hub have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

TYPES_OF_NUMPY = {"int64": np.int64, "int32": np.int32}
TYPES = {
    "int64": TensorProto.INT64,
    "int32": TensorProto.INT32,
    "bool": TensorProto.BOOL,
    "float32": TensorProto.FLOAT,
}


def write_classifier(
    path: Path,
    weights: np.ndarray,
    *,
    ids: str = "input_ids",
    kind: str = "int64",
    mask: str | None = "int64",
    mask_name: str = "attention_mask",
    mask_axes: int = 2,
    types: str | None = None,
    positions: bool = False,
    more_inputs: Mapping[str, str] | None = None,
    pad: int | None = None,
    per_token: bool = False,
    outputs: Sequence[str] = ("logits",),
    declares_shape: bool = True,
    batch: int | str = "batch_size",
    length: int | str = "sequence_length",
    mask_length: int | None = None,
    reads_mask: bool = True,
    hidden: str | None = None,
    last: str | None = None,
) -> None:
    """Write a graph whose logits are the mean of its tokens' weights.

    Args:
        path: The file; its folder is made.
        weights: Shape (vocabulary, labels).
        ids: Name of the token ids.
        kind: Type of all inputs but the mask.
        mask: Type of the mask; None for a graph that takes the mean over all tokens.
        mask_name: Its name.
        mask_axes: Its axes.
        types: Name of an input for token types, which changes nothing.
        positions: Whether each token's weights are multiplied by its ``position_ids``.
        more_inputs: Further inputs, with their types.
        pad: A token that counts nothing, as in classifiers on decoders.
        per_token: Logits of each token instead of their mean.
        outputs: Names; the second one is the negative of the first.
        declares_shape: Whether the outputs' shapes are declared.
        batch: Size of the first axis.
        length: Size of the second axis.
        mask_length: That of the mask, where it differs.
        reads_mask: Whether the mask plays a part.
        hidden: Name of a further output: the weights of each token.
        last: The operator that makes the first output of the logits, such as Softmax.
    """
    nodes = [helper.make_node("Gather", ["weights", ids], ["found"])]
    row = "found"
    axes = [batch, length]
    inputs = [helper.make_tensor_value_info(ids, TYPES[kind], axes)]
    counted = None

    def scaled(by: str) -> None:
        nonlocal row
        nodes.append(helper.make_node("Unsqueeze", [by, "last"], [f"{by}_3"]))
        nodes.append(helper.make_node("Mul", [row, f"{by}_3"], [f"{row}_{by}"]))
        row = f"{row}_{by}"

    if mask is not None:
        shape = [batch, mask_length or length]
        if mask_axes == 4:
            shape = [batch, 1, length, length]
        inputs.append(helper.make_tensor_value_info(mask_name, TYPES[mask], shape))
        if reads_mask:
            nodes.append(helper.make_node("Cast", [mask_name], ["kept"], to=TensorProto.FLOAT))
            counted = "kept"
    if pad is not None:
        nodes.append(helper.make_node("Equal", [ids, "pad"], ["padded"]))
        nodes.append(helper.make_node("Not", ["padded"], ["real"]))
        nodes.append(helper.make_node("Cast", ["real"], ["kept_real"], to=TensorProto.FLOAT))
        counted = "kept_real"
    if positions:
        inputs.append(helper.make_tensor_value_info("position_ids", TYPES[kind], axes))
        nodes.append(helper.make_node("Cast", ["position_ids"], ["places"], to=TensorProto.FLOAT))
        scaled("places")
    if types:
        inputs.append(helper.make_tensor_value_info(types, TYPES[kind], axes))
    for name, own in (more_inputs or {}).items():
        inputs.append(helper.make_tensor_value_info(name, TYPES[own], axes))
    if counted:
        scaled(counted)
    first = outputs[0] if last is None else "raw"
    if per_token:
        nodes.append(helper.make_node("Identity", [row], [first]))
    elif counted:
        nodes.append(helper.make_node("ReduceSum", [row, "middle"], ["total"], keepdims=0))
        nodes.append(helper.make_node("ReduceSum", [counted, "middle"], ["count"], keepdims=1))
        nodes.append(helper.make_node("Div", ["total", "count"], [first]))
    else:
        nodes.append(helper.make_node("ReduceMean", [row], [first], axes=[1], keepdims=0))
    if last is not None:
        nodes.append(helper.make_node(last, ["raw"], [outputs[0]]))
    nodes += [helper.make_node("Neg", [outputs[0]], [name]) for name in outputs[1:]]
    made: list[Any] | None = [*(axes if per_token else axes[:1]), weights.shape[1]]
    more = []
    if hidden is not None:
        nodes.append(helper.make_node("Identity", [row], [hidden]))
        shape = [*axes, weights.shape[1]]
        more = [helper.make_tensor_value_info(hidden, TensorProto.FLOAT, shape)]
    constants = {"last": [2], "middle": [1], "pad": [pad or 0]}
    graph = helper.make_graph(
        nodes,
        "tiny",
        inputs,
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, made if declares_shape else None)
            for name in outputs
        ]
        + more,
        [
            numpy_helper.from_array(weights.astype(np.float32), "weights"),
            *(
                numpy_helper.from_array(
                    np.array(value, TYPES_OF_NUMPY[kind if name == "pad" else "int64"]), name
                )
                for name, value in constants.items()
            ),
        ],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        str(path),
    )


def product(operator: str) -> onnx.ModelProto:
    """x (rows, 8) → y (rows, 4), quantized by batch: as nlplug writes it, or as the Hub has it.

    ``MatMulIntegerToFloat`` has a fixed scale, a zero point of the matrix, and a bias.
    """
    random = np.random.default_rng(0)
    weights = {
        "w": random.integers(-127, 127, (8, 4)).astype(np.int8),
        "scale": np.full(1 if operator == "MatMulInteger" else 4, 0.01, np.float32),
    }
    if operator == "DynamicQuantizeMatMul":
        nodes = [
            helper.make_node(operator, ["x", "w", "scale"], ["y"], domain="com.microsoft"),
        ]
    elif operator == "MatMulIntegerToFloat":
        weights |= {
            "step": np.array(0.03, np.float32),
            "zero": np.array(128, np.uint8),
            "w_zero": np.array([1, -2, 3, 0], np.int8),
            "bias": np.array([1, 2, -3, 4], np.float32),
        }
        inputs = ["q", "w", "step", "scale", "zero", "w_zero", "bias"]
        nodes = [
            helper.make_node("QuantizeLinear", ["x", "step", "zero"], ["q"]),
            helper.make_node(operator, inputs, ["y"], domain="com.microsoft"),
        ]
    else:
        nodes = [
            helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "step", "zero"]),
            helper.make_node("MatMulInteger", ["q", "w", "zero"], ["sum"]),
            helper.make_node("Cast", ["sum"], ["float"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["step", "scale"], ["both"]),
            helper.make_node("Mul", ["float", "both"], ["y"]),
        ]
    return model_of(nodes, weights, {"x": ["rows", 8]}, {"y": ["rows", 4]})


def model_of(
    nodes: Sequence[onnx.NodeProto],
    weights: Mapping[str, np.ndarray],
    inputs: Mapping[str, Sequence[int | str]],
    outputs: Mapping[str, Sequence[int | str]],
) -> onnx.ModelProto:
    """A model of some nodes, whose inputs and outputs are float32."""
    declared = [
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in of.items()
        ]
        for of in (inputs, outputs)
    ]
    constants = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    graph = helper.make_graph(nodes, "test", *declared, constants)
    return helper.make_model(graph, opset_imports=domains, ir_version=9)
