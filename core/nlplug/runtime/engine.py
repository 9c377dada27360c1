"""From a stream of inputs to a stream of answers: encode, batch, run, decode."""

from __future__ import annotations

import reprlib
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from threading import Event
from typing import TYPE_CHECKING, Any

from nlplug.errors import PluginError
from nlplug.runtime.answers import Answers, raise_if_cancelled
from nlplug.runtime.batching import chunks
from nlplug.runtime.feeds import GraphFeeds
from nlplug.runtime.model import Row
from nlplug.runtime.outputs import GraphOutputs
from nlplug.runtime.shared import WorkerPool

if TYPE_CHECKING:
    import numpy as np

    from nlplug.runtime.executor import Executor
    from nlplug.runtime.model import TaskModel
    from nlplug.task import TaskInput, TaskOptions

    Outputs = list[dict[str, np.ndarray]]

_FIRST_CHUNK = 64
_CHUNK_CHARACTERS = 2_000_000


@dataclass
class _Chunk:
    """Inputs that are being computed.

    Attributes:
        items: The inputs.
        rows: For each input its rows.
        flat: All rows, one after another.
        batches: Indices into ``flat``, one list per batch; a worker takes the next from the left.
        outputs: The graph's outputs for each of ``flat``, filled in as batches finish.
        stop: Set once nobody waits for the answers of the call that the chunk belongs to.
        workers: One future per worker; done when no batch is left.
    """

    items: Sequence[TaskInput]
    rows: list[list[Row]]
    flat: list[Row]
    batches: deque[list[int]]
    outputs: Outputs
    stop: Event
    workers: list[Future[None]] = field(default_factory=list)

    def cancel(self) -> None:
        self.batches.clear()


