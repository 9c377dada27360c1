"""The quality gate: what passes, what is refused, and with which numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from nlplug.errors import GateRefused
from nlplug.export.quantize import Quantization
from nlplug.export.run import ExportConfig, ExportReport, export_model
from nlplug.models.bundle import Bundle
from nlplug.task import Task

pytestmark = pytest.mark.train

RUINED = Quantization(per_channel=False)


@pytest.fixture(scope="module")
def good(
    trained_bert: Path, toy_task: Task, toy_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> ExportReport:
    output = tmp_path_factory.mktemp("good") / "out"
    return export_model(
        ExportConfig(trained_bert, output, toy_task, ("fp32", "int8"), eval_data=toy_data)
    )


def test_the_trained_model_is_good_so_that_there_is_something_to_lose(good: ExportReport) -> None:
    assert good.reference["accuracy"] > 0.95


def test_a_sound_int8_passes_with_its_metric_and_loss_in_the_manifest(good: ExportReport) -> None:
    record = good.bundle.manifest.precisions["int8"]
    assert record.metrics["accuracy"] >= good.reference["accuracy"] - 0.005
    assert record.metrics["loss"] <= 0.005
    assert record.metrics["loss_low"] <= record.metrics["loss"] <= record.metrics["loss_high"]
    assert good.bundle.manifest.metrics["gate"]["rows"] == "240 labelled rows of dev.jsonl"


def test_fp32_agrees_with_pytorch_in_every_row(good: ExportReport) -> None:
    fp32 = good.results[0]
    assert fp32.precision == "fp32"
    assert fp32.parity["max_abs_diff"] < 1e-4
    assert (fp32.parity["agreement"], fp32.loss.mean) == (1.0, 0.0)


def test_too_few_rows_to_be_sure_are_said_to_be_so(good: ExportReport) -> None:
    assert good.results[0].uncertain is not None
    assert "about 600 rows could" in good.results[0].uncertain


def test_a_ruined_int8_is_left_out_with_its_numbers(
    trained_bert: Path, toy_task: Task, toy_data: Path, tmp_path: Path
) -> None:
    config = ExportConfig(
        trained_bert,
        tmp_path / "out",
        toy_task,
        ("fp32", "int8"),
        eval_data=toy_data,
        quantization=RUINED,
        repair_seconds=0,
    )
    report = export_model(config)
    assert list(report.bundle.precisions) == ["fp32"]
    assert not (report.bundle.path / "onnx" / "model_int8.onnx").exists()
    refused = report.bundle.manifest.metrics["gate"]["refused"]["int8"]
    loss = report.results[1].loss
    assert loss.mean > 0.05
    assert f"int8 loses {loss.mean * 100:.2f} points of accuracy" in refused
    assert "above the budget of 0.50 points" in refused


def test_a_ruined_int8_does_not_replace_a_bundle_that_has_a_sound_one(
    trained_bert: Path, toy_task: Task, toy_data: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    settings = {"source": trained_bert, "output": output, "task": toy_task, "eval_data": toy_data}
    export_model(ExportConfig(**settings, precisions=("fp32", "int8")))
    before = (output / "nlplug.json").read_bytes()
    with pytest.raises(GateRefused, match=r"int8 loses .* points of accuracy") as caught:
        export_model(
            ExportConfig(
                **settings, precisions=("fp32", "int8"), quantization=RUINED, repair_seconds=0
            )
        )
    assert "The earlier bundle" in caught.value.message
    assert caught.value.exit_code == 7
    assert (output / "nlplug.json").read_bytes() == before
    Bundle.open(output, verify=True)
    assert list(tmp_path.iterdir()) == [output]


def test_when_nothing_is_left_nothing_is_written(
    trained_bert: Path, toy_task: Task, toy_data: Path, tmp_path: Path
) -> None:
    config = ExportConfig(
        trained_bert,
        tmp_path / "out",
        toy_task,
        ("int8",),
        toy_data,
        quantization=RUINED,
        repair_seconds=0,
    )
    with pytest.raises(GateRefused, match="was not written"):
        export_model(config)
    assert list(tmp_path.iterdir()) == []


def test_a_required_precision_that_is_refused_fails_the_export(
    trained_bert: Path, toy_task: Task, toy_data: Path, tmp_path: Path
) -> None:
    config = ExportConfig(
        trained_bert,
        tmp_path / "out",
        toy_task,
        ("fp32", "int8"),
        toy_data,
        required=("int8",),
        quantization=RUINED,
        repair_seconds=0,
    )
    with pytest.raises(GateRefused):
        export_model(config)


def test_a_wide_budget_lets_even_a_ruined_int8_pass(
    trained_bert: Path, toy_task: Task, toy_data: Path, tmp_path: Path
) -> None:
    config = ExportConfig(
        trained_bert,
        tmp_path / "out",
        toy_task,
        ("fp32", "int8"),
        toy_data,
        budget=1.0,
        quantization=RUINED,
        repair_seconds=0,
    )
    assert set(export_model(config).bundle.precisions) == {"fp32", "int8"}


def test_without_labels_a_ruined_int8_is_refused_by_pytorchs_own_word(
    trained_bert: Path, toy_task: Task, toy_data: Path, tmp_path: Path
) -> None:
    data = tmp_path / "texts.txt"
    texts = [line.split('"')[3] for line in toy_data.read_text(encoding="utf-8").splitlines()]
    data.write_text("\n".join(texts), encoding="utf-8")
    config = ExportConfig(
        trained_bert,
        tmp_path / "out",
        toy_task,
        ("fp32", "int8"),
        data,
        quantization=RUINED,
        repair_seconds=0,
    )
    report = export_model(config)
    assert report.rows == "240 rows of texts.txt, without labels"
    assert "points of expected agreement with PyTorch" in (report.results[1].refused or "")


def test_without_data_the_examples_and_built_in_sentences_are_compared(
    trained_bert: Path, toy_task: Task, tmp_path: Path
) -> None:
    report = export_model(ExportConfig(trained_bert, tmp_path / "out", toy_task, ("fp32",)))
    assert report.rows == "the task's examples and built-in sentences, without labels"
    assert report.results[0].parity["rows"] > len(toy_task.examples)
    assert report.reference == {}
