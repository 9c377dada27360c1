"""How a task's inputs become answers: one graph in one pass, or whatever else a family needs."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from nlplug.errors import OptionError
from nlplug.runtime.engine import Engine
from nlplug.runtime.session import OnnxExecutor

if TYPE_CHECKING:
    from pathlib import Path

    from nlplug.task import TaskInput, TaskModel, TaskOptions


@dataclass(frozen=True, slots=True)
class TextPiece:
    """Some text of an answer, as it comes.

    Attributes:
        text: What follows the pieces before; whole characters, and may be empty.
        finish: Why the answer ends with this piece: ``eos``, ``stop`` or ``length``; else None.
        tokens: How many tokens were decoded for the answer so far.
        ids: The tokens since the piece before, where the pieces come with the tokens. They may be
            several, for a character is never split, and what may be a stop text is held back.
        logprobs: Of each of these, where they were asked for.
    """

    text: str
    finish: str | None = None
    tokens: int = 0
    ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()


class Runner(Protocol):
    """Answers inputs of one task with one model; safe to use from several threads."""

    @property
    def device(self) -> str:
        """Where the model really runs: ``cpu`` or ``cuda:N``."""

    def map(self, inputs: Iterable[TaskInput], options: TaskOptions) -> Iterator[Any]:
        """The answers, in order and in bounded memory.

        Closing them ends the work. With a method ``cancel``, as `Answers` has, any other thread can
        end it too; then they raise `concurrent.futures.CancelledError`.

        Raises:
            InputError: An input that the model cannot take.
            BundleError: The graph is not one for the task.
        """

    def stream(self, item: TaskInput, options: TaskOptions) -> Generator[TextPiece, None, None]:
        """The text of one answer as it comes; closing the generator ends the work.

        Raises:
            OptionError: The task does not make text piece by piece, or not with these options.
        """

    def open(self) -> None:
        """Load the model now and not with the first input."""

    def close(self) -> None:
        """Wait for what is computed now, and free the model and the worker threads.

        A later call loads them again, and so does one that is in the middle of a stream: it goes on
        without an error. Cancel its answers to end it.
        """


class GraphRunner:
    """One graph, run once a batch: what tasks have that classify or mark.

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
        """See `Runner.device`."""
        return self._executor.device

    def map(self, inputs: Iterable[TaskInput], options: TaskOptions) -> Iterator[Any]:
        """See `Runner.map`."""
        return self._engine.map(inputs, options)

    def stream(self, item: TaskInput, options: TaskOptions) -> Generator[TextPiece, None, None]:
        """Refuse: such an answer comes whole.

        Raises:
            OptionError: Always.
        """
        raise OptionError(
            "The answers of this task come whole, not piece by piece.",
            hint="Call the pipeline, or use its map() for many inputs.",
        )

    def open(self) -> None:
        """Build the sessions, for a batch alone and for many.

        Raises:
            BundleError: ONNX Runtime cannot load the graph.
        """
        self._executor.open(alone=True)
        self._executor.open()

    def close(self) -> None:
        """See `Runner.close`."""
        self._engine.close()
        self._executor.close()
