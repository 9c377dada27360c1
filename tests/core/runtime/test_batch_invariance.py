"""Graphs that take scales from each batch: found, named, and run one text at a time on request."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

pytest.importorskip("onnx")

import onnx
from onnx import TensorProto, helper

from nlplug import Bundle, Pipeline
from nlplug.errors import BatchDependenceWarning
from nlplug.families.sequence_classification import SequenceClassificationTask
from nlplug.models.signature import Signature
from nlplug.testing import tiny_text_classifier


class Toy(SequenceClassificationTask):
    """What a plugin would register."""

    name = "toy"
    title = "Toy"
    description = "Good or bad?"


WORDS = {"good": (-4.0, 4.0), "bad": (4.0, -4.0), "dull": (2.0, -2.0), "so": (0.3, -0.2)}
TEXTS = ["so so", "good", "so good so dull", "bad bad bad"]


@pytest.fixture
def by_batch(tmp_path: Path) -> Bundle:
    """A classifier that rounds its logits to a grid which the batch sets."""
    bundle = tiny_text_classifier(tmp_path / "model", WORDS)
    path = bundle.onnx_file("fp32")
    model = onnx.load(path)
    for node in model.graph.node:
        node.output[:] = ["exact" if name == "logits" else name for name in node.output]
    model.graph.node.extend(
        [
            helper.make_node("DynamicQuantizeLinear", ["exact"], ["whole", "scale", "zero"]),
            helper.make_node("DequantizeLinear", ["whole", "scale", "zero"], ["logits"]),
        ]
    )
    onnx.save(model, path)
    return Bundle.open(bundle.path)


def alone_and_together(bundle: Bundle) -> list[float]:
    """How far the scores of each text differ alone and beside the others."""
    with Pipeline(Toy(), bundle, threads=1) as pipe:
        together = [answer["score"] for answer in pipe(TEXTS)]
        alone = [pipe(text)[0]["score"] for text in TEXTS]
    return [abs(one - other) for one, other in zip(alone, together, strict=True)]


def test_a_graph_that_depends_on_the_batch_is_named(by_batch: Bundle) -> None:
    assert by_batch.scales_by_batch == ["fp32"]
    with pytest.warns(BatchDependenceWarning, match="model.onnx quantizes each batch") as caught:
        assert max(alone_and_together(by_batch)) > 1e-4
    assert "NLPLUG_BATCH_INVARIANT=1" in str(caught[0].message)
    assert caught[0].filename == __file__


def test_its_texts_are_run_one_at_a_time_on_request(
    by_batch: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLPLUG_BATCH_INVARIANT", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("error", BatchDependenceWarning)
        assert alone_and_together(by_batch) == [0.0] * len(TEXTS)


def test_other_graphs_are_not_named(tmp_path: Path) -> None:
    bundle = tiny_text_classifier(tmp_path / "model", WORDS)
    assert bundle.scales_by_batch == []
    with warnings.catch_warnings():
        warnings.simplefilter("error", BatchDependenceWarning)
        Pipeline(Toy(), bundle).close()


def test_operators_in_branches_count(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    branches = [
        helper.make_graph([helper.make_node(kind, ["x"], outputs)], kind, [], [value])
        for kind, outputs in (
            ("Identity", ["y"]),
            ("DynamicQuantizeLinear", ["q", "s", "z"]),
        )
    ]
    choose = helper.make_node(
        "If", ["flag"], ["y"], then_branch=branches[0], else_branch=branches[1]
    )
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, None),
        helper.make_tensor_value_info("flag", TensorProto.BOOL, []),
    ]
    path = tmp_path / "branches.onnx"
    onnx.save(helper.make_model(helper.make_graph([choose], "g", inputs, [value])), path)
    assert Signature.read(path).scales_by_batch
