"""The part of a pipeline that looks inside its model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from nlplug.bound_task import BoundTask

if TYPE_CHECKING:
    from nlplug.inside.result import Inside, Part
    from nlplug.task import TaskInput, TaskOptions


class InsideView(BoundTask, ABC):
    """A bound task that shows what happens inside its model."""

    def inside(
        self,
        inputs: Any = None,
        /,
        *,
        parts: Collection[Part] | Part | None = None,
        top: int = 5,
        window: int = 1,
        **arguments: Any,
    ) -> Inside:
        """What happens inside the model while it reads one input.

        Args:
            inputs: One input, as for a call; None if keyword arguments give its fields.
            parts: What to look for: ``attention``, ``probabilities`` of generated tokens and
                ``neighbors`` of the tokens of the text; None: all that the task has.
            top: Number of alternatives and of neighbors of each token, from 1 to 100.
            window: Which window of a long text, from 1; of a text-to-text task which segment.
            **arguments: Fields of the input, and options.

        Raises:
            OptionError: An option is invalid, the text has fewer windows, or the task does not
                have a part that was named.
            InputError: The input is malformed.
            BundleError: The graph of the model does not show what was asked for.
        """
        from nlplug.inside.result import Request

        item, options = self._one(inputs, arguments)
        self._guard.check([item], options).warn()
        request = Request.of(self.bundle, parts, top, window)
        return self._runner.inside(item, options, request)

    @abstractmethod
    def _one(self, inputs: Any, arguments: Mapping[str, Any]) -> tuple[TaskInput, TaskOptions]:
        """One input and the options, from the arguments of a call."""
