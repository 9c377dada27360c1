"""What a recipe trains on: features of rows, which may change with the epoch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch.utils.data import Dataset


class TrainingSet(Dataset[dict[str, Any]], ABC):
    """Features by index, with the lengths by which the training loop forms batches."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of items; the same in all epochs."""

    @abstractmethod
    def lengths(self) -> list[int]:
        """Number of tokens of each item; batches hold items of similar lengths."""

    def set_epoch(self, epoch: int) -> None:
        """Called before each epoch with its number, for sets that differ between epochs."""
