"""Weights outside the graph may not be read from outside the model's folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from nlplug.errors import BundleError
from nlplug.inside.part import GraphPart
from nlplug.models.bundle import Bundle
from nlplug.models.graph import Graph
from nlplug.runtime.session import OnnxExecutor

SECRET = np.arange(4, dtype=np.float32)


def evil_model(location: str, *, where: str) -> bytes:
    """A model that adds four floats from the file ``location`` to its input."""
    weights = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[4])
    weights.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "16")):
        weights.external_data.add(key=key, value=value)
    inputs = [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [4])]
    outputs = [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [4])]
    add = helper.make_node("Add", ["x", "w"], ["y"])
    if where == "initializer":
        graph = helper.make_graph([add], "evil", inputs, outputs, [weights])
    elif where == "constant":
        constant = helper.make_node("Constant", [], ["w"], value=weights)
        graph = helper.make_graph([constant, add], "evil", inputs, outputs)
    else:
        branch = helper.make_graph([add], "branch", [], outputs, [weights])
        yes = helper.make_node(
            "Constant",
            [],
            ["yes"],
            value=helper.make_tensor("t", onnx.TensorProto.BOOL, [], [True]),
        )
        choice = helper.make_node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch)
        graph = helper.make_graph([yes, choice], "evil", inputs, outputs)
    opset = helper.make_opsetid("", 17)
    return bytes(helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString())


@pytest.fixture
def folder(hub_layout: Path) -> Path:
    """A model folder with a secret file beside it, and a link to the secret inside it."""
    (hub_layout.parent / "secret.bin").write_bytes(SECRET.tobytes())
    (hub_layout / "onnx" / "link.bin").symlink_to(hub_layout.parent / "secret.bin")
    (hub_layout / "onnx" / "own.bin").write_bytes(SECRET.tobytes())
    return hub_layout


@pytest.mark.parametrize("where", ["initializer", "constant", "subgraph"])
@pytest.mark.parametrize("location", ["../../secret.bin", "absolute", "link.bin"])
def test_a_path_that_leaves_the_folder_is_refused(folder: Path, location: str, where: str) -> None:
    if location == "absolute":
        location = str(folder.parent / "secret.bin")
    (folder / "onnx" / "model.onnx").write_bytes(evil_model(location, where=where))
    executor = OnnxExecutor(Bundle.open(folder).onnx_file("fp32"), device="cpu", threads=1)
    with pytest.raises(BundleError, match="cannot load"):
        executor.run({"x": np.zeros(4, np.float32)})


def test_a_path_inside_the_folder_is_read(folder: Path) -> None:
    model = evil_model("own.bin", where="initializer")
    (folder / "onnx" / "model.onnx").write_bytes(model)
    executor = OnnxExecutor(Bundle.open(folder).onnx_file("fp32"), device="cpu", threads=1)
    assert executor.run({"x": np.zeros(4, np.float32)})["y"].tolist() == SECRET.tolist()
    executor.close()
    part = GraphPart(Graph.read(executor.path), ["w", "y"])
    found = part.run({"x": np.ones(4, np.float32)})
    assert (found["y"] - found["w"]).tolist() == [1, 1, 1, 1]
