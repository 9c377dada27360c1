"""The manifest of an exported bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nlplug.export.build_result import BuildResult
from nlplug.export.checkpoint import Checkpoint
from nlplug.export.config import ExportConfig
from nlplug.export.gate import GateResult
from nlplug.export.manifest import make_manifest, tool_versions
from nlplug.export.paired import PairedLoss
from nlplug.models.manifest import Manifest
from nlplug.task import Task

pytestmark = pytest.mark.train

PAIR = {"encoder_model": "onnx/e.onnx", "decoder_model_merged": "onnx/d.onnx"}


def result_of(precision: str, **values: Any) -> GateResult:
    loss = PairedLoss(0.00123456789, -0.01, 0.02, 9)
    return GateResult(precision, {"cosine": 0.123456789}, loss, "accuracy", **values)


@pytest.fixture
def config(toy_task: Task, tmp_path: Path) -> ExportConfig:
    return ExportConfig("x", tmp_path / "named", toy_task, ("fp32", "int8"), budget=0.02)


@pytest.fixture
def made() -> BuildResult:
    return BuildResult(
        results=[
            result_of("fp32", metrics={"accuracy": 0.9}),
            result_of("fp16"),
            result_of("int8", refused="int8 is bad"),
        ],
        files={"fp32": PAIR, "fp16": {"model": "h"}, "int8": {"model": "i"}},
        rows="9 rows",
        reference={"accuracy": 0.91},
        note="plain",
        labels=["a", "b"],
        max_length=32,
    )


def manifest_of(config: ExportConfig, made: BuildResult) -> Manifest:
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(GPT2Config(vocab_size=8, n_embd=8, n_positions=4, n_layer=0, n_head=1))
    return make_manifest(config, Checkpoint("x", model, None), made)


def test_precisions_that_were_asked_for_and_kept_are_listed(
    config: ExportConfig, made: BuildResult
) -> None:
    manifest = manifest_of(config, made)
    assert list(manifest.precisions) == ["fp32"]
    assert manifest.metrics["gate"] == {
        "rows": "9 rows",
        "budget": 0.02,
        "refused": {"int8": "int8 is bad"},
        "tried": [],
        "findings": [],
    }
    assert manifest.metrics["pytorch"] == {"accuracy": 0.91}


def test_numbers_have_six_digits(config: ExportConfig, made: BuildResult) -> None:
    record = manifest_of(config, made).precisions["fp32"]
    assert record.parity == {"cosine": 0.123457}
    assert record.metrics == {
        "accuracy": 0.9,
        "loss": 0.00123457,
        "loss_low": -0.01,
        "loss_high": 0.02,
    }


def test_several_graphs_are_listed_by_name_and_one_by_its_file(
    config: ExportConfig, made: BuildResult
) -> None:
    both = replace(config, precisions=("fp32", "fp16"))
    records = manifest_of(both, made).precisions
    assert (records["fp32"].file, records["fp32"].graphs) == ("onnx/d.onnx", PAIR)
    assert (records["fp16"].file, records["fp16"].graphs) == ("h", {})


def test_the_parameters_are_counted(config: ExportConfig, made: BuildResult) -> None:
    source = manifest_of(config, made).source
    assert (source["model_type"], source["parameters"]) == ("gpt2", str(8 * 8 + 4 * 8 + 2 * 8))


def test_the_name_is_that_of_the_folder_unless_one_is_given(
    config: ExportConfig, made: BuildResult
) -> None:
    assert manifest_of(config, made).name == "named"
    assert manifest_of(replace(config, name="other"), made).name == "other"


def test_tools_that_are_not_installed_have_no_version() -> None:
    versions = tool_versions()
    assert {"torch", "onnx", "transformers"} <= versions.keys()
    assert all(versions.values())
