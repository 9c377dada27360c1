"""The PyTorch model behind the runtime's interface, for comparison with the same code."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch

from nlplug.models.signature import Signature


class TorchExecutor:
    """Runs a ``transformers`` model as an `Executor`, with the same encoding and decoding.

    Args:
        model: In eval mode.
        signature: What the exported graph declares.
    """

    def __init__(self, model: Any, signature: Signature) -> None:
        self._model = model
        accepted = inspect.signature(model.forward).parameters
        self._accepted = signature.inputs.keys() & accepted.keys()
        self._signature = signature

    @property
    def signature(self) -> Signature:
        """As the exported graph has it."""
        return self._signature

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
        return {name: outputs[name].float().cpu().numpy() for name in self._signature.outputs}
