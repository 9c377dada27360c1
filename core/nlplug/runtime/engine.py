"""From a stream of inputs to a stream of answers: encode, batch, run, decode."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from threading import Event
from typing import TYPE_CHECKING, Any

from nlplug.errors import BundleError
from nlplug.runtime.answers import Answers, raise_if_cancelled
from nlplug.runtime.batching import chunks, collate, plan

if TYPE_CHECKING:
    import numpy as np

    from nlplug.runtime.executor import Executor
    from nlplug.runtime.model import Row, TaskModel
    from nlplug.task import TaskInput, TaskOptions

    Outputs = list[dict[str, np.ndarray]]

_FIRST_CHUNK = 64
_LARGEST_CHUNK = 1024
_CHUNK_CHARACTERS = 2_000_000
_KNOWN_FEEDS = frozenset({"input_ids", "attention_mask", "token_type_ids"})


@dataclass
class _Chunk:
    """Inputs under way.

    Attributes:
        items: The inputs.
        rows: For each input its rows.
        flat: All rows, one after another.
        batches: Indices into ``flat``, a batch each; every worker takes the next one from the left.
        outputs: What the graph gave for each of ``flat``, filled in as batches finish.
        stop: Set once nobody wants the answers of the call that the chunk belongs to.
        workers: One future a worker; done when it finds no batch left.
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
        token_budget: Most tokens a batch may hold; None for the executor's own best.
    """

    def __init__(
        self, executor: Executor, model: TaskModel[Any, Any], *, token_budget: int | None = None
    ) -> None:
        self._executor = executor
        self._model = model
        self._budget = token_budget or executor.token_budget
        self._names: frozenset[str] = frozenset()
        self._pool: ThreadPoolExecutor | None = None
        self._calls: set[Event] = set()

    def map(self, inputs: Iterable[TaskInput], options: TaskOptions) -> Answers:
        """The answers, in order; at most two chunks of about a thousand inputs are in memory.

        Chunks grow from small to large, so the first answer comes early. While the workers run
        one chunk, the next one is read and tokenized.
        """
        return Answers(partial(self._steps, inputs, options))

    def outputs(self, inputs: Sequence[TaskInput], options: TaskOptions) -> list[Outputs]:
        """The graph's raw outputs: for each input, for each of its rows, name → array."""
        rows = self._model.encode(inputs, options)
        return _regroup(rows, self._gather(self._submit(inputs, rows, Event())))

    def close(self) -> None:
        """Stop the worker threads; a later call starts them again."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _steps(
        self, inputs: Iterable[TaskInput], options: TaskOptions, stop: Event
    ) -> Generator[Any, None, None]:
        under_way: deque[_Chunk] = deque()
        try:
            for items in chunks(inputs, _FIRST_CHUNK, _LARGEST_CHUNK, characters=_CHUNK_CHARACTERS):
                raise_if_cancelled(stop)
                rows = self._model.encode(items, options)
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
            self._calls.discard(stop)

    def _open(self, *, alone: bool) -> None:
        self._executor.open(alone=alone)
        if self._names:
            return
        names = self._executor.input_names
        unknown = sorted(names - _KNOWN_FEEDS)
        if unknown or "input_ids" not in names:
            raise BundleError(
                f"The graph wants the inputs {', '.join(sorted(names))}; "
                + (f"{', '.join(unknown)} cannot be fed." if unknown else "it has no input_ids."),
                hint="Export it with `nlplug export`, which declares input_ids and attention_mask.",
            )
        missing = sorted(self._model.required_outputs - set(self._executor.output_names))
        if missing:
            raise BundleError(
                f"The graph gives {', '.join(self._executor.output_names)}, "
                f"but this task needs {', '.join(missing)}.",
                hint="Use a model with the head of this task, not a bare encoder.",
            )
        self._names = names

    def _fits(self, rows: list[list[Row]]) -> bool:
        """Whether all rows make one batch, which then gets all threads for itself."""
        lengths = [len(row) for group in rows for row in group]
        return len(lengths) == 1 or max(lengths) * len(lengths) <= self._budget

    def _run_alone(self, rows: list[list[Row]]) -> Outputs:
        self._open(alone=True)
        flat = [row for group in rows for row in group]
        return self._cut(self._executor.run(self._collate(flat), alone=True), flat)

    def _submit(self, items: Sequence[TaskInput], rows: list[list[Row]], stop: Event) -> _Chunk:
        self._open(alone=False)
        flat = [row for group in rows for row in group]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._executor.workers, thread_name_prefix="nlplug")
        self._calls.add(stop)
        batches = deque(plan([len(row) for row in flat], self._budget))
        chunk = _Chunk(items, rows, flat, batches, [{}] * len(flat), stop)
        # A future a worker and not one a batch: each of those would wake the calling thread,
        # which on a machine of two cores takes one of them from the workers.
        count = min(self._executor.workers, len(batches))
        chunk.workers = [self._pool.submit(self._work_off, chunk) for _ in range(count)]
        return chunk

    def _work_off(self, chunk: _Chunk) -> None:
        """Run batches of a chunk until none is left; an error leaves none to the others."""
        try:
            while not chunk.stop.is_set():
                try:
                    indices = chunk.batches.popleft()
                except IndexError:
                    return
                rows = [chunk.flat[index] for index in indices]
                outputs = self._cut(self._executor.run(self._collate(rows)), rows)
                for index, output in zip(indices, outputs, strict=True):
                    chunk.outputs[index] = output
                if len(self._calls) > 1 and self._pool and chunk.batches:
                    # Another call waits: its batches come before the rest of these.
                    chunk.workers.append(self._pool.submit(self._work_off, chunk))
                    return
        except BaseException:
            chunk.cancel()
            raise

    def _collate(self, rows: list[Row]) -> dict[str, np.ndarray]:
        return collate(rows, self._names, pad_token_id=self._model.pad_token_id)

    def _gather(self, chunk: _Chunk) -> Outputs:
        # All of them before any result: what one worker's error leaves undone is nobody's answer.
        for worker in chunk.workers:  # they grow while workers let another call go first
            wait((worker,))
        for worker in chunk.workers:
            worker.result()
        raise_if_cancelled(chunk.stop)
        return chunk.outputs

    def _cut(self, batch: dict[str, np.ndarray], rows: Sequence[Row]) -> Outputs:
        """One dict of outputs a row, the batch axis and the padding taken off."""
        if self._model.token_level:
            return [
                {name: array[index, : len(row)] for name, array in batch.items()}
                for index, row in enumerate(rows)
            ]
        return [{name: array[index] for name, array in batch.items()} for index in range(len(rows))]

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
