"""Attention heads of a checkpoint: how much each adds to its layer, and their removal.

The removal is that of transformers 4 (Michel et al. 2019, arXiv:1905.10650): ``pruned_heads`` in
``config.json`` names the heads of each layer. transformers 5 has none.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from nlplug.errors import TrainingError
from nlplug.export.stack import transformers_major
from nlplug.train.layers import LAYER

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_TOLERANCE = 1e-4


@dataclass(frozen=True)
class HeadLayer:
    """The heads of a layer.

    Attributes:
        layer: Number of the layer.
        output: The linear layer that reads the concatenated vectors of its heads.
        heads: Numbers of the heads that it has, as in the original checkpoint.
    """

    layer: int
    output: nn.Linear
    heads: Sequence[int]

    def added(self, inputs: torch.Tensor) -> torch.Tensor:
        """The length of the vector that each head adds, summed over the tokens.

        Args:
            inputs: Inputs of ``output``, shape (tokens, heads * head size).

        Returns:
            Shape (heads,).
        """
        count = len(self.heads)
        vectors = inputs.unflatten(-1, (count, -1))
        weight = self.output.weight.unflatten(-1, (count, -1))
        products = torch.einsum("ohd,ohe->hde", weight, weight)
        squares = torch.einsum("thd,hde,the->th", vectors, products, vectors)
        return squares.clamp(min=0).sqrt().sum(0)


def head_layers(model: PreTrainedModel) -> list[HeadLayer]:
    """The layers whose heads can be removed.

    Raises:
        TrainingError: The architecture, or the version of transformers, has no removal of heads.
    """
    if transformers_major() >= 5:
        raise TrainingError(
            "transformers 5 cannot remove attention heads.",
            hint="Use an environment with nlplug[train], which has transformers 4.",
        )
    config: Any = model.config
    gone: dict[int, list[int]] = config.pruned_heads
    layers = range(config.num_hidden_layers)
    heads = {
        i: [h for h in range(config.num_attention_heads) if h not in gone.get(i, [])]
        for i in layers
    }
    # The layer that reads the heads is the one with fewer inputs when a head is removed.
    probe = copy.deepcopy(model)
    try:
        probe.prune_heads({i: own[:1] for i, own in heads.items() if len(own) > 1})
    except (AttributeError, IndexError, NotImplementedError, RuntimeError):
        raise _not_prunable(model) from None
    before = dict(model.named_modules())
    found = []
    for name, module in probe.named_modules():
        layer = LAYER.search(f".{name}.")
        own = before[name]
        if layer and isinstance(own, nn.Linear) and module.in_features < own.in_features:
            found.append(HeadLayer(int(layer[1]), own, heads[int(layer[1])]))
    if not found:
        raise _not_prunable(model)
    return found


def remove_heads(
    model: PreTrainedModel,
    layers: Sequence[HeadLayer],
    sizes: Sequence[torch.Tensor],
    kept: int,
    inputs: dict[str, torch.Tensor],
) -> None:
    """Remove the heads of each layer that add least.

    Args:
        model: The model, which is changed.
        layers: From `head_layers`.
        sizes: For each layer how much its heads add, shape (heads,).
        kept: Number of heads that each layer keeps.
        inputs: A batch, on which the result must compute what the model computes without the
            outputs of these heads.

    Raises:
        TrainingError: It does not.
    """
    gone: dict[int, list[int]] = {}
    with torch.no_grad():
        for each, size in zip(layers, sizes, strict=True):
            least = size.argsort()[: max(len(each.heads) - kept, 0)].tolist()
            gone[each.layer] = [each.heads[place] for place in least]
            each.output.weight.unflatten(-1, (len(each.heads), -1))[:, least] = 0
    expected = _output(model, inputs)
    model.prune_heads(gone)
    try:
        difference = float((_output(model, inputs) - expected).abs().max())
    except RuntimeError:  # the shapes do not fit: something else depends on the number of heads
        raise _not_prunable(model) from None
    if not difference <= _TOLERANCE * max(1.0, float(expected.abs().max())):
        raise _not_prunable(model)


def _output(model: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model.eval()(**inputs)[0]
    return found


def _not_prunable(model: PreTrainedModel) -> TrainingError:
    return TrainingError(
        f"Attention heads of the architecture {model.config.model_type!r} cannot be removed.",
        hint="Those of BERT, RoBERTa, ELECTRA and DistilBERT can; or leave --keep-heads out.",
    )
