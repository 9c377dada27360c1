"""What the engine needs of a thing that runs a graph."""

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
        """How many calls of ``run`` may go on at once with gain."""

    @property
    def token_budget(self) -> int:
        """Tokens, padding included, that a batch should hold at most for the best rate."""

    def open(self, *, alone: bool = False) -> None:
        """Make ready for ``run`` with the same ``alone``; cheap when it is already."""

    def run(self, feeds: dict[str, np.ndarray], *, alone: bool = False) -> dict[str, np.ndarray]:
        """Run one batch.

        Args:
            feeds: Input name → array of shape (batch, sequence), of the declared type.
            alone: No other batch runs at the same time, so all threads may serve this one.

        Returns:
            Output name → array whose first axis is the batch.
        """
