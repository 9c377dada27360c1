"""Integrated gradients of a checkpoint, and their agreement with explanations without gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_set import toy_rows

from nlplug import PluginHost
from nlplug.errors import OptionError
from nlplug.train.attributions import agreement, integrated_gradients

pytestmark = pytest.mark.train

HEADS = {
    "sentiment": ("SequenceClassification", {"text": " ".join(r["text"] for r in toy_rows(6))}),
    "ner": ("TokenClassification", toy_rows(1)[0]["text"]),
    "qa": ("QuestionAnswering", {"question": "good", "context": toy_rows(1)[0]["text"]}),
}


@pytest.mark.parametrize("name", HEADS)
def test_weights_add_up_to_the_value_minus_the_baseline(
    name: str, tiny_bert: Path, tmp_path: Path
) -> None:
    import torch
    import transformers

    head, inputs = HEADS[name]
    labels = {"id2label": {0: "O", 1: "B-PER"}, "label2id": {"O": 0, "B-PER": 1}}
    torch.manual_seed(3)
    kind: Any = getattr(transformers, f"AutoModelFor{head}")
    model = kind.from_pretrained(tiny_bert, **labels if head != "QuestionAnswering" else {})
    with torch.no_grad():
        for key, weight in model.named_parameters():
            if weight.ndim == 2 and "embeddings" not in key:
                weight.mul_(10)
            if key == "classifier.bias":
                weight[1] = 1.0  # so that there is an entity
    model.save_pretrained(tmp_path)
    transformers.AutoTokenizer.from_pretrained(tiny_bert).save_pretrained(tmp_path)
    task = PluginHost.discover().task(name)
    found = integrated_gradients(task, tmp_path, inputs, steps=60)
    assert found is not None
    weights = [word["weight"] for word in found.words]
    assert abs(found.value - found.baseline) > 0.01
    np.testing.assert_allclose(sum(weights), found.value - found.baseline, rtol=0.1, atol=0.02)
    same = [{**word, "weight": -2 * word["weight"] + 1} for word in found.words]
    assert agreement(found, same) == pytest.approx(-1)  # type: ignore[arg-type] # a copy
    assert np.isnan(agreement(found, []))
    with pytest.raises(OptionError, match="steps is 0"):
        integrated_gradients(task, tmp_path, inputs, steps=0)
