"""Micro-batching: requests that arrive while a batch runs are answered together in the next one.

There is no timer, so a single request never waits for others.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack
from threading import Condition, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

from nlplug.errors import Overloaded
from nlplug.server.batch import Batch, Job, Share
from nlplug.server.containment import contained

if TYPE_CHECKING:
    from nlplug.pipelines import Pipeline
    from nlplug.server.metrics import Metrics
    from nlplug.task import TaskInput

GRACE = 0.5
"""Seconds in which the requests of a closed queue are still answered."""
LAST_WAIT = 5.0
"""Seconds in which a stopped model has to return before its thread is abandoned."""

_log = logging.getLogger("nlplug.server")


class Batcher:
    """One model's bounded queue, and the thread that loads the model and answers.

    A request with more inputs than a batch is answered in parts; other requests are answered
    between them. Work for a cancelled request ends, unless it is a small part of its batch. A
    failure ends only the request that caused it. All methods are thread-safe.

    Args:
        name: Name of the model in messages and metrics.
        load: Loads the model for the lifetime of the thread; called in the thread at the first
            request, and again after a failure.
        task: Name of its task in metrics.
        max_batch: Largest number of inputs answered in one batch.
        max_queue: Largest number of waiting requests.
        metrics: The metrics to update.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[], AbstractContextManager[Pipeline]],
        *,
        task: str = "",
        max_batch: int,
        max_queue: int,
        metrics: Metrics,
    ) -> None:
        self.name = name
        self._load = load
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._sizes = metrics.batches.labels(task, name)
        self._changed = Condition()
        self._jobs: deque[Job] = deque()
        self._loads: list[Future[Pipeline]] = []
        self._thread: Thread | None = None
        self._model: Pipeline | None = None
        self._held = ExitStack()
        self._batch: Batch | None = None
        self._closed = False
        self._cut_off = False

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory and its thread is running."""
        thread = self._thread
        return self._model is not None and thread is not None and thread.is_alive()

    @property
    def waiting(self) -> int:
        """Number of waiting requests."""
        return len(self._jobs)

    def submit(self, inputs: Sequence[TaskInput], options: Mapping[str, Any]) -> Future[list[Any]]:
        """Queue one request. Cancelling the future removes it from the queue or ends its work.

        Args:
            inputs: Checked inputs, at least one.
            options: The checked options of the request.

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

    def load(self) -> Future[Pipeline]:
        """The model; loads it if necessary, otherwise returns without waiting for a batch."""
        loading: Future[Pipeline] = Future()
        with self._changed:
            self._check_open()
            if self._model is not None:
                loading.set_result(self._model)
                return loading
            self._loads.append(loading)
            self._wake()
        return loading

    def close(self, *, by: float | None = None) -> bool:
        """Answer queued requests until a deadline, refuse the rest, free the model, end the thread.

        Args:
            by: Deadline on the clock `time.monotonic`; None: half a second from now.

        Returns:
            Whether the thread ended. If its model does not return within five seconds after it was
            stopped, the thread is abandoned and waiting requests are refused.
        """
        with self._changed:
            self._closed = True
            self._changed.notify()
            thread = self._thread
        if thread is None:
            return True
        thread.join(GRACE if by is None else max(0.0, by - monotonic()))
        with self._changed:
            self._cut_off = True
            batch = self._batch
            if batch is not None:
                batch.stop()
        thread.join(LAST_WAIT)
        if thread.is_alive():
            under_way = [share.job.future for share in batch.shares] if batch else []
            self._refuse(shutting_down(), *under_way)
        return not thread.is_alive()

    def _check_open(self) -> None:
        if self._closed:
            raise shutting_down()

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = Thread(target=self._work, name=f"nlplug-{self.name}", daemon=True)
            self._thread.start()
        self._changed.notify()

    def _forget(self, job: Job) -> None:
        if job.future.cancelled():
            with self._changed:
                if job in self._jobs:
                    self._jobs.remove(job)
                if self._batch is not None:
                    self._batch.reconsider()

    def _work(self) -> None:
        """Answer requests until the queue is closed; if the thread fails, a new one continues."""
        try:
            self._answer_all()
        except BaseException as error:
            _log.critical("The worker of the model %r is restarted", self.name, exc_info=error)
            with self._changed:
                batch, self._batch, self._thread = self._batch, None, None
            failed = [share.job.future for share in batch.shares] if batch else []
            self._refuse(RuntimeError(f"The worker failed: {error!r}"), *failed)
            with self._changed:
                if not self._closed:
                    self._wake()

    def _answer_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._loads or self._closed)
                if self._cut_off or (not self._jobs and not self._loads):
                    break
                loads, self._loads = self._loads, []
            model = self._ready(loads)
            if model is not None:
                with self._changed:
                    shares = self._gather()
                self._answer(model, shares)
        self._refuse(shutting_down())
        self._model = None
        self._held.close()

    def _ready(self, loads: list[Future[Pipeline]]) -> Pipeline | None:
        """The model, loaded if necessary; None if loading failed and all requests were refused."""
        if self._model is None:
            try:
                with contained(), ExitStack() as stack:
                    model = stack.enter_context(self._load())
                    if loads:
                        model.open()
                    self._held = stack.pop_all()
                self._model = model
            except Exception as error:
                self._refuse(error, *loads)
                return None
        for loading in loads:
            _settle(loading, self._model)
        return self._model

    def _refuse(self, error: Exception, *futures: Future[Any]) -> None:
        """Refuse all waiting requests and those of ``futures`` with an error."""
        with self._changed:
            jobs, loads = list(self._jobs), self._loads
            self._jobs.clear()
            self._loads = []
        for future in [*futures, *loads, *(job.future for job in jobs)]:
            _settle(future, error)

    def _gather(self) -> list[Share]:
        """Take the next batch: the oldest request, and later ones with the same options.

        If only a part of a request fits, the rest goes to the end of the queue.
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
        return shares

    def _answer(self, model: Pipeline, shares: Sequence[Share]) -> None:
        with self._changed:
            shares = [share for share in shares if not share.given_up]
            cut_off = self._cut_off
            batch = self._batch = Batch(shares) if shares and not cut_off else None
        if batch is None:
            for share in shares:
                self._give_up(share.job, shutting_down())
            return
        self._sizes.observe(len(batch.inputs))
        try:
            with contained():
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

    def _mend(self, model: Pipeline, batch: Batch, error: Exception) -> None:
        """Answer the remaining requests of a batch that failed or was stopped."""
        if batch.stopped:
            self._answer(model, batch.shares)
        elif len(batch.shares) == 1:
            self._give_up(batch.shares[0].job, error)
        else:  # An error of one request must not affect the others.
            for share in batch.shares:
                self._answer(model, [share])

    def _give_up(self, job: Job, error: Exception) -> None:
        with self._changed:
            if job in self._jobs:
                self._jobs.remove(job)
        _settle(job.future, error)


def _settle(future: Future[Any], result: Any) -> None:
    """Set a result or an exception, unless the future is done already."""
    if future.done() or not future.set_running_or_notify_cancel():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


def shutting_down() -> Overloaded:
    """The error of a request that a server which shuts down does not answer."""
    return Overloaded("The server is shutting down.", hint="Try again in a moment.")
