"""An embedded int8 encoder as a float32 checkpoint, from which a training can go on."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from nlplug import Bundle, pipeline
from nlplug.errors import NlplugError

pytestmark = pytest.mark.train

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "plugins" / "sentiment" / "nlplug_sentiment" / "models" / "sentiment-zh"
TEXTS = ("这家酒店很好，服务热情。", "太差了，再也不来了。", "房间一般，早餐还行。")


def test_the_checkpoint_answers_as_the_int8_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    monkeypatch.delitem(sys.modules, "dequantize", raising=False)
    from dequantize import dequantized

    bundle = Bundle.open(MODEL)
    folder = dequantized(bundle, tmp_path / "checkpoint")
    with pytest.raises(NlplugError, match="ONNX"):  # a checkpoint, and no bundle that lacks a file
        Bundle.open(folder)
    model = AutoModel.from_pretrained(folder, add_pooling_layer=False).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    graph = onnx.load(bundle.path / "onnx" / "model_int8.onnx").graph
    values = {value.name: numpy_helper.to_array(value) for value in graph.initializer}
    with pipeline("sentiment", MODEL, top_k=None) as classify:
        for text in TEXTS:
            with torch.inference_mode():
                states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state
            logits = states.mean(1).numpy() @ values["classifier.weight"].T
            logits = logits[0] + values["classifier.bias"]
            shares = np.exp(logits) / np.exp(logits).sum()
            found = {answer["label"]: answer["score"] for answer in classify(text)[0]}
            assert found["positive"] == pytest.approx(shares[1], abs=0.01)
