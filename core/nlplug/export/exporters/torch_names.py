"""Names of nodes, values and weights in graphs of ``torch.onnx``.

It numbers them, and keeps the module that wrote a node in the node's metadata, beside the stack
trace with the paths of this machine. Here they get the names that a traced graph has, such as
``/bert/encoder/layer.0/output/dense/MatMul``, so that settings and messages name the same parts
whichever exporter was used. The metadata are removed.
"""

from __future__ import annotations

import ast
from collections import Counter
from typing import Any

_SCOPES = "pkg.torch.onnx.name_scopes"


def name_by_module(graph: Any) -> None:
    """Rename the values of an ``onnx.ModelProto`` in place, but for its inputs and outputs."""
    body = graph.graph
    fixed = {value.name for value in (*body.input, *body.output)}
    numbered = {tensor.name for tensor in body.initializer if tensor.name.startswith("val_")}
    names: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for node in body.node:
        module = _module(node)
        path = _path(module)
        base = f"{path}/{node.op_type}"
        node.name = f"{base}_{seen[base]}" if seen[base] else base
        seen[base] += 1
        for place, output in enumerate(node.output):
            if output and output not in fixed:
                names[output] = f"{node.name}_output_{place}"
        if node.op_type == "MatMul" and node.input[1] in numbered:
            # It is the transposed weight of a linear layer, which has this name in PyTorch.
            name = f"{module}.weight_transposed"
            names.setdefault(node.input[1], f"{name}_{seen[name]}" if seen[name] else name)
            seen[name] += 1
        del node.metadata_props[:]
        node.doc_string = ""
    for node in body.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in (*body.initializer, *body.value_info):
        value.name = names.get(value.name, value.name)
    for part in (graph, body, *body.initializer, *body.value_info, *body.input, *body.output):
        del part.metadata_props[:]
        part.doc_string = ""


def _module(node: Any) -> str:
    """The dotted name of the module that wrote a node; empty: the model itself."""
    for item in node.metadata_props:
        if item.key == _SCOPES:
            *modules, _ = ast.literal_eval(item.value)  # the last one is the operator
            return str(modules[-1]) if modules and not modules[-1].startswith("_empty_") else ""
    return ""


def _path(module: str) -> str:
    """``bert.encoder.layer.0.output`` as ``/bert/encoder/layer.0/output``."""
    parts: list[str] = []
    for part in module.split(".") if module else []:
        if part.isdecimal() and parts:
            parts[-1] += f".{part}"
        else:
            parts.append(part)
    return "".join(f"/{part}" for part in parts)
