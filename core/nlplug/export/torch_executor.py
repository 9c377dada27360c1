"""The PyTorch model behind the runtime's interface, for comparison with the same code."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch


class TorchExecutor:
    """Runs a ``transformers`` model as an `Executor`, with the same encoding and decoding.

    Args:
        model: In eval mode.
        output_names: The outputs to return, in the graph's order.
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
        """Those of the exported graph."""
        return self._input_names

    @property
    def output_names(self) -> tuple[str, ...]:
        """Those of the exported graph."""
        return self._output_names

    @property
    def workers(self) -> int:
        """One: PyTorch itself uses all cores for each batch."""
        return 1

    @property
    def token_budget(self) -> int:
        """Maximum number of tokens in a batch."""
        return 1024 if self._model.device.type == "cpu" else 16_384

    def open(self, *, alone: bool = False) -> None:
        """Does nothing: the model is loaded already."""

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
