"""Where the time of an int8 encoder goes: a profile by operator, beside the processor's peak.

``python benchmarks/operators.py [TASK]`` prints the table of docs/limits.md. One thread runs one
batch again and again. The time of a node is its shortest, so that other work on the machine hardly
counts; the peak is the same of one large product of ONNX Runtime's own kernel, whose matrix stays
in the cache.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from quiet import cpu_facts

from nlplug import pipeline
from nlplug.runtime.session import build_session, session_options

TOKENS = 32
ROWS = (1, 12)
"""One short text, and a batch of 384 tokens."""
PEAK = (512, 1024, 1024)
_PRODUCTS = {"MatMulIntegerToFloat": 1, "QAttention": 1, "MatMul": 1, "Attention": 1, "Gemm": 1}
"""By operator: the place of its matrix."""


@dataclass
class Cost:
    """What the nodes of one operator cost in a run.

    Attributes:
        nodes: Their number.
        seconds: Their time.
        operations: Multiplications and additions of their products.
    """

    nodes: int = 0
    seconds: float = 0.0
    operations: float = 0.0


def shortest(model: Path | bytes, feeds: dict[str, Any], seconds: float) -> dict[str, Any]:
    """For each node its shortest event in ONNX Runtime's profile."""
    options = session_options(1)
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = f"{folder}/profile"
        session = build_session(model, options)
        end = perf_counter() + seconds
        while perf_counter() < end:
            session.run(None, feeds)
        events = json.loads(Path(session.end_profiling()).read_text("utf-8"))
    best: dict[str, Any] = {}
    for event in events:
        name = event["name"]
        is_node = name.endswith("_kernel_time")
        if is_node and event["dur"] < best.get(name, {"dur": np.inf})["dur"]:
            best[name] = event
    return best


def peak(seconds: float) -> float:
    """Operations per second of one large int8 product."""
    rows, inner, columns = PEAK
    random = np.random.default_rng(0)
    weights = {
        "w": random.integers(-127, 127, (inner, columns)).astype(np.int8),
        "a": np.array(0.02, np.float32),
        "b": np.full(columns, 0.01, np.float32),
        "z": np.array(128, np.uint8),
    }
    graph = helper.make_graph(
        [
            helper.make_node(
                "MatMulIntegerToFloat", ["x", "w", "a", "b", "z"], ["y"], domain="com.microsoft"
            )
        ],
        "peak",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [rows, inner])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [rows, columns])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=domains, ir_version=9)
    x = random.integers(0, 255, (rows, inner)).astype(np.uint8)
    [event] = shortest(model.SerializeToString(), {"x": x}, seconds).values()
    return 2.0 * rows * inner * columns / (event["dur"] * 1e-6)


def costs(path: Path, rows: int, seconds: float) -> dict[str, Cost]:
    """The cost of each operator for a batch of ``rows`` texts."""
    model = onnx.load(str(path))
    shapes = {item.name: tuple(item.dims) for item in model.graph.initializer}
    matrices = defaultdict[str, list[tuple[int, ...]]](list)
    for node in model.graph.node:
        if node.op_type in _PRODUCTS:
            matrices[node.op_type].append(shapes.get(node.input[_PRODUCTS[node.op_type]], ()))
    ids = np.random.default_rng(0).integers(1000, 2000, (rows, TOKENS))
    feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    declared = {item.name for item in model.graph.input}
    if "token_type_ids" in declared:
        feeds["token_type_ids"] = np.zeros_like(ids)
    found = defaultdict[str, Cost](Cost)
    # ONNX Runtime names a node by its operator and place, and keeps the order of the file.
    events = shortest(path, feeds, seconds).values()
    for event in sorted(events, key=lambda event: int(event["args"]["node_index"])):
        operator = event["args"]["op_name"]
        cost = found[operator]
        shape = (matrices[operator][cost.nodes : cost.nodes + 1] or [()])[0]
        cost.nodes += 1
        cost.seconds += event["dur"] * 1e-6
        if len(shape) == 2:
            (left,) = event["args"]["input_type_shape"][0].values()
            cost.operations += 2.0 * float(np.prod(left)) * shape[1]
            if operator.endswith("Attention"):
                # Scores and their sums: each token with each token of its text, hidden size wide.
                cost.operations += 4.0 * rows * TOKENS * TOKENS * shape[0]
    return dict(found)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("task", nargs="?", default="sentiment")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement")
    options = parser.parse_args()
    bundle = pipeline(options.task, device="cpu").bundle
    name, _, sets = cpu_facts()
    top = peak(options.seconds)
    rows, inner, columns = PEAK
    print(f"{name} ({', '.join(sets)}), one thread; {bundle.name} in int8.")
    print(f"Peak, {rows} × {inner} × {columns}: {top / 1e9:,.0f} billion operations/s.")
    for count in ROWS:
        found = costs(bundle.precisions["int8"], count, options.seconds)
        total = sum(cost.seconds for cost in found.values())
        work = sum(cost.operations for cost in found.values())
        print(f"\n**{count} × {TOKENS} tokens**: {1000 * total:.2f} ms in all nodes\n")
        print("| operator | nodes | ms | share | billion operations/s | of the peak |")
        print("|---|---:|---:|---:|---:|---:|")
        found = {"all": Cost(sum(c.nodes for c in found.values()), total, work)} | found
        for operator, cost in sorted(found.items(), key=lambda item: -item[1].seconds):
            if cost.seconds < 0.005 * total:
                continue
            speed = cost.operations / cost.seconds
            given = f"{speed / 1e9:,.0f} | {100 * speed / top:.0f} %" if speed else " | "
            print(
                f"| `{operator}` | {cost.nodes} | {1000 * cost.seconds:.2f} | "
                f"{100 * cost.seconds / total:.0f} % | {given} |"
            )


if __name__ == "__main__":
    main()
