"""Hidden states of a teacher as targets: Jiao et al. 2020, arXiv:1909.10351, of equal shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import transformers
from torch import nn

from nlplug.errors import TrainingError
from nlplug.export.preflight.files import check_source
from nlplug.export.pretrained import load_config
from nlplug.export.saved_tokenizer import read_tokenizer
from nlplug.train.checkpoint import load_body, loading
from nlplug.train.layers import LAYER

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class StatesTeacher:
    """A model whose hidden states another one learns.

    Layer ``i`` of ``n`` layers learns from layer ``i * N / n`` of the teacher, which has ``N``.

    Args:
        checkpoint: The teacher: a folder or a Hub id.
        model: The model that learns.
        tokenizer: Its tokenizer.

    Raises:
        ModelNotFound: There is no such teacher within reach.
        ExportError: Its files are truncated or unreadable.
        TrainingError: The teacher cannot be loaded, or has another tokenizer or hidden size.
    """

    def __init__(
        self, checkpoint: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
    ) -> None:
        check_source(checkpoint)
        with loading(checkpoint, "teacher_states"):
            config = load_config(checkpoint)
            self._teacher: nn.Module = load_body(transformers.AutoModel, checkpoint, config)
            words = read_tokenizer(checkpoint).get_vocab()
        self._teacher.requires_grad_(False).eval().to(model.device)
        own, other = model.config.hidden_size, config.hidden_size
        layers, count = len(_layers(model)), len(_layers(self._teacher))
        fault = ""
        if words != tokenizer.get_vocab():
            fault = "its tokenizer has another vocabulary than that of the base"
        elif own != other:
            fault = f"its hidden size is {other}, that of the base is {own}"
        elif not layers or not count:
            fault = "the layers of one of the two models are not known"
        if fault:
            raise TrainingError(
                f"teacher_states {checkpoint!r} cannot be learned: {fault}.",
                hint="Use a teacher of the same shape, or its answers alone (--teacher).",
            )
        self._pairs = [round((i + 1) * count / layers) - 1 for i in range(layers)]

    @contextmanager
    def recorded(self, model: nn.Module) -> Iterator[list[torch.Tensor]]:
        """A list to which a run of a model appends the output of each layer."""
        with ExitStack() as stack:
            states: list[torch.Tensor] = []
            for layer in _layers(model):
                handle = layer.register_forward_hook(partial(_append, states))
                stack.callback(handle.remove)
            yield states

    def loss(
        self, inputs: Mapping[str, torch.Tensor], states: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """The squared error of the hidden states, relative to the size of those of the teacher.

        Args:
            inputs: A batch, as the model got it.
            states: For each layer of the model its output, shape (rows, tokens, hidden size).

        Returns:
            The mean over the layers, a scalar.
        """
        with torch.no_grad(), self.recorded(self._teacher) as known:
            self._teacher(**inputs)
        tokens = inputs["attention_mask"].bool()
        wanted = [known[place][tokens].float() for place in self._pairs]
        errors = [
            (state[tokens].float() - target).pow(2).mean() / target.pow(2).mean()
            for state, target in zip(states, wanted, strict=True)
        ]
        return torch.stack(errors).mean()


def _append(states: list[torch.Tensor], module: nn.Module, inputs: Any, output: Any) -> None:
    states.append(output[0] if isinstance(output, tuple) else output)


def _layers(model: nn.Module) -> list[nn.Module]:
    found = ((LAYER.search(f".{name}."), name, module) for name, module in model.named_modules())
    return [module for match, name, module in found if match and match.end() == len(name) + 2]
