"""From a checkpoint to a bundle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stack_kit import TRANSFORMERS

from nlplug.errors import BundleIncomplete, DataError, ExportError, ModelNotFound, OptionError
from nlplug.export.run import ExportConfig, export_model
from nlplug.models.bundle import Bundle
from nlplug.pipelines import Pipeline
from nlplug.task import Task

pytestmark = pytest.mark.train

TEXTS = ["the film was good", "a dull plot and so weak", "superb", "we saw it again " * 9]


def torch_logits(checkpoint: Path, texts: list[str]) -> np.ndarray:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint).eval()
    with torch.inference_mode():
        logits: np.ndarray = model(
            **tokenizer(texts, padding=True, return_tensors="pt")
        ).logits.numpy()
    return logits


def bundle_logits(task: Task, bundle: Bundle, precision: str, texts: list[str]) -> np.ndarray:
    with Pipeline(
        task, bundle, precision=precision, options={"function_to_apply": "none", "top_k": None}
    ) as pipe:
        answers = list(pipe.answers(texts))
    return np.array(
        [
            [{a["label"]: a["score"] for a in row}[label] for label in bundle.labels]
            for row in answers
        ]
    )


@pytest.fixture(scope="module")
def exported(random_bert: Path, toy_task: Task, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    output = tmp_path_factory.mktemp("exported") / "bundle"
    config = ExportConfig(
        source=random_bert,
        output=output,
        task=toy_task,
        budget=1.0,
        name="toy-en",
        license="Apache-2.0",
        languages=["en"],
        data=[{"source": "toy"}],
        card="# toy-en\n",
    )
    return export_model(config).bundle


@pytest.mark.parametrize(
    ("precision", "tolerance"), [("fp32", 1e-5), ("fp16", 1e-2), ("int8", 0.1)]
)
def test_every_precision_gives_what_pytorch_gives(
    exported: Bundle, random_bert: Path, toy_task: Task, precision: str, tolerance: float
) -> None:
    expected = torch_logits(random_bert, TEXTS)
    given = bundle_logits(toy_task, exported, precision, TEXTS)
    assert np.abs(expected).max() > 0.3  # so that the tolerance means something
    np.testing.assert_allclose(given, expected, atol=tolerance)


def test_the_bundle_is_in_the_layout_of_the_hub(exported: Bundle) -> None:
    assert set(exported.manifest.files) == {
        "README.md",
        "config.json",
        "onnx/model.onnx",
        "onnx/model_fp16.onnx",
        "onnx/model_int8.onnx",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    exported.verify()


def test_transformers_reads_config_and_tokenizer_of_the_bundle(exported: Bundle) -> None:
    from transformers import AutoConfig, AutoTokenizer

    config = AutoConfig.from_pretrained(exported.path)
    assert (config.model_type, config.id2label) == ("bert", {0: "negative", 1: "positive"})
    assert AutoTokenizer.from_pretrained(exported.path).model_max_length == 48


def test_the_manifest_says_what_it_is_and_how_it_was_made(exported: Bundle) -> None:
    manifest = exported.manifest
    assert (manifest.name, manifest.task, manifest.hub_task) == (
        "toy-en",
        "toy",
        "text-classification",
    )
    assert manifest.labels == ["negative", "positive"]
    assert manifest.max_length == 48
    exporter = ("optimum", "optimum-onnx") if TRANSFORMERS < 5 else ("onnxscript",)
    assert {"torch", "onnxruntime", "transformers", *exporter} <= manifest.tools.keys()
    assert manifest.source["exporter"] == ("optimum" if TRANSFORMERS < 5 else "torch.onnx")
    assert manifest.metrics["graph"].startswith("fused: 2 Attention")
    parity = manifest.precisions["int8"].parity
    assert 0 < parity["mean_abs_diff"] <= parity["max_abs_diff"] < 0.1


def test_no_path_of_the_machine_gets_into_the_bundle(exported: Bundle, random_bert: Path) -> None:
    for name in ("nlplug.json", "config.json", "tokenizer_config.json", "tokenizer.json"):
        assert str(random_bert.parent) not in (exported.path / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("model_type", "settings", "operator"),
    [
        ("roberta", {}, "QAttention"),
        ("distilbert", {}, "QAttention"),
        ("electra", {"embedding_size": 16}, "QAttention"),
        ("albert", {"embedding_size": 16}, "MatMulIntegerToFloat"),
        ("mpnet", {}, "MatMulIntegerToFloat"),
    ],
)
def test_other_architectures_export_and_pass_the_parity_check(
    make_checkpoint: Callable[..., Path],
    toy_task: Task,
    tmp_path: Path,
    model_type: str,
    settings: dict[str, Any],
    operator: str,
) -> None:
    import onnx

    checkpoint = make_checkpoint(model_type, **settings)
    report = export_model(
        ExportConfig(
            source=checkpoint,
            output=tmp_path / "out",
            task=toy_task,
            precisions=("fp32", "int8"),
            budget=1.0,
        )
    )
    assert report.results[0].parity["max_abs_diff"] < 1e-5
    assert report.results[1].parity["max_abs_diff"] < 0.15
    graph = onnx.load(report.bundle.onnx_file("int8")).graph
    assert operator in {node.op_type for node in graph.node}


def test_an_architecture_without_fusion_stays_plain_and_says_so(
    make_checkpoint: Callable[..., Path], toy_task: Task, tmp_path: Path
) -> None:
    config = ExportConfig(make_checkpoint("mpnet"), tmp_path / "out", toy_task, ("fp32",))
    bundle = export_model(config).bundle
    assert bundle.manifest.metrics["graph"] == "plain: no fusion for mpnet"


def test_only_what_is_asked_for_is_kept(random_bert: Path, toy_task: Task, tmp_path: Path) -> None:
    config = ExportConfig(random_bert, tmp_path / "out", toy_task, ("int8",), budget=1.0)
    bundle = export_model(config).bundle
    assert list(bundle.precisions) == ["int8"]
    assert not (bundle.path / "onnx" / "model.onnx").exists()


def test_a_shorter_window_holds_for_every_reader_of_the_bundle(
    random_bert: Path, toy_task: Task, tmp_path: Path
) -> None:
    config = ExportConfig(random_bert, tmp_path / "out", toy_task, ("fp32",), max_length=16)
    bundle = export_model(config).bundle
    settings = json.loads((bundle.path / "tokenizer_config.json").read_bytes())
    assert (bundle.max_length, settings["model_max_length"]) == (16, 16)


def test_a_window_longer_than_the_model_has_is_refused(
    random_bert: Path, toy_task: Task, tmp_path: Path
) -> None:
    config = ExportConfig(random_bert, tmp_path / "out", toy_task, ("fp32",), max_length=999)
    with pytest.raises(OptionError, match="max_length is 999, but the model's window is 48"):
        export_model(config)
    assert list(tmp_path.iterdir()) == []


def test_a_model_without_a_trained_head_is_refused(
    toy_task: Task, toy_tokenizer: Any, tmp_path: Path
) -> None:
    from transformers import BertConfig, BertModel

    BertModel(
        BertConfig(vocab_size=64, hidden_size=32, num_hidden_layers=1, num_attention_heads=2)
    ).save_pretrained(tmp_path / "base")
    toy_tokenizer.save_pretrained(tmp_path / "base")
    with pytest.raises(ExportError, match=r"has no weights for classifier\.bias"):
        export_model(ExportConfig(tmp_path / "base", tmp_path / "out", toy_task))
    assert not (tmp_path / "out").exists()


def test_pickled_weights_are_not_read(random_bert: Path, toy_task: Task, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(random_bert, tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").rename(tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(ExportError, match="cannot be loaded") as caught:
        export_model(ExportConfig(tmp_path / "pickled", tmp_path / "out", toy_task))
    assert "pickled" in (caught.value.hint or "")


def test_a_repository_out_of_reach_is_asked_for_once(
    toy_task: Task,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with pytest.raises(ModelNotFound, match="cannot be reached"):
        export_model(ExportConfig("somebody/model", tmp_path / "out", toy_task))
    assert not caplog.messages


def _with_labels(checkpoint: Path, folder: Path, labels: dict[str, str] | None) -> Path:
    import shutil

    shutil.copytree(checkpoint, folder)
    config = json.loads((folder / "config.json").read_bytes())
    config.pop("id2label")
    config.pop("label2id", None)
    if labels is not None:
        config["id2label"] = labels
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def test_a_checkpoint_that_names_no_labels_gets_those_that_transformers_gives(
    random_bert: Path, toy_task: Task, tmp_path: Path
) -> None:
    checkpoint = _with_labels(random_bert, tmp_path / "nameless", None)
    bundle = export_model(ExportConfig(checkpoint, tmp_path / "out", toy_task, ("fp32",))).bundle
    assert bundle.manifest.labels == ["LABEL_0", "LABEL_1"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"0": "bad", "1": "so so", "2": "good"}, "num_labels is 3, the tensor has 2"),
        ({"1": "bad", "2": "good"}, "are 1, 2, not 0 to 1"),
    ],
)
def test_labels_that_do_not_fit_the_weights_are_refused(
    random_bert: Path, toy_task: Task, tmp_path: Path, labels: dict[str, str], message: str
) -> None:
    checkpoint = _with_labels(random_bert, tmp_path / "misfit", labels)
    with pytest.raises(ExportError, match=message):
        export_model(ExportConfig(checkpoint, tmp_path / "out", toy_task, ("fp32",)))
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_there_is_named(toy_task: Task, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="no folder"):
        export_model(ExportConfig(tmp_path / "absent", tmp_path / "out", toy_task))


def test_an_unknown_precision_is_refused_before_anything_is_done(
    random_bert: Path, toy_task: Task, tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match="no precision 'int4'"):
        export_model(ExportConfig(random_bert, tmp_path / "out", toy_task, ("int4",)))
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_label_in_the_data_stops_the_export_and_leaves_nothing(
    random_bert: Path, toy_task: Task, tmp_path: Path
) -> None:
    data = tmp_path / "dev.csv"
    data.write_text("text,label\ngood,positive\nso so,neutral\n", encoding="utf-8")
    config = ExportConfig(random_bert, tmp_path / "out", toy_task, eval_data=data)
    with pytest.raises(DataError, match=r"dev\.csv:3: unknown label 'neutral'"):
        export_model(config)
    assert [path.name for path in tmp_path.iterdir()] == ["dev.csv"]


_KILLED = """
import os, signal, sys
from pathlib import Path
from nlplug.export.run import ExportConfig, export_model
from nlplug.families.sequence_classification import SequenceClassificationTask

class Killed(SequenceClassificationTask):
    name, title, description = "toy", "Toy", "Dies when the graphs are there."
    def bind(self, bundle):
        os.kill(os.getpid(), signal.SIGKILL)

export_model(ExportConfig(Path(sys.argv[1]), Path(sys.argv[2]), Killed()))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
def test_a_killed_export_leaves_nothing_that_looks_whole(
    random_bert: Path, toy_task: Task, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    earlier = export_model(ExportConfig(random_bert, output, toy_task, ("fp32",), name="earlier"))
    command = [sys.executable, "-c", _KILLED, str(random_bert), str(output)]
    killed = subprocess.run(command, env=dict(os.environ), capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert Bundle.open(output, verify=True).name == earlier.bundle.name == "earlier"
    left = [path for path in tmp_path.iterdir() if path != output]
    assert len(left) == 1
    with pytest.raises(BundleIncomplete):
        Bundle.open(left[0])
    export_model(ExportConfig(random_bert, output, toy_task, ("fp32",), name="later"))
    assert Bundle.open(output).name == "later"
    assert list(tmp_path.iterdir()) == [output]
