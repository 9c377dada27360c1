"""The optimizer's groups: which parameters are decayed, and how fast each layer learns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import (
    BartConfig,
    BartModel,
    BertConfig,
    BertForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen3Config,
    Qwen3ForCausalLM,
)
from transformers.pytorch_utils import Conv1D

from nlplug.train.config import TrainConfig
from nlplug.train.trainer import parameter_groups

pytestmark = pytest.mark.train

SIZES = {"vocab_size": 20, "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 2}
BART = {"encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
MAKE: dict[str, Callable[[], PreTrainedModel]] = {
    "bert": lambda: BertForSequenceClassification(BertConfig(**SIZES, **HEADS)),
    "bart": lambda: BartModel(BartConfig(vocab_size=20, d_model=16, **BART)),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, **HEADS)),
    "qwen3": lambda: Qwen3ForCausalLM(
        Qwen3Config(**SIZES, **HEADS, num_key_value_heads=2, head_dim=4)
    ),
}


def settings(**values: Any) -> TrainConfig:
    return TrainConfig.model_validate({"base": "b", "data": ["d"], "output": "o", **values})


@pytest.mark.parametrize("architecture", MAKE)
def test_norms_and_biases_are_not_decayed_and_all_else_is(architecture: str) -> None:
    model = MAKE[architecture]()

    groups = parameter_groups(model, settings(weight_decay=0.1))

    decay = {p: group["weight_decay"] for group in groups for p in group["params"]}
    products = (torch.nn.Linear, torch.nn.Embedding, Conv1D)
    matrices = {module.weight for module in model.modules() if isinstance(module, products)}
    assert set(decay) == set(model.parameters())
    assert {p for p, value in decay.items() if value == 0.1} == matrices
    assert {p for p, value in decay.items() if value == 0.0} == set(decay) - matrices


def test_the_learning_rate_falls_by_one_factor_for_each_layer_below_the_head() -> None:
    model = MAKE["bert"]()

    groups = parameter_groups(model, settings(learning_rate=1.0, layer_decay=0.5))

    names = {parameter: name for name, parameter in model.named_parameters()}
    rates = {names[p]: group["lr"] for group in groups for p in group["params"]}
    assert rates["classifier.weight"] == 1.0
    assert rates["bert.pooler.dense.weight"] == 0.5
    assert rates["bert.encoder.layer.1.output.dense.weight"] == 0.5
    assert rates["bert.encoder.layer.0.output.dense.bias"] == 0.25
    assert rates["bert.embeddings.LayerNorm.weight"] == 0.125
