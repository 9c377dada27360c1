"""The signature that is read from a file is the one that ONNX Runtime gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from graph_kit import write_classifier
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from nlplug.errors import BundleError
from nlplug.models.signature import Signature, TensorInfo
from nlplug.testing import tiny_question_answerer, tiny_token_classifier, tiny_translator

WEIGHTS = np.ones((8, 2), np.float32)
NAMES = {"float": "float32", "int64": "int64", "int32": "int32", "bool": "bool"}


def declared(values: list[onnxruntime.NodeArg]) -> dict[str, tuple[str, list[int | None]]]:
    return {
        value.name: (
            NAMES[value.type[7:-1]],
            [size if isinstance(size, int) else None for size in value.shape],
        )
        for value in values
    }


def read(path: Path) -> list[dict[str, tuple[str, list[int | None]]]]:
    found = Signature.read(path)
    return [
        {name: (info.type, list(info.shape or ())) for name, info in infos.items()}
        for infos in (found.inputs, found.outputs)
    ]


@pytest.mark.parametrize("kind", ["classifier", "fixed", "reader", "tagger", "translator"])
def test_it_is_what_the_session_declares(tmp_path: Path, kind: str) -> None:
    if kind == "classifier":
        write_classifier(tmp_path / "m.onnx", WEIGHTS, mask="bool", types="token_type_ids")
    elif kind == "fixed":
        write_classifier(tmp_path / "m.onnx", WEIGHTS, kind="int32", batch=1, length=32)
    elif kind == "reader":
        tiny_question_answerer(tmp_path)
    elif kind == "tagger":
        tiny_token_classifier(tmp_path)
    else:
        tiny_translator(tmp_path)
    files = sorted(tmp_path.rglob("*.onnx"))
    assert files
    for file in files:
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        expected = declared(session.get_inputs()), declared(session.get_outputs())
        for ours, theirs in zip(read(file), expected, strict=True):
            assert list(ours) == list(theirs)
            for (type_, shape), (their_type, their_shape) in zip(
                ours.values(), theirs.values(), strict=True
            ):
                # A session infers some sizes that the file leaves free.
                inferred = [
                    None if own is None else size
                    for own, size in zip(shape, their_shape, strict=True)
                ]
                assert (type_, shape) == (their_type, inferred)


def test_weights_of_old_graphs_are_no_inputs(tmp_path: Path) -> None:
    weights = numpy_helper.from_array(WEIGHTS, "weights")
    graph = helper.make_graph(
        [helper.make_node("Gather", ["weights", "input_ids"], ["y"])],
        "old",
        [
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", -1]),
            helper.make_tensor_value_info("weights", TensorProto.FLOAT, [8, 2]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [weights],
    )
    path = tmp_path / "old.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=3)
    path.write_bytes(model.SerializeToString())
    found = Signature.read(path)
    assert found.inputs == {"input_ids": TensorInfo("int64", (None, None))}
    assert found.outputs == {"y": TensorInfo("float32", None)}


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    write_classifier(path, WEIGHTS)
    assert Signature.read(path).fixed(1) == set()
    write_classifier(path, WEIGHTS, length=32)
    assert Signature.read(path).fixed(1) == {32}


@given(st.binary(max_size=200))
def test_no_content_raises_anything_else(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"m\.onnx is (not an ONNX graph|encrypted)"):
        Signature.read(path)


@given(cut=st.integers(0, 400))
def test_a_file_that_was_cut_off_is_refused_or_read(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "m.onnx"
    write_classifier(path, WEIGHTS)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(BundleError, match="is not an ONNX graph"):
        Signature.read(path)
