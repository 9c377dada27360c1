"""Weights in bytes are read from the file of a graph, and all other files load as before."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from nlplug.errors import BundleError
from nlplug.models.graph import with_mapped_weights
from nlplug.runtime.session import build_session, session_options

TABLE = np.random.default_rng(0).integers(-128, 127, (4000, 64), dtype=np.int8)
IDS = np.array([0, 7, 3999], dtype=np.int64)


def write(path: Path, table: np.ndarray) -> Path:
    """Write a graph that takes rows of a table, and adds a small weight."""
    small = np.arange(64, dtype=np.float32)
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("Cast", ["rows"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["floats", "small"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "rows",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 64])],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(small, "small")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def run(path: Path) -> np.ndarray:
    [rows] = build_session(path, session_options(1)).run(None, {"ids": IDS})
    return np.asarray(rows) - np.arange(64)


def test_only_large_weights_in_bytes_stay_in_the_file(tmp_path: Path) -> None:
    content = with_mapped_weights(write(tmp_path / "model.onnx", TABLE))
    assert content is not None
    assert len(content) < 2000
    model = onnx.load_model_from_string(content)
    onnx.load_external_data_for_model(model, str(tmp_path))
    np.testing.assert_array_equal(numpy_helper.to_array(model.graph.initializer[0]), TABLE)
    # A number of several bytes must begin at a multiple of its size, which no file promises.
    assert with_mapped_weights(write(tmp_path / "f.onnx", TABLE.astype(np.float32))) is None
    assert with_mapped_weights(write(tmp_path / "s.onnx", TABLE[:100])) is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_session_maps_the_file_and_outlives_its_name(tmp_path: Path) -> None:
    path = write(tmp_path / "model.onnx", TABLE)
    session = build_session(path, session_options(1))
    assert str(path) in Path("/proc/self/maps").read_text(encoding="utf-8")
    write(tmp_path / "new.onnx", TABLE[::-1]).replace(path)
    np.testing.assert_array_equal(session.run(None, {"ids": IDS})[0] - np.arange(64), TABLE[IDS])
    np.testing.assert_array_equal(run(path), TABLE[::-1][IDS])


def test_a_link_to_a_file_elsewhere_is_followed(tmp_path: Path) -> None:
    """The layout of the Hub's cache: names that point to files named by their hashes."""
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshot").mkdir()
    blob = write(tmp_path / "blobs" / "0a1b", TABLE)
    link = tmp_path / "snapshot" / "model.onnx"
    link.symlink_to(blob)
    np.testing.assert_array_equal(run(link), TABLE[IDS])


def test_a_file_that_was_cut_off_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "model.onnx", TABLE)
    path.write_bytes(path.read_bytes()[:200_000])
    with pytest.raises(BundleError, match=r"cannot load .*model\.onnx"):
        run(path)
