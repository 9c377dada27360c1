"""Micro-batching: what queues up while one batch runs is answered together in the next.

There is no timer, so a lone request never waits for company.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future
from threading import Condition, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from nlplug.errors import Overloaded
from nlplug.server.batch import Batch, Job, Share

if TYPE_CHECKING:
    from nlplug.runtime.answers import Answers, TextPiece
    from nlplug.server.metrics import Metrics
    from nlplug.task import TaskInput

GRACE = 0.5
"""Seconds in which a queue that is closed may still be answered."""


class Model(Protocol):
    """A loaded model: what a `Pipeline` offers and a server needs."""

    def answers(self, inputs: Sequence[Any], /, **options: Any) -> Answers:
        """One answer an input, in order.

        Where what it gives has a method ``cancel``, that ends the work from another thread, as
        `nlplug.runtime.engine.Answers` does; otherwise the work can end between two answers.
        """

    def pieces(self, item: Any, /, **options: Any) -> Generator[TextPiece, None, None]:
        """The text of one answer as it comes; closing the generator ends the work."""

    def open(self) -> None:
        """Do now what the first answers would have to wait for."""

    def close(self) -> None:
        """Free the model."""


class Batcher:
    """One model's bounded queue, and the thread that loads the model and answers.

    A request with more inputs than a batch takes is answered in parts, between which others get
    their turn. Work for a request that is given up ends, unless it is little beside that for others
    in the same batch. All methods are safe to call from any thread.

    Args:
        name: Name of the model in messages and metrics.
        load: Loads the model; called in the thread at the first request, and again after it failed.
        max_batch: Most inputs answered in one batch.
        max_queue: Most requests that may wait.
        metrics: Where batches and the queue are counted.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[], Model],
        *,
        max_batch: int,
        max_queue: int,
        metrics: Metrics,
    ) -> None:
        self.name = name
        self._load = load
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._metrics = metrics
        self._changed = Condition()
        self._jobs: deque[Job] = deque()
        self._wishes: list[Future[Model]] = []
        self._thread: Thread | None = None
        self._model: Model | None = None
        self._batch: Batch | None = None
        self._closed = False
        self._cut_off = False

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._model is not None

    def submit(self, inputs: Sequence[TaskInput], options: Mapping[str, Any]) -> Future[list[Any]]:
        """Queue one request; cancelling the future takes it out of the queue or ends the work.

        Args:
            inputs: Checked inputs, at least one.
            options: The options that the request gives, checked.

        Raises:
            Overloaded: The queue is full, or the server is shutting down.
        """
        job = Job(inputs, options)
        with self._changed:
            self._check_open()
            if len(self._jobs) >= self._max_queue:
                raise Overloaded(
                    f"The queue of the model {self.name!r} is full: {self._max_queue} requests "
                    "wait already.",
                    hint="Try again in a moment, or start the server with a larger --max-queue.",
                )
            self._jobs.append(job)
            self._wake()
        job.future.add_done_callback(lambda _: self._forget(job))
        return job.future

    def load(self) -> Future[Model]:
        """The model, loaded now if it is not in memory; no batch is waited for if it is."""
        wish: Future[Model] = Future()
        with self._changed:
            self._check_open()
            if self._model is not None:
                wish.set_result(self._model)
                return wish
            self._wishes.append(wish)
            self._wake()
        return wish

    def close(self, *, by: float | None = None) -> None:
        """Answer what is queued and can be soon, cut off the rest, free the model, end the thread.

        Args:
            by: The `time.monotonic` at which what is left is cut off; None for half a second on.
        """
        with self._changed:
            self._closed = True
            self._changed.notify()
            thread = self._thread
        if thread is None:
            return
        thread.join(GRACE if by is None else max(0.0, by - monotonic()))
        with self._changed:
            self._cut_off = True
            if self._batch is not None:
                self._batch.stop()
        thread.join()

    def _check_open(self) -> None:
        if self._closed:
            raise _closing()

    def _wake(self) -> None:
        self._metrics.queue.set(self.name, to=len(self._jobs))
        if self._thread is None:
            self._thread = Thread(target=self._live, name=f"nlplug-{self.name}", daemon=True)
            self._thread.start()
        self._changed.notify()

    def _forget(self, job: Job) -> None:
        if job.future.cancelled():
            with self._changed:
                if job in self._jobs:
                    self._jobs.remove(job)
                self._metrics.queue.set(self.name, to=len(self._jobs))
                if self._batch is not None:
                    self._batch.reconsider()

    def _live(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._wishes or self._closed)
                if self._cut_off or (not self._jobs and not self._wishes):
                    break
                wishes, self._wishes = self._wishes, []
            model = self._ready(wishes)
            if model is not None:
                with self._changed:
                    shares = self._gather()
                self._answer(model, shares)
        self._refuse(_closing())
        if self._model is not None:
            self._model.close()

    def _ready(self, wishes: list[Future[Model]]) -> Model | None:
        """The model, loaded if need be; None after all who wait were told why it cannot be."""
        if self._model is None:
            try:
                model = self._load()
                if wishes:
                    model.open()
                self._model = model
            except Exception as error:
                self._refuse(error, *wishes)
                return None
            self._metrics.loaded.set(self.name, to=1)
        for wish in wishes:
            _settle(wish, self._model)
        return self._model

    def _refuse(self, error: Exception, *futures: Future[Any]) -> None:
        """Tell all who wait, and those who ``futures`` belong to, why they are not served."""
        with self._changed:
            jobs, wishes = list(self._jobs), self._wishes
            self._jobs.clear()
            self._wishes = []
            self._metrics.queue.set(self.name, to=0)
        for future in [*futures, *wishes, *(job.future for job in jobs)]:
            _settle(future, error)

    def _gather(self) -> list[Share]:
        """Take the next batch: the oldest request and those behind it with the same options.

        A request of which only a part fits goes to the back of the queue with the rest.
        """
        shares: list[Share] = []
        room = self._max_batch
        later: list[Job] = []
        unfinished: list[Job] = []
        while self._jobs and room > 0:
            job = self._jobs.popleft()
            if job.future.cancelled():
                continue
            if shares and job.options != shares[0].job.options:
                later.append(job)
                continue
            start = len(job.answers)
            part = job.inputs[start : start + room]
            shares.append(Share(job, part))
            room -= len(part)
            if start + len(part) < len(job.inputs):
                unfinished.append(job)
        self._jobs.extendleft(reversed(later))
        self._jobs.extend(unfinished)
        self._metrics.queue.set(self.name, to=len(self._jobs))
        return shares

    def _answer(self, model: Model, shares: Sequence[Share]) -> None:
        with self._changed:
            shares = [share for share in shares if not share.given_up]
            cut_off = self._cut_off
            batch = self._batch = Batch(shares) if shares and not cut_off else None
        if batch is None:
            for share in shares:
                self._give_up(share.job, _closing())
            return
        self._metrics.batches.observe(self.name, of=len(batch.inputs))
        try:
            results = batch.run(model)
        except Exception as error:
            self._mend(model, batch, error)
            return
        finally:
            self._batch = None
        for share, result in zip(shares, results, strict=True):
            job = share.job
            job.answers.extend(result)
            if len(job.answers) == len(job.inputs):
                _settle(job.future, job.answers)

    def _mend(self, model: Model, batch: Batch, error: Exception) -> None:
        """Answer those who can be answered of a batch that failed or was broken off."""
        if batch.stopped:
            self._answer(model, batch.shares)
        elif len(batch.shares) == 1:
            self._give_up(batch.shares[0].job, error)
        else:  # The fault of one must not fall on its neighbours.
            for share in batch.shares:
                self._answer(model, [share])

    def _give_up(self, job: Job, error: Exception) -> None:
        with self._changed:
            if job in self._jobs:
                self._jobs.remove(job)
            self._metrics.queue.set(self.name, to=len(self._jobs))
        _settle(job.future, error)


def _settle(future: Future[Any], result: Any) -> None:
    """Hand over a result or an exception, unless whoever asked has gone."""
    if not future.set_running_or_notify_cancel():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


def _closing() -> Overloaded:
    return Overloaded("The server is shutting down.", hint="Try again in a moment.")
