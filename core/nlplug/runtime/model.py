"""What the engine needs of a model that answers in one pass: rows for its graph, and answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from nlplug.task import TaskInput, TaskOptions

if TYPE_CHECKING:
    import numpy as np


@dataclass(slots=True)
class Row:
    """One row of a batch: one window of one input, tokenized but not yet padded.

    Attributes:
        features: Input name of the graph → one sequence or array of int; all of one row have the
            same length.
        meta: Whatever the task needs to decode this row (offsets, the window's weight, …).
    """

    features: Mapping[str, Sequence[int] | np.ndarray]
    meta: Any = None

    def __len__(self) -> int:
        return len(self.features["input_ids"])


I = TypeVar("I", bound=TaskInput)  # noqa: E741 - the field's names: input, options
O = TypeVar("O", bound=TaskOptions)  # noqa: E741


class TaskModel(ABC, Generic[I, O]):
    """A task bound to one bundle: how to encode inputs and decode the graph's outputs.

    It never runs the graph; batching, threads and devices belong to the runtime.
    """

    required_outputs: ClassVar[frozenset[str]] = frozenset({"logits"})
    """The outputs that ``decode`` reads; a graph without them is refused."""
    token_level: ClassVar[bool] = False
    """Whether the graph's outputs have one entry per token, so that padding has to be cut off."""
    output_rank: ClassVar[int | None] = None
    """Axes of each required output, the batch included: 2 for scores of a text, 3 for scores of
    each of its tokens. None: any."""
    output_width: int | None = None
    """Size of the last axis of each required output, such as the number of labels. None: any."""
    output_least: int = 0
    """Least size of the last axis of each required output, such as that of the vocabulary."""
    pad_token_id: int | None = 0
    """What ``input_ids`` are padded with; None where the model has no such token, so that only rows
    of the same length are run together."""
    first_position: int = 0
    pads: bool = True
    """The position of a row's first token, for graphs that take ``position_ids``."""
    token_budget: int | None = None
    """Most tokens in a batch, for models with large outputs; None: as many as the device likes."""
    largest_chunk: int = 1024
    """Most inputs whose outputs are in memory at a time, for models with large outputs."""

    @abstractmethod
    def encode(self, inputs: Sequence[I], options: O) -> list[list[Row]]:
        """Tokenize; for each input the rows (windows) that cover it whole.

        Raises:
            InputError: An input that cannot be tokenized.
        """

    def condense(self, row: Row, outputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """What ``decode`` reads of the outputs of one row; the rest is freed after the batch.

        Args:
            row: The row, as ``encode`` gave it.
            outputs: Its outputs by name, without the batch axis.
        """
        return outputs

    @abstractmethod
    def decode(
        self,
        item: I,
        rows: Sequence[Row],
        outputs: Sequence[Mapping[str, np.ndarray]],
        options: O,
    ) -> Any:
        """The answer for one input.

        Args:
            item: The input.
            rows: Its rows, as ``encode`` gave them.
            outputs: For each row the graph's outputs by name, without the batch axis; where the
                model is token-level, cut to the row's own length. As ``condense`` returned them.
            options: The options of the call.
        """
