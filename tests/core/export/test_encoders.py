"""Each encoder architecture: fused, plain or refused, and the same numbers as PyTorch."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from encoder_cases import CASES
from stack_kit import TRANSFORMERS, needs_optimum

from nlplug import Pipeline
from nlplug.errors import ExportError
from nlplug.export.architectures import ENCODERS, ENCODERS_5
from nlplug.export.checkpoint import load_checkpoint
from nlplug.export.config import ExportConfig
from nlplug.export.exporters.exporter import installed_exporter
from nlplug.export.fusion import fuse
from nlplug.export.run import export_model
from nlplug.task import Task

pytestmark = pytest.mark.train

SHAPES = ((1, 3), (2, 9), (3, 16), (5, 31), (8, 48))
TOLERANCE = 1e-4
UNKNOWN = frozenset() if TRANSFORMERS >= 5 else frozenset(ENCODERS_5)
KNOWN = [name for name, (model_type, _) in CASES.items() if model_type not in UNKNOWN]


def test_every_architecture_of_the_hint_is_tested() -> None:
    assert {model_type for model_type, _ in CASES.values()} == {*ENCODERS, *ENCODERS_5}


@pytest.mark.parametrize("name", KNOWN)
def test_the_graph_computes_what_pytorch_does(
    name: str, make_checkpoint: Callable[..., Path], toy_task: Task, root: Path, tmp_path: Path
) -> None:
    import onnxruntime
    import torch

    model_type, settings = CASES[name]
    checkpoint = load_checkpoint(make_checkpoint(model_type, **settings), toy_task)
    plain = installed_exporter().one_pass(checkpoint.model, toy_task.family.exported_as, tmp_path)
    fused = fuse(plain, checkpoint.model.config, tmp_path)
    session = onnxruntime.InferenceSession(
        fused.cpu.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = {one.name for one in session.get_inputs()}
    random = np.random.default_rng(0)
    for rows, longest in SHAPES:
        lengths = random.integers(1, longest + 1, rows)
        lengths[0] = longest
        mask = (np.arange(longest) < lengths[:, None]).astype(np.int64)
        pad = checkpoint.model.config.pad_token_id
        ids = np.where(mask == 1, random.integers(5, 64, mask.shape), pad)
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(mask)}
        feeds = {key: value for key, value in feeds.items() if key in names}
        with torch.inference_mode():
            given = {key: torch.from_numpy(value) for key, value in feeds.items()}
            expected = checkpoint.model(**given).logits.numpy()
        found = session.run(None, feeds)[0]
        scale = max(1.0, float(np.abs(expected).max()))
        assert float(np.abs(found - expected).max()) / scale <= TOLERANCE, (rows, longest)
    assert _stated(root, name) == fused.note.split(":")[0]


def test_rows_of_a_model_that_reads_padding_are_not_padded(
    make_checkpoint: Callable[..., Path], toy_task: Task, tmp_path: Path
) -> None:
    source = make_checkpoint("convbert", embedding_size=32)
    made = export_model(ExportConfig(source, tmp_path / "out", toy_task, precisions=["fp32"]))
    texts = ["good", "the film was so awful and we saw it again", "a dull plot"]
    with Pipeline(toy_task, made.bundle, threads=1) as pipe:
        together = pipe(texts, top_k=None)
        for text, given in zip(texts, together, strict=True):
            assert pipe(text, top_k=None) == given
            assert given[0]["score"] == pytest.approx(_score(source, text), abs=1e-5)


def test_a_graph_tells_two_texts_apart_or_is_refused(
    make_checkpoint: Callable[..., Path], toy_task: Task, tmp_path: Path
) -> None:
    settings = {"attention_type": "original_full", "type_vocab_size": 2}
    source = make_checkpoint("big_bird", **settings)
    pairs = tmp_path / "pairs.jsonl"
    row = {"text": "the film was good", "text_pair": "a dull plot", "label": "positive"}
    pairs.write_text(json.dumps(row), encoding="utf-8")
    config = ExportConfig(
        source, tmp_path / "out", toy_task, precisions=["fp32"], eval_data=pairs, budget=1.0
    )
    if TRANSFORMERS < 5:  # Optimum leaves the input out
        with pytest.raises(ExportError, match="graph of 'big_bird' has no input token_type_ids"):
            export_model(config)
        return
    with Pipeline(toy_task, export_model(config).bundle, threads=1) as pipe:
        del row["label"]
        score = pipe(row, top_k=1)[0]["score"]
    assert score == pytest.approx(_score(source, *row.values()), abs=1e-5)


def _score(source: Path, *texts: str) -> float:
    """The best score of PyTorch."""
    import transformers

    model = transformers.AutoModelForSequenceClassification.from_pretrained(source).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    best: float = model(**tokenizer(*texts, return_tensors="pt")).logits[0].softmax(-1).max().item()
    return best


@pytest.mark.parametrize("model_type", ["neobert", *sorted(UNKNOWN)])
def test_architectures_that_transformers_does_not_have_are_refused_by_name(
    model_type: str, make_checkpoint: Callable[..., Path], toy_task: Task, root: Path
) -> None:
    folder = make_checkpoint("bert")
    config = (folder / "config.json").read_text(encoding="utf-8")
    (folder / "config.json").write_text(
        config.replace('"model_type": "bert"', f'"model_type": "{model_type}"'), encoding="utf-8"
    )
    with pytest.raises(ExportError, match=f"architecture '{model_type}'") as caught:
        load_checkpoint(folder, toy_task)
    assert "modernbert" in str(caught.value.hint)
    names = [name for name, (other, _) in CASES.items() if other == model_type] or ["NeoBERT"]
    assert [_stated(root, name) for name in names] == ["refused"]


@needs_optimum
def test_other_architectures_are_refused_by_name(
    make_checkpoint: Callable[..., Path], toy_task: Task, tmp_path: Path
) -> None:
    boxes = make_checkpoint("layoutlm")
    config = ExportConfig(boxes, tmp_path / "out", toy_task, precisions=["fp32"])
    with pytest.raises(
        ExportError, match="'layoutlm' cannot be used.*bbox cannot be fed"
    ) as caught:
        export_model(config)
    assert str(tmp_path) not in caught.value.message
    other = make_checkpoint("fnet")
    with pytest.raises(ExportError, match="fnet") as caught:
        installed_exporter().one_pass(
            load_checkpoint(other, toy_task).model, toy_task.family.exported_as, tmp_path
        )
    assert "modernbert" in str(caught.value.hint)


@pytest.mark.skipif(TRANSFORMERS < 5, reason="Optimum does not export them")
@pytest.mark.parametrize("model_type", ["fnet", "layoutlm"])
def test_encoders_without_a_mask_or_with_boxes_answer_as_in_pytorch(
    model_type: str, make_checkpoint: Callable[..., Path], toy_task: Task, tmp_path: Path
) -> None:
    import torch

    folder = make_checkpoint(model_type)
    report = export_model(ExportConfig(folder, tmp_path / "out", toy_task, precisions=["fp32"]))
    checkpoint = load_checkpoint(folder, toy_task)
    texts = ["good film", "bad plot and a lovely film with good plot good film bad", "dull"]
    wanted = []
    for text in texts:
        fields = checkpoint.tokenizer(text, return_tensors="pt")
        with torch.inference_mode():
            logits = checkpoint.model.eval()(fields["input_ids"]).logits[0]
        wanted.append(logits.softmax(-1).max().item())
    with Pipeline(toy_task, report.bundle, precision="fp32") as classify:
        alone = [classify(text)[0]["score"] for text in texts]
        together = [answer["score"] for answer in classify(texts)]  # of unequal lengths

    assert alone == pytest.approx(wanted, abs=1e-5)
    assert together == pytest.approx(wanted, abs=1e-5)


def _stated(root: Path, name: str) -> str:
    """What docs/architectures.md says of the graph of an architecture on this stack."""
    lines = (root / "docs" / "architectures.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    column = 3 if TRANSFORMERS >= 5 else 2
    return next(row[column] for row in rows if row[0] == name)
