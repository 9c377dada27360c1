"""Low-rank adapters (LoRA): small trained matrices beside the layers, added to them at the end.

Hu et al. 2021, https://arxiv.org/abs/2106.09685; rank-stabilized: Kalajdzievski 2023,
https://arxiv.org/abs/2312.03732.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn
from transformers.pytorch_utils import Conv1D

from nlplug.extras import require
from nlplug.train.layers import LAYER
from nlplug.train.ways import EXTRA

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from nlplug.train.config import TrainConfig


def add_adapters(model: PreTrainedModel, config: TrainConfig) -> None:
    """Put adapters beside the linear layers of the base, which are not trained any more.

    The output layer of a classifier and a new pooler stay trained; token embeddings do not.

    Args:
        model: The model; it keeps its class.
        config: Its ``adapter`` is not ``none``.

    Raises:
        MissingExtra: The package peft is not installed.
    """
    peft = require("peft", EXTRA, purpose="Training with adapters")
    layers = [
        name
        for name, module in model.named_modules()
        if LAYER.search(f".{name}.") and isinstance(module, nn.Linear | Conv1D)
    ]
    heads = [
        parameter
        for name, parameter in model.named_parameters()
        if not LAYER.search(f".{name}") and "embed" not in name and not _is_output(model, parameter)
    ]
    settings = peft.LoraConfig(
        r=config.adapter_rank,
        lora_alpha=2 * config.adapter_rank,
        use_rslora=config.adapter == "rslora",
        target_modules=layers,
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
    )
    peft.inject_adapter_in_model(settings, model)
    for parameter in heads:
        parameter.requires_grad = True


def merge_adapters(model: PreTrainedModel) -> None:
    """Add the adapters that `add_adapters` made to the weights, and remove them."""
    adapted = require("peft.tuners.lora", EXTRA, purpose="Training with adapters").LoraLayer
    for name, module in [*model.named_modules()]:
        if isinstance(module, adapted):
            module.merge(safe_merge=True)
            parent, _, own = name.rpartition(".")
            setattr(model.get_submodule(parent), own, module.get_base_layer())
    del model.peft_config


def _is_output(model: PreTrainedModel, parameter: Any) -> bool:
    """Whether a parameter is of the layer that computes the logits of a language model."""
    layer = model.get_output_embeddings()
    return layer is not None and any(parameter is own for own in layer.parameters())
