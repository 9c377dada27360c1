"""The PyTorch model behind the runtime's own interface, so that like is compared with like."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch


class TorchExecutor:
    """Runs a ``transformers`` model as an `Executor`: encoding and decoding are the very same code.

    Args:
        model: In eval mode.
        output_names: The outputs to hand out, in the graph's order.
        input_names: The feeds that the exported graph declares.
    """

    def __init__(
        self, model: Any, *, input_names: frozenset[str], output_names: tuple[str, ...]
    ) -> None:
        self._model = model
        accepted = inspect.signature(model.forward).parameters
        self._accepted = input_names & accepted.keys()
        self._input_names = input_names
        self._output_names = output_names

    @property
    def input_names(self) -> frozenset[str]:
        """As the exported graph has them."""
        return self._input_names

    @property
    def output_names(self) -> tuple[str, ...]:
        """As the exported graph has them."""
        return self._output_names

    @property
    def workers(self) -> int:
        """One: PyTorch spreads each batch over the cores by itself."""
        return 1

    @property
    def token_budget(self) -> int:
        """Tokens a batch should hold at most."""
        return 1024 if self._model.device.type == "cpu" else 16_384

    def open(self, *, alone: bool = False) -> None:
        """Nothing to make ready."""

    def run(self, feeds: dict[str, np.ndarray], *, alone: bool = False) -> dict[str, np.ndarray]:
        """Run one batch in float32."""
        device = self._model.device
        tensors = {
            name: torch.from_numpy(array).to(device)
            for name, array in feeds.items()
            if name in self._accepted
        }
        with torch.inference_mode():
            outputs = self._model(**tensors, return_dict=True)
        return {name: outputs[name].float().cpu().numpy() for name in self._output_names}