class Engine:
    """Answers inputs with one executor and one bound task; safe to use from several threads.

    Args:
        executor: Runs the batches.
        model: Encodes inputs and decodes outputs.
        token_budget: Maximum number of tokens per batch; None for the default of the executor.
        together: Whether rows may be run together; False where they change each other's outputs.

    Raises:
        BundleError: The graph has inputs that cannot be fed, or is for another task.
    """

    def __init__(
        self,
        executor: Executor,
        model: TaskModel[Any, Any],
        *,
        token_budget: int | None = None,
        together: bool = True,
    ) -> None:
        self._executor = executor
        self._model = model
        self._budget = token_budget or executor.token_budget
        if model.token_budget is not None:
            self._budget = min(self._budget, model.token_budget)
        signature = executor.signature
        self._feeds = GraphFeeds(
            signature,
            pad_token_id=model.pad_token_id,
            first_position=model.first_position,
            pads=model.pads,
            together=together,
        )
        self._outputs = GraphOutputs(signature, model)
        self._pool = WorkerPool(executor.workers)

    @property
    def token_budget(self) -> int:
        """Maximum number of tokens per batch."""
        return self._budget

    def map(self, inputs: Iterable[TaskInput], options: TaskOptions) -> Answers:
        """The answers, in order; at most two chunks of about a thousand inputs are in memory.

        Chunks grow from small to large, so the first answer comes early. While the workers run
        one chunk, the next one is read and tokenized.
        """
        return Answers(partial(self._steps, inputs, options))

    def outputs(self, inputs: Sequence[TaskInput], options: TaskOptions) -> list[Outputs]:
        """What the task reads of the outputs: for each input and each of its rows, name → array."""
        rows = self._encode(inputs, options)
        return _regroup(rows, self._gather(self._submit(inputs, rows, Event())))

    def run_rows(self, rows: list[Row], stop: Event) -> Outputs:
        """What the task reads of the outputs of some rows.

        Args:
            rows: The rows.
            stop: Set once nobody waits for the outputs.

        Raises:
            CancelledError: ``stop`` was set.
        """
        if self._fits([[row] for row in rows]):
            return self._run(rows, alone=True)
        return self._gather(self._submit((), [rows], stop))

    def close(self) -> None:
        """Wait for the batches that are being computed and stop the worker threads.

        A later call starts them again, and so does a call that is in progress.
        """
        self._pool.close()

    def _steps(
        self, inputs: Iterable[TaskInput], options: TaskOptions, stop: Event
    ) -> Generator[Any, None, None]:
        under_way: deque[_Chunk] = deque()
        try:
            largest = self._model.largest_chunk
            first = min(_FIRST_CHUNK, largest)
            for items in chunks(inputs, first, largest, characters=_CHUNK_CHARACTERS):
                raise_if_cancelled(stop)
                rows = self._encode(items, options)
                raise_if_cancelled(stop)
                if not under_way and self._fits(rows):
                    yield from self._answer(items, rows, self._run_alone(rows), options, stop)
                    continue
                under_way.append(self._submit(items, rows, stop))
                if len(under_way) == 2:
                    yield from self._collect(under_way[0], options)
                    under_way.popleft()
            while under_way:
                yield from self._collect(under_way[0], options)
                under_way.popleft()
        finally:
            # After an error, or when the caller stopped reading, nobody waits for these.
            for chunk in under_way:
                chunk.cancel()

    def _encode(self, items: Sequence[TaskInput], options: TaskOptions) -> list[list[Row]]:
        """The rows of each input.

        Raises:
            PluginError: The task gives something else.
        """
        rows = self._model.encode(items, options)
        if not (
            isinstance(rows, list)
            and len(rows) == len(items)
            and all(isinstance(group, list) and group for group in rows)
            and all(isinstance(row, Row) for group in rows for row in group)
        ):
            kind = type(self._model)
            raise PluginError(
                f"{kind.__module__}.{kind.__qualname__}.encode must return a list of at least one "
                f"Row for each input; it returned {reprlib.repr(rows)} for {len(items)}.",
                hint="Report it to the authors of its plugin.",
            )
        return rows

    def _fits(self, rows: list[list[Row]]) -> bool:
        """Whether all rows make one batch, which then gets all threads for itself."""
        lengths = [len(row) for group in rows for row in group]
        if len(lengths) == 1:
            return True
        return max(lengths) * len(lengths) <= self._budget and (
            len(self._feeds.plan(lengths, self._budget)) == 1
        )

    def _run(self, rows: list[Row], *, alone: bool = False) -> Outputs:
        """Run one batch: for each of its rows the outputs that the task reads."""
        batch = self._executor.run(self._feeds.collate(rows), alone=alone)
        outputs = self._outputs.read(batch, [len(row) for row in rows])
        return [
            dict(self._model.condense(row, values))
            for row, values in zip(rows, outputs, strict=True)
        ]

    def _run_alone(self, rows: list[list[Row]]) -> Outputs:
        return self._run([row for group in rows for row in group], alone=True)

    def _submit(self, items: Sequence[TaskInput], rows: list[list[Row]], stop: Event) -> _Chunk:
        flat = [row for group in rows for row in group]
        batches = deque(self._feeds.plan([len(row) for row in flat], self._budget))
        chunk = _Chunk(items, rows, flat, batches, [{}] * len(flat), stop)
        # One future per worker and not one per batch: each of those would wake the calling thread,
        # which on a machine of two cores takes one of them from the workers.
        for _ in range(min(self._executor.workers, len(batches))):
            # A worker that has begun may append to the same list.
            chunk.workers.append(self._worker(chunk))
        return chunk

    def _worker(self, chunk: _Chunk) -> Future[None]:
        # The chunks of a call take turns with those of other calls, and not with each other.
        return self._pool.submit_for(chunk.stop, partial(self._work_off, chunk))

    def _work_off(self, chunk: _Chunk) -> None:
        """Run batches of a chunk until none is left; an error leaves none to the others."""
        try:
            while not chunk.stop.is_set():
                try:
                    indices = chunk.batches.popleft()
                except IndexError:
                    return
                outputs = self._run([chunk.flat[index] for index in indices])
                for index, output in zip(indices, outputs, strict=True):
                    chunk.outputs[index] = output
                if chunk.batches and self._pool.others_wait(chunk.stop):
                    # Another call waits: its next batch comes before the rest of these.
                    chunk.workers.append(self._worker(chunk))
                    return
        except BaseException:
            chunk.cancel()
            raise

    def _gather(self, chunk: _Chunk) -> Outputs:
        # All of them before any result: what one worker's error leaves undone is nobody's answer.
        for worker in chunk.workers:  # they grow while workers let another call go first
            wait((worker,))
        for worker in chunk.workers:
            worker.result()
        raise_if_cancelled(chunk.stop)
        return chunk.outputs

    def _collect(self, chunk: _Chunk, options: TaskOptions) -> Iterator[Any]:
        outputs = self._gather(chunk)
        yield from self._answer(chunk.items, chunk.rows, outputs, options, chunk.stop)

    def _answer(
        self,
        items: Sequence[TaskInput],
        rows: list[list[Row]],
        outputs: Outputs,
        options: TaskOptions,
        stop: Event,
    ) -> Iterator[Any]:
        for item, group, values in zip(items, rows, _regroup(rows, outputs), strict=True):
            raise_if_cancelled(stop)
            yield self._model.decode(item, group, values, options)


def _regroup(rows: list[list[Row]], outputs: Outputs) -> list[Outputs]:
    iterator = iter(outputs)
    return [list(islice(iterator, len(group))) for group in rows]
