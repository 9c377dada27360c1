"""Training that goes on from a bundle instead of a PyTorch checkpoint."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from safetensors.numpy import load_file

from nlplug import Bundle
from nlplug.errors import ExportError
from nlplug.export.restore import restored
from nlplug.families.sequence_classification.settings import SequenceClassificationConfig
from nlplug.models.seal import seal
from nlplug.task import Task
from nlplug.train.base import base_name, resolve_base, with_weights
from nlplug.train.run import fine_tune, train

pytestmark = pytest.mark.train
Make = Callable[..., SequenceClassificationConfig]
WEIGHTS = "model.safetensors"
GRAPH = Path("onnx", "model_int8.onnx")


@pytest.fixture
def made(toy_task: Task, config: Make) -> Path:
    """A bundle that was trained on the toy set."""
    return train(toy_task, config(precisions=["int8"]))


def test_training_goes_on_from_a_bundle(
    toy_task: Task, config: Make, made: Path, tmp_path: Path
) -> None:
    checkpoint = made.with_name(f"{made.name}.training") / "model"
    trained = load_file(checkpoint / WEIGHTS)
    both = tmp_path / "both"  # exact weights beside the graphs are taken
    shutil.copytree(made, both)
    shutil.copy(checkpoint / WEIGHTS, both)
    assert with_weights(resolve_base(toy_task, str(both))) == str(both)
    shutil.rmtree(made.with_name(f"{made.name}.training"))  # as where only the bundle is handed on

    again = config(base=str(made), output=made.with_name("again"), epochs=1, learning_rate=1e-9)
    found = load_file(fine_tune(toy_task, again) / WEIGHTS)
    assert found.keys() == trained.keys()
    for name, value in trained.items():  # nothing was learned: the weights, rounded to int8
        np.testing.assert_allclose(found[name], value, atol=np.abs(value).max() / 100, err_msg=name)

    # A model in a package is named as everywhere else.
    assert Path(resolve_base(toy_task, "sentiment-zh")).name == "sentiment-zh"


def test_the_card_of_the_result_names_the_base_and_its_licence(
    toy_task: Task, config: Make, made: Path, tmp_path: Path
) -> None:
    (made / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n# base\n", encoding="utf-8")
    seal(made)
    again = config(base=str(made), output=tmp_path / "again", epochs=1, precisions=["int8"])
    found = Bundle.open(train(toy_task, again)).manifest.data[0]
    assert found == {"source": made.name, "part": "base", "license": "cc-by-nc-4.0"}
    card = (tmp_path / "again" / "README.md").read_text(encoding="utf-8")
    assert f"- {made.name}: part base, license cc-by-nc-4.0" in card
    report = (tmp_path / "again.report" / "report.md").read_text(encoding="utf-8")
    assert f"trained from: {made.name}" in report


def test_a_base_has_the_name_that_was_asked_for(toy_task: Task, tmp_path: Path) -> None:
    assert base_name("some/base") == "some/base"
    assert base_name(str(tmp_path)) == str(tmp_path)
    assert base_name(with_weights(resolve_base(toy_task, "sentiment-zh"))) == "sentiment-zh"
    hub_id = "sentence-transformers/all-MiniLM-L6-v2"
    assert base_name(resolve_base(toy_task, hub_id)) == hub_id


def _without_int8(folder: Path) -> None:
    (folder / GRAPH).unlink()


def _with_a_zero_point(folder: Path) -> None:
    graph = onnx.load(folder / GRAPH)
    node = next(node for node in graph.graph.node if node.op_type == "QAttention")
    place = [value.name for value in graph.graph.initializer].index(node.input[7])
    zero = numpy_helper.to_array(graph.graph.initializer[place])
    changed = numpy_helper.from_array(np.ones_like(zero), node.input[7])
    graph.graph.initializer[place].CopyFrom(changed)
    onnx.save(graph, folder / GRAPH)


def _of_another_architecture(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**values, "model_type": "roberta"}))


def _with_a_layer_more(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**values, "num_hidden_layers": 3}))


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (_without_int8, "it has no file model_int8.onnx"),
        (_with_a_zero_point, "its graphs have another structure"),
        (_with_a_layer_more, "its graphs have another structure"),
        (_of_another_architecture, "its architecture is 'roberta'"),
    ],
)
def test_weights_that_cannot_be_read_back_are_refused(
    made: Path, tmp_path: Path, damage: Callable[[Path], None], why: str
) -> None:
    bundle = Bundle.open(made)
    damage(made)
    with pytest.raises(ExportError, match=why) as caught:
        restored(bundle, tmp_path / "checkpoint")
    assert "OUTPUT.training/model" in (caught.value.hint or "")
    assert not (tmp_path / "checkpoint").exists()
