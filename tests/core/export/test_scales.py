"""Fixed scales of activations: which range, what becomes of the graph, and what batches change."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from click.testing import CliRunner
from graph_kit import product
from onnx import TensorProto

from nlplug.cli.main import main
from nlplug.errors import ExportError, GateRefused, OptionError
from nlplug.export.calibrate_bundle import calibrate_bundle
from nlplug.export.config import ExportConfig
from nlplug.export.graph import histogram
from nlplug.export.quantize import Quantization
from nlplug.export.run import export_model
from nlplug.export.scales import ActivationRecorder, Range, best_range, fix_scales, record
from nlplug.models.bundle import Bundle
from nlplug.models.signature import Signature
from nlplug.task import Task

pytestmark = pytest.mark.train

BY_BATCH = Quantization(scales="batch")


def session_of(model: onnx.ModelProto) -> object:
    import onnxruntime

    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


@pytest.mark.parametrize("operator", ["DynamicQuantizeMatMul", "MatMulInteger"])
def test_a_row_has_the_same_result_in_every_batch(operator: str) -> None:
    random = np.random.default_rng(1)
    rows = random.normal(size=(16, 8)).astype(np.float32)
    rows[3] *= 20  # its neighbours lose nearly all of their levels to it
    model = product(operator)
    before = session_of(model)
    assert np.abs(before.run(None, {"x": rows})[0][0] - before.run(None, {"x": rows[:1]})[0]).max()

    assert fix_scales(model, record(model, [{"x": row[None]} for row in rows[:3]])) == 1
    after = session_of(model)
    (together,) = after.run(None, {"x": rows})
    for place, row in enumerate(rows):
        assert (after.run(None, {"x": row[None]})[0] == together[place]).all()


@pytest.mark.parametrize("operator", ["DynamicQuantizeMatMul", "MatMulInteger"])
def test_the_weights_stay_and_the_results_are_close(operator: str) -> None:
    rows = np.random.default_rng(1).normal(size=(64, 8)).astype(np.float32)
    model = product(operator)
    weights = {tensor.name: tensor.raw_data for tensor in model.graph.initializer}
    (exact,) = session_of(model).run(None, {"x": rows})
    fix_scales(model, record(model, [{"x": row[None]} for row in rows]))
    assert weights.items() <= {t.name: t.raw_data for t in model.graph.initializer}.items()
    assert "DynamicQuantizeLinear" not in histogram(model)
    (given,) = session_of(model).run(None, {"x": rows})
    assert np.corrcoef(given.ravel(), exact.ravel())[0, 1] > 0.999


def test_an_activation_that_no_row_reaches_is_an_error() -> None:
    with pytest.raises(ExportError, match="never reach the activation 'x'"):
        fix_scales(product("DynamicQuantizeMatMul"), {})


def test_the_range_holds_zero_exactly() -> None:
    span = Range.of(-1.3, 2.9)
    assert span.error(np.zeros(1, np.float32)).tolist() == [0.0]


def test_values_within_the_range_are_wrong_by_half_a_step_at_most() -> None:
    values = np.linspace(-1, 3, 1001, dtype=np.float32)
    span = Range.of(-1, 3)
    assert np.abs(span.error(values)).max() <= 0.501 * float(span.scale)


def test_a_single_outlier_is_clipped_where_the_product_gains_by_it() -> None:
    values = np.random.default_rng(0).normal(size=(2048, 512)).astype(np.float32)
    values[7, 3] = 12.0
    span = best_range(values, None)
    assert (255 - float(span.zero)) * span.scale < 8


def test_an_outlier_that_heavy_weights_read_is_kept() -> None:
    values = np.random.default_rng(0).normal(scale=0.1, size=(2048, 16)).astype(np.float32)
    values[:, 3] = np.linspace(0, 4, 2048)
    weight = np.full((16, 4), 0.01, np.float32)
    weight[3] = 5.0
    span = best_range(values, weight)
    assert (255 - float(span.zero)) * span.scale >= 3.6


def test_a_recorder_runs_as_a_session_does() -> None:
    model = product("DynamicQuantizeMatMul")
    rows = np.random.default_rng(1).normal(size=(3, 8)).astype(np.float32)
    recorder = ActivationRecorder(model)
    (given,) = recorder.run(None, {"x": rows, "unknown": rows})
    (expected,) = session_of(model).run(None, {"x": rows})
    assert (given == expected).all()
    assert [item.name for item in recorder.get_outputs()] == ["y"]
    assert (recorder.activations["x"] == rows).all()


def test_other_ways_of_scaling_are_refused() -> None:
    with pytest.raises(OptionError, match="scales is 'row'"):
        Quantization(scales="row")


@pytest.fixture(scope="module")
def by_batch(
    random_bert: Path, toy_task: Task, toy_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    """A bundle as nlplug wrote them before scales were fixed."""
    config = ExportConfig(
        random_bert,
        tmp_path_factory.mktemp("old") / "toy",
        toy_task,
        ("fp32", "int8"),
        eval_data=toy_data,
        budget=1.0,
        quantization=BY_BATCH,
        allow=("answers",),  # random weights answer one class
    )
    return export_model(config).bundle


def test_the_gate_measures_what_batches_change(by_batch: Bundle) -> None:
    records = by_batch.manifest.precisions
    assert records["fp32"].parity["batch_diff"] < 1e-5
    assert records["int8"].parity["batch_diff"] > 1e-4
    assert by_batch.scales_by_batch == ["int8"]


def test_an_export_has_fixed_scales_and_says_on_which_rows(
    random_bert: Path, toy_task: Task, toy_data: Path, tmp_path: Path
) -> None:
    rows = tmp_path / "train.jsonl"
    rows.write_text("".join(toy_data.read_text(encoding="utf-8").splitlines(True)[:100]))
    config = ExportConfig(
        random_bert,
        tmp_path / "out",
        toy_task,
        ("fp32", "int8"),
        eval_data=toy_data,
        calibration=rows,
        budget=1.0,
        allow=("answers",),
    )
    report = export_model(config)
    bundle = report.bundle
    assert bundle.scales_by_batch == []
    assert bundle.manifest.precisions["int8"].parity["batch_diff"] <= 1e-4
    made = bundle.manifest.metrics["quantization"]
    assert made["scales"] == "fixed"
    assert made["calibration"]["rows"] == "100 labelled rows of train.jsonl"
    assert made["calibration"]["activations"] >= 6


def test_an_int8_graph_whose_scores_depend_on_the_batch_is_refused(
    by_batch: Bundle,
    toy_task: Task,
    toy_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What an exporter that forgets an operator would leave.
    monkeypatch.setattr("nlplug.export.calibration.fix_scales", lambda *_: 1)
    config = ExportConfig(by_batch.path, tmp_path / "new", toy_task, eval_data=toy_data, budget=1.0)
    with pytest.raises(GateRefused, match="other scores in a batch than alone"):
        calibrate_bundle(config)
    assert not (tmp_path / "new").exists()


def test_a_bundle_is_calibrated_without_its_checkpoint(
    by_batch: Bundle, toy_task: Task, toy_data: Path, tmp_path: Path
) -> None:
    config = ExportConfig(
        by_batch.path,
        tmp_path / "new",
        toy_task,
        calibration=toy_data,
        eval_data=toy_data,
        budget=1.0,
    )
    bundle = calibrate_bundle(config).bundle
    bundle.verify()
    assert bundle.scales_by_batch == []
    assert list(bundle.precisions) == ["fp32", "int8"]
    old, new = by_batch.manifest, bundle.manifest
    assert new.precisions["fp32"] == old.precisions["fp32"]
    assert new.precisions["int8"].parity["batch_diff"] <= 1e-4
    assert new.precisions["int8"].parity["agreement"] > 0.9
    assert new.metrics["quantization"]["calibration"]["rows"] == "240 labelled rows of dev.jsonl"
    assert "one scale per batch" in new.metrics["gate"]["reference"]
    assert (new.labels, new.created) == (old.labels, old.created)
    with pytest.raises(OptionError, match="takes scales from each batch"):
        calibrate_bundle(ExportConfig(bundle.path, tmp_path / "again", toy_task))


def test_the_graphs_of_the_hub_are_calibrated_too(
    by_batch: Bundle, toy_task: Task, toy_data: Path, tmp_path: Path
) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    folder = tmp_path / "hub"
    (folder / "onnx").mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((by_batch.path / name).read_bytes())
    config = json.loads((folder / "config.json").read_text())
    del config["nlplug_format"]
    (folder / "config.json").write_text(json.dumps(config))
    quantize_dynamic(
        by_batch.onnx_file("fp32"),
        folder / "onnx" / "model_quantized.onnx",
        weight_type=QuantType.QInt8,
        extra_options={"DefaultTensorType": TensorProto.FLOAT},
    )
    assert Signature.read(folder / "onnx" / "model_quantized.onnx").scales_by_batch
    made = calibrate_bundle(
        ExportConfig(
            folder,
            tmp_path / "new",
            toy_task,
            calibration=toy_data,
            eval_data=toy_data,
            budget=1.0,
        )
    )
    assert made.bundle.scales_by_batch == []
    assert made.bundle.manifest.precisions["int8"].parity["batch_diff"] <= 1e-4


def test_the_command_says_what_it_needs(by_batch: Bundle, toy_data: Path, tmp_path: Path) -> None:
    wanted = ["models", "calibrate", "sentiment-en", "--data", str(toy_data)]
    found = CliRunner().invoke(main, wanted)
    assert found.exit_code != 0
    assert "--output" in found.output + str(found.exception)
    info = CliRunner().invoke(main, ["models", "info", str(by_batch.path)])
    assert "int8: the scores of a text depend on the other texts of its batch" in " ".join(
        info.output.split()
    )
