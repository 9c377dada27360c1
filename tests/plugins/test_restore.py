"""An embedded int8 model as a float32 checkpoint, from which a training can go on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from nlplug import Bundle, pipeline
from nlplug.errors import NlplugError
from nlplug.export.pretrained import load_config, load_model
from nlplug.export.restore import restored
from nlplug.models.resolve import resolve
from nlplug.runtime.decoding.open import open_decoder

pytestmark = pytest.mark.train

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "plugins" / "sentiment" / "nlplug_sentiment" / "models" / "sentiment-zh"
TEXTS = ("这家酒店很好，服务热情。", "太差了，再也不来了。", "房间一般，早餐还行。")


def test_the_checkpoint_answers_as_the_int8_model(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    bundle = Bundle.open(MODEL)
    folder = restored(bundle, tmp_path / "checkpoint", head=False)
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


def test_with_its_head_the_checkpoint_is_the_whole_model(tmp_path: Path) -> None:
    import torch
    from transformers import (
        AutoModelForQuestionAnswering,
        AutoModelForSequenceClassification,
        AutoTokenizer,
    )

    folder = restored(resolve("sentiment-en"), tmp_path / "sentiment")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    judge = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with pipeline("sentiment", "sentiment-en", top_k=None) as classify:
        for text in ("I loved it.", "Not good, not bad.", "The bus leaves at noon."):
            with torch.inference_mode():
                shares = judge(**tokenizer(text, return_tensors="pt")).logits.softmax(-1)[0]
            found = {answer["label"]: answer["score"] for answer in classify(text)[0]}
            for place, label in judge.config.id2label.items():
                assert found[label] == pytest.approx(shares[place].item(), abs=0.015)

    folder = restored(Bundle.open(MODEL), tmp_path / "pooled")
    pooled = load_model(AutoModelForSequenceClassification, folder, load_config(folder)).eval()
    inputs = AutoTokenizer.from_pretrained(folder)(TEXTS[0], return_tensors="pt")
    with torch.inference_mode():
        shares = pooled(**inputs).logits.softmax(-1)[0]
    with pipeline("sentiment", MODEL, top_k=None) as classify:
        found = {answer["label"]: answer["score"] for answer in classify(TEXTS[0])[0]}
    assert found["positive"] == pytest.approx(shares[1].item(), abs=0.01)

    folder = restored(resolve("qa-en"), tmp_path / "qa")  # products in float
    finder = AutoModelForQuestionAnswering.from_pretrained(folder).eval()
    question, page = "Where does the Rhine rise?", "The Rhine rises in the Swiss Alps."
    inputs = AutoTokenizer.from_pretrained(folder)(question, page, return_tensors="pt")
    with torch.inference_mode():
        outputs = finder(**inputs)
    first, last = outputs.start_logits.argmax(), outputs.end_logits.argmax()
    found = tokenizer.decode(inputs["input_ids"][0, first : last + 1])
    with pipeline("qa", "qa-en") as ask:
        assert ask(question=question, context=page)["answer"].lower() == found


def test_a_translator_is_restored(tmp_path: Path) -> None:
    from transformers import AutoTokenizer, MarianMTModel

    folder = restored(resolve("translation-en-fr"), tmp_path / "translation")
    model = MarianMTModel.from_pretrained(folder).eval()
    tokens = AutoTokenizer.from_pretrained(folder)
    texts = ["Where is the station?", "I live in London.", "The weather is nice today."]
    inputs = tokens(texts, return_tensors="pt", padding=True)
    made = model.generate(inputs["input_ids"], attention_mask=inputs["attention_mask"], num_beams=1)
    found = tokens.batch_decode(made, skip_special_tokens=True)
    with pipeline("translation", "translation-en-fr", num_beams=1) as translate:
        assert found == [answer["translation_text"] for answer in translate(texts)]


def test_a_model_in_blocks_is_restored(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    bundle = resolve("tales-en")
    folder = restored(bundle, tmp_path / "tales")
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokens = AutoTokenizer.from_pretrained(folder)
    decoder = open_decoder(bundle.path / "onnx" / "model_int8.onnx", threads=1)
    for text in ("Once upon a time there was a king who had three sons.", "The old woman said:"):
        ids = tokens(text)["input_ids"]
        found = decoder.start([ids]).logits[0]
        with torch.no_grad():
            right = model(torch.tensor([ids])).logits[0, -1].numpy()
        # The graph rounds activations too.
        assert np.abs(found - right).mean() < 0.03 * right.std()
