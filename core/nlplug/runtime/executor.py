"""The interface between the engine and whatever runs a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np

    from nlplug.models.signature import Signature


class Executor(Protocol):
    """Runs one padded batch; ONNX Runtime sessions and, for the export gate, PyTorch models do."""

    @property
    def signature(self) -> Signature:
        """The inputs and outputs that the graph declares."""

    @property
    def workers(self) -> int:
        """How many concurrent calls of ``run`` are of use."""

    @property
    def token_budget(self) -> int:
        """Most tokens per batch, padding included, for the best throughput."""

    def open(self, *, alone: bool = False) -> None:
        """Prepare for ``run`` with the same ``alone``; cheap if that was done already."""

    def run(self, feeds: dict[str, np.ndarray], *, alone: bool = False) -> dict[str, np.ndarray]:
        """Run one batch.

        Args:
            feeds: Input name → array of shape (batch, sequence), of the declared type.
            alone: No other batch runs at the same time, so all threads may serve this one.

        Returns:
            Output name → array whose first axis is the batch.
        """
