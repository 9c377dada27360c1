"""Sessions say where they really run, and name what they cannot load."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from nlplug.errors import BundleError, DeviceError, DeviceFallbackWarning, OptionError
from nlplug.models.bundle import Bundle
from nlplug.models.precision import preferred_precision
from nlplug.runtime.device import Device, parse_device
from nlplug.runtime.session import OnnxExecutor
from nlplug.testing import tiny_text_classifier

FEEDS = {
    "input_ids": np.array([[2, 4, 3]], dtype=np.int64),
    "attention_mask": np.ones((1, 3), dtype=np.int64),
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_text_classifier(tmp_path_factory.mktemp("tiny"))


def test_the_graph_is_run(bundle: Bundle) -> None:
    executor = OnnxExecutor(bundle.onnx_file("fp32"), threads=2)
    for alone in (True, False):
        logits = executor.run(FEEDS, alone=alone)["logits"]
        np.testing.assert_allclose(logits, [[-4 / 3, 4 / 3]], rtol=1e-6)


def test_many_threads_may_run_at_once(bundle: Bundle) -> None:
    executor = OnnxExecutor(bundle.onnx_file("fp32"), threads=4)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: executor.run(FEEDS)["logits"][0, 1], range(200)))
    assert results == pytest.approx([4 / 3] * 200)


def test_one_session_is_built_for_one_kind_of_work(bundle: Bundle) -> None:
    executor = OnnxExecutor(bundle.onnx_file("fp32"), threads=2)
    executor.run(FEEDS, alone=True)
    executor.run(FEEDS, alone=True)
    assert executor.open_sessions == ("alone",)


def test_it_runs_again_after_it_was_closed(bundle: Bundle) -> None:
    executor = OnnxExecutor(bundle.onnx_file("fp32"))
    before = executor.run(FEEDS)["logits"]
    executor.close()
    np.testing.assert_array_equal(executor.run(FEEDS)["logits"], before)


def test_a_file_that_is_no_graph_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "model.onnx"
    broken.write_bytes(b"not a graph")
    with pytest.raises(BundleError, match="model.onnx"):
        OnnxExecutor(broken).run(FEEDS)


@pytest.mark.parametrize("threads", [0, -2, 1025])
def test_threads_out_of_bounds_are_refused(bundle: Bundle, threads: int) -> None:
    with pytest.raises(OptionError, match=str(threads)):
        OnnxExecutor(bundle.onnx_file("fp32"), threads=threads)


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cpu:1", "openvino:x", ""])
def test_an_unknown_device_is_refused(name: str) -> None:
    with pytest.raises(DeviceError, match="Unknown device"):
        parse_device(name)


def test_a_card_is_chosen_by_its_index() -> None:
    assert str(parse_device("cuda:1")) == "cuda:1"


@pytest.mark.parametrize(
    ("name", "full", "on_cpu"),
    [("openvino", "openvino:cpu", True), ("OpenVINO:GPU", "openvino:gpu", False)],
)
def test_openvino_runs_on_the_cpu_or_another_processor(name: str, full: str, on_cpu: bool) -> None:
    device = parse_device(name)
    assert (str(device), device.on_cpu) == (full, on_cpu)


@pytest.mark.skipif(Device("openvino").built_in, reason="this ONNX Runtime has OpenVINO")
def test_without_openvino_the_cpu_is_used_with_a_warning(bundle: Bundle) -> None:
    with pytest.warns(DeviceFallbackWarning, match=r"nlplug\[openvino\]"):
        executor = OnnxExecutor(bundle.onnx_file("fp32"), device="openvino")
    assert executor.device == "cpu"


@pytest.mark.skipif(not Device("openvino").built_in, reason="this ONNX Runtime has no OpenVINO")
@pytest.mark.parametrize("alone", [False, True])
def test_openvino_gives_the_answer_of_the_cpu(bundle: Bundle, alone: bool) -> None:
    executor = OnnxExecutor(bundle.onnx_file("fp32"), device="openvino", threads=2)
    assert executor.device == "openvino:cpu"
    found = executor.run(FEEDS, alone=alone)["logits"]
    np.testing.assert_allclose(found, [[-4 / 3, 4 / 3]], rtol=1e-4)


@pytest.mark.skipif(Device("cuda").present, reason="this machine has CUDA")
def test_a_fallback_to_the_cpu_is_said_loudly(
    bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.warns(DeviceFallbackWarning, match="running on the CPU") as caught:
        executor = OnnxExecutor(bundle.onnx_file("fp32"), device="cuda")
    assert caught[0].filename == __file__
    assert executor.device == "cpu"
    np.testing.assert_allclose(executor.run(FEEDS)["logits"], [[-4 / 3, 4 / 3]], rtol=1e-6)
    assert capsys.readouterr().out == ""  # ONNX Runtime prints what it cannot load


@pytest.mark.skipif(Device("cuda").present, reason="this machine has CUDA")
def test_auto_takes_the_cpu_in_silence_where_there_is_no_gpu(bundle: Bundle) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert OnnxExecutor(bundle.onnx_file("fp32"), device="auto").device == "cpu"


def test_a_build_with_cuda_answers_on_the_cpu_where_no_card_is(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(bundle.path, tmp_path / "both")
    file = tmp_path / "both" / "onnx" / "model.onnx"
    shutil.copy(file, file.with_name("model_fp16.onnx"))
    both = Bundle.open(tmp_path / "both")
    names = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: names)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert str(parse_device("auto")) == "cpu"
    # Half precision is fast on a GPU and slow on the CPU.
    assert [preferred_precision(both, device) for device in ("auto", "cuda")] == ["fp32", "fp32"]


def test_bound_inputs_and_outputs_give_the_same_answer(bundle: Bundle) -> None:
    """The path of the GPU, run on the CPU's own memory."""
    executor = OnnxExecutor(bundle.onnx_file("fp32"))
    session = executor._session(alone=False)
    bound = executor._run_bound(session, FEEDS, executor.output_names)
    np.testing.assert_array_equal(bound[0], executor.run(FEEDS)["logits"])


@pytest.mark.gpu
def test_the_gpu_gives_the_answer_of_the_cpu(bundle: Bundle) -> None:
    executor = OnnxExecutor(bundle.onnx_file("fp32"), device="cuda")
    assert executor.device == "cuda:0"
    np.testing.assert_allclose(executor.run(FEEDS)["logits"], [[-4 / 3, 4 / 3]], rtol=1e-3)


def test_onnx_runtime_records_nothing_about_its_use(tmp_path: Path) -> None:
    places = {name: str(tmp_path) for name in ("HOME", "XDG_CACHE_HOME", "TMPDIR")}
    env = {name: v for name, v in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    code = "from nlplug.runtime.device import onnxruntime; onnxruntime().get_available_providers()"
    subprocess.run([sys.executable, "-c", code], env=env | places, check=True)
    assert list(tmp_path.rglob("*")) == []
