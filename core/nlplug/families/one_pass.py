"""What families share whose models answer in one pass: bind a bundle, run its graph, decode."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from nlplug.runtime.answers import Answers
from nlplug.runtime.engine import Engine
from nlplug.runtime.model import Row, TaskModel
from nlplug.runtime.session import OnnxExecutor
from nlplug.task import Runner, Task, TaskInput, TaskOptions

if TYPE_CHECKING:
    from pathlib import Path

    from nlplug.models.bundle import Bundle

__all__ = ["GraphRunner", "OnePassTask", "Row", "TaskModel"]


class OnePassTask(Task):
    """A task that is answered by one run of one graph for each batch."""

    @abstractmethod
    def bind(self, bundle: Bundle) -> TaskModel[Any, Any]:
        """Bind to a bundle: how inputs are encoded for its graph, and outputs decoded.

        Raises:
            BundleError: The bundle's model is not one for this task.
        """

    def load(
        self,
        bundle: Bundle,
        *,
        precision: str,
        device: str = "auto",
        threads: int | None = None,
    ) -> Runner:
        """See `Task.load`."""
        model = self.bind(bundle)
        return GraphRunner(model, bundle.onnx_file(precision), device=device, threads=threads)


class GraphRunner(Runner):
    """One graph, run once for each batch.

    Args:
        model: The task, bound to the bundle.
        path: The ``.onnx`` file.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        threads: CPU threads; None for the CPUs that the process may use.

    Raises:
        MissingExtra: No ONNX Runtime is installed.
        DeviceError: The device name is unknown.
        OptionError: ``threads`` is below 1.
        BundleError: The file is no ONNX graph, wants inputs that cannot be fed, or is for another
            task.
    """

    def __init__(
        self,
        model: TaskModel[Any, Any],
        path: Path,
        *,
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        self._executor = OnnxExecutor(path, device=device, threads=threads)
        self._engine = Engine(self._executor, model)

    @property
    def device(self) -> str:
        """See `nlplug.task.Runner.device`."""
        return self._executor.device

    def map(self, inputs: Iterable[TaskInput], options: TaskOptions) -> Answers:
        """See `nlplug.task.Runner.map`."""
        return self._engine.map(inputs, options)

    def open(self) -> None:
        """Build the sessions, for a batch alone and for many.

        Raises:
            BundleError: ONNX Runtime cannot load the graph.
        """
        self._executor.open(alone=True)
        self._executor.open()

    def close(self) -> None:
        """See `nlplug.task.Runner.close`."""
        self._engine.close()
        self._executor.close()
