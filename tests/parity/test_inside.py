"""Attention weights and nearest tokens beside those of the PyTorch model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parity.models import ARCHITECTURES, usually

pytestmark = pytest.mark.train

SOME = usually(ARCHITECTURES, "BERT", "DistilBERT", "RoBERTa", "ELECTRA")
TEXT = "The cat sat on the mat, and nobody knew why."
_SETTINGS = {"problem_type": "single_label_classification"}


@pytest.mark.parametrize("architecture", SOME)
def test_attention_is_that_of_the_checkpoint(
    architecture: str, ours: Callable[..., Any], exported: Callable[..., tuple[Path, Any]]
) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification

    checkpoint, _ = exported(architecture, "classification", **_SETTINGS)
    found = ours(architecture, "classification", **_SETTINGS).inside(TEXT)
    (attention,) = found.attention
    model = AutoModelForSequenceClassification.from_pretrained(
        checkpoint, attn_implementation="eager"
    ).eval()
    ids = [token.id for token in found.tokens]
    with torch.no_grad():
        expected = model(torch.tensor([ids]), output_attentions=True).attentions
        table = model.get_input_embeddings().weight.numpy()
    expected = np.stack([layer[0].numpy() for layer in expected])
    assert attention.weights.shape == expected.shape == (2, 4, len(ids), len(ids))
    np.testing.assert_allclose(attention.weights, expected, atol=1e-4)
    np.testing.assert_allclose(attention.weights.sum(axis=-1), 1, atol=1e-5)

    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    for token in found.neighbors:
        cosines = unit @ unit[token.id]
        assert [one.cosine for one in token.neighbors] == pytest.approx(
            [cosines[one.id] for one in token.neighbors], abs=1e-4
        )
        assert token.neighbors[0].cosine == pytest.approx(
            max(cosines[i] for i in range(5, len(cosines)) if i != token.id), abs=1e-4
        )
