"""Quantization-aware training: simulates the rounding of an int8 export.

The arithmetic is that of ``nlplug.export.quantize``: signed weights with one scale per output (per
row of an embedding), and inputs in unsigned 8 bits between their smallest and largest
value. Gradients pass through the rounding unchanged (Jacob et al. 2018, arXiv:1712.05877).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

_TOP = 127


def simulate_int8(model: Any) -> None:
    """Make all linear layers and embeddings compute as in int8, in place.

    The last linear layer stays in float, as in the export. The names of the weights do not change,
    so checkpoints equal those of the original model.

    Args:
        model: A ``PreTrainedModel``.
    """
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    for module in linear[:-1]:
        module.forward = _Linear(module)
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            module.forward = _Embedding(module)


class _Linear:
    def __init__(self, module: nn.Linear) -> None:
        self._module = module

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        module = self._module
        return F.linear(round_inputs(inputs), round_weights(module.weight), module.bias)


class _Embedding:
    def __init__(self, module: nn.Embedding) -> None:
        self._module = module

    def __call__(self, ids: torch.Tensor) -> torch.Tensor:
        module = self._module
        return round_weights(F.embedding(ids, module.weight, module.padding_idx))


def round_weights(weight: torch.Tensor) -> torch.Tensor:
    """Round to 255 levels around zero, with one scale per row; the gradient is unchanged."""
    with torch.no_grad():
        scale = (weight.abs().amax(-1, keepdim=True) / _TOP).clamp_min(1e-12)
        error = (weight / scale).round() * scale - weight
    return weight + error


def round_inputs(inputs: torch.Tensor) -> torch.Tensor:
    """Round to 256 levels between the smallest and the largest value, including zero."""
    with torch.no_grad():
        values = inputs.float()
        low, high = values.amin().clamp_max(0.0), values.amax().clamp_min(0.0)
        scale = ((high - low) / 255).clamp_min(1e-12)
        zero = (-low / scale).round()
        rounded = (((values / scale).round() + zero).clamp(0, 255) - zero) * scale
        error = (rounded - values).to(inputs.dtype)
    return inputs + error
