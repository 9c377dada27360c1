"""Micro-batching: requests that arrive while batches run are answered together in the next one.

There is no timer, so a single request never waits for others. A batch is a bounded part of the work
that waits: a request with more is answered in several, between those of other requests.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack
from threading import Condition, Thread, current_thread
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import ref

from nlplug.errors import Overloaded, QueueTooLong
from nlplug.server.batch import Batch, Job, Share
from nlplug.server.containment import contained
from nlplug.server.pace import Pace

if TYPE_CHECKING:
    from nlplug.pipelines import Pipeline
    from nlplug.server.metrics import Metrics
    from nlplug.task import TaskInput

GRACE = 0.5
"""Seconds in which the requests of a closed queue are still answered."""
LAST_WAIT = 5.0
"""Seconds in which a stopped model has to return before its thread is abandoned."""

PART = 8000
"""Number of characters after which a batch takes no further input."""

_log = logging.getLogger("nlplug.server")


class Batcher:
    """One model's bounded queue, and the threads that load the model and answer.

    A request with more inputs than a batch is answered in parts; other requests are answered
    between them. Work for a cancelled request ends, unless it is a small part of its batch. A
    failure ends only the request that caused it. All methods are thread-safe.

    Args:
        name: Name of the model in messages and metrics.
        load: Loads the model for the lifetime of the threads; called in a thread at the first
            request, and again after a failure.
        task: Name of its task in metrics.
        lanes: Number of batches at the same time, or more if the runner of the model asks for it;
            see `nlplug.task.Runner.concurrency`.
        max_batch: Largest number of inputs answered in one batch.
        max_queue: Largest number of waiting requests.
        patience: Seconds that a request may take; one that would wait and take longer is refused.
        metrics: The metrics to update.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[], AbstractContextManager[Pipeline]],
        *,
        task: str = "",
        lanes: int = 1,
        max_batch: int,
        max_queue: int,
        patience: float = math.inf,
        metrics: Metrics,
    ) -> None:
        self.name = name
        self._load = load
        self._least_lanes = lanes
        self._lanes = 1  # until the model is there, which one thread loads
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._patience = patience
        self._pace = Pace(max_batch, PART)
        self._sizes = metrics.batches.labels(task, name)
        self._changed = Condition()
        self._jobs: deque[Job] = deque()
        self._loads: list[Future[Pipeline]] = []
        self._threads: list[Thread] = []
        self._running = self._idle = 0
        self._model: Pipeline | None = None
        self._held = ExitStack()
        self._batches: dict[Thread, Batch] = {}
        self._closed = False
        self._cut_off = False

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory and a thread is running."""
        return self._model is not None and self._running > 0

    @property
    def waiting(self) -> int:
        """Number of waiting requests."""
        return len(self._jobs)

    def submit(
        self,
        inputs: Sequence[TaskInput],
        options: Mapping[str, Any],
        notices: list[str] | None = None,
    ) -> Future[list[Any]]:
        """Queue one request. Cancelling the future removes it from the queue or ends its work.

        Args:
            inputs: Checked inputs, at least one.
            options: The checked options of the request.
            notices: Gets the warnings about the answers, before the future is done.

        Raises:
            Overloaded: The queue is full, or the server is shutting down.
            QueueTooLong: The request would take longer than it may.
        """
        job = Job(inputs, options, notices=[] if notices is None else notices)
        with self._changed:
            self._check_open()
            if len(self._jobs) >= self._max_queue:
                raise Overloaded(
                    f"The queue of the model {self.name!r} is full: {self._max_queue} requests "
                    "wait already.",
                    hint="Try again in a moment, or start the server with a larger --max-queue.",
                )
            self._check_wait(job)
            self._jobs.append(job)
            self._wake()
        # Not the job itself: a future keeps its callbacks, so that the two would keep each other,
        # with all texts and answers, until the garbage collector comes.
        known = ref(job)
        job.future.add_done_callback(lambda _: self._forget(known()))
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
        """Answer queued requests until a deadline, refuse the rest, and free the model.

        Args:
            by: Deadline on the clock `time.monotonic`; None: half a second from now.

        Returns:
            Whether the threads ended. If the model does not return within five seconds after it was
            stopped, its threads are abandoned and waiting requests are refused.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._join(monotonic() + GRACE if by is None else by)
        with self._changed:
            self._cut_off = True
            batches = list(self._batches.values())
            for batch in batches:
                batch.stop()
        ended = self._join(monotonic() + LAST_WAIT)
        if not ended:
            under_way = [share.job.future for batch in batches for share in batch.shares]
            self._refuse(shutting_down(), *under_way)
        return ended

    def _join(self, by: float) -> bool:
        """Wait for all threads until a deadline; returns whether they ended."""
        for thread in list(self._threads):  # no other starts, because the queue is closed
            thread.join(max(0.0, by - monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _check_open(self) -> None:
        if self._closed:
            raise shutting_down()

    def _check_wait(self, job: Job) -> None:
        now = monotonic()
        running = [(batch.size, now - batch.started) for batch in self._batches.values()]
        waiting = [one.next(self._max_batch, PART) for one in self._jobs]
        wait = self._pace.wait(waiting, running, self._lanes)
        # Without waiting it is begun: a model that has become faster must be measured again.
        if wait and wait + self._pace.work(job.next(self._max_batch, PART)) > self._patience:
            error = QueueTooLong(
                f"The requests that wait for the model {self.name!r} take about {wait:.0f} "
                f"seconds; the time limit is {self._patience:g} seconds.",
                hint="Try again later, or start the server with a larger --timeout.",
            )
            error.retry_after = max(1, math.ceil(wait - self._patience))
            raise error

    def _wake(self) -> None:
        if not self._closed and not self._idle and self._running < self._lanes:
            thread = Thread(target=self._work, name=f"nlplug-{self.name}", daemon=True)
            self._threads = [each for each in self._threads if each.is_alive()]
            thread.start()
            self._threads.append(thread)
            self._running += 1
        self._changed.notify()

    def _forget(self, job: Job | None) -> None:
        if job is not None and job.future.cancelled():
            with self._changed:
                if job in self._jobs:
                    self._jobs.remove(job)
                for batch in self._batches.values():
                    batch.reconsider()

    def _work(self) -> None:
        """Answer requests until the queue is closed; if the thread fails, a new one continues."""
        try:
            self._answer_all()
        except BaseException as error:
            _log.critical("The worker of the model %r is restarted", self.name, exc_info=error)
            with self._changed:
                batch = self._batches.pop(current_thread(), None)
            failed = [share.job.future for share in batch.shares] if batch else []
            self._refuse(RuntimeError(f"The worker failed: {error!r}"), *failed)
        with self._changed:
            self._running -= 1
            last = self._closed and not self._running
            if not self._closed:
                self._wake()
        if last:
            self._refuse(shutting_down())
            self._model = None
            self._held.close()

    def _answer_all(self) -> None:
        while True:
            with self._changed:
                self._idle += 1
                self._changed.wait_for(lambda: self._jobs or self._loads or self._closed)
                self._idle -= 1
                if self._cut_off or (not self._jobs and not self._loads):
                    return
                loads, self._loads = self._loads, []
            model = self._ready(loads)
            if model is not None:
                with self._changed:
                    shares = self._gather()
                    if self._jobs:  # of other options, or more than a batch
                        self._wake()
                self._answer(model, shares)

    def _ready(self, loads: list[Future[Pipeline]]) -> Pipeline | None:
        """The model, loaded if necessary; None if loading failed and all requests were refused."""
        if self._model is None:
            try:
                with contained(), ExitStack() as stack:
                    model = stack.enter_context(self._load())
                    if loads:
                        model.open()
                    self._lanes = max(self._least_lanes, model.concurrency)
                    self._held = stack.pop_all()
                self._model = model
            except Exception as error:
                self._refuse(error, *loads)
                return None
        for loading in loads:
            _complete(loading, self._model)
        return self._model

    def _refuse(self, error: Exception, *futures: Future[Any]) -> None:
        """Refuse all waiting requests and those of ``futures`` with an error."""
        with self._changed:
            jobs, loads = list(self._jobs), self._loads
            self._jobs.clear()
            self._loads = []
        for future in [*futures, *loads, *(job.future for job in jobs)]:
            _complete(future, error)

    def _gather(self) -> list[Share]:
        """Take the next batch: the oldest request, and later ones with the same options.

        While a lane is free it takes the later ones, so that no request waits for another's end.
        """
        shares: list[Share] = []
        room, characters = self._max_batch, PART
        later: list[Job] = []
        free = self._idle + self._lanes - self._running
        while self._jobs and room > 0 and characters > 0 and not (shares and free):
            job = self._jobs.popleft()
            if job.future.cancelled():
                continue
            if shares and job.options != shares[0].job.options:
                later.append(job)
                continue
            share = job.next(room, characters)
            if shares and not share.last:  # the others shall not wait for a part that fills a batch
                later.append(job)
                continue
            shares.append(share)
            room -= len(share.inputs)
            characters -= share.size()
        self._jobs.extendleft(reversed(later))
        return shares

    def _answer(self, model: Pipeline, shares: Sequence[Share]) -> None:
        with self._changed:
            shares = [share for share in shares if not share.given_up]
            cut_off = self._cut_off
            batch = Batch(shares) if shares and not cut_off else None
            if batch is not None:
                self._batches[current_thread()] = batch
        if batch is None:
            for share in shares:
                _complete(share.job.future, shutting_down())
            return
        self._sizes.observe(len(batch.inputs))
        whole = False
        try:
            with contained():
                results = batch.run(model)
            whole = True
        except Exception as error:
            self._mend(model, batch, error)
            return
        finally:
            with self._changed:
                self._batches.pop(current_thread(), None)
                self._pace.add(batch.size, monotonic() - batch.started, whole=whole)
        for share, (result, short) in zip(shares, results, strict=True):
            if share.job.add(result, short, batch.notices):
                _complete(share.job.future, share.job.answers)
            else:
                self._go_on(share.job)

    def _go_on(self, job: Job) -> None:
        """Put a request of which only a part is answered at the end of the queue."""
        with self._changed:
            if not self._cut_off:
                self._jobs.append(job)
                self._wake()
                return
        _complete(job.future, shutting_down())

    def _mend(self, model: Pipeline, batch: Batch, error: Exception) -> None:
        """Answer the remaining requests of a batch that failed or was stopped."""
        if batch.stopped:
            self._answer(model, batch.shares)
        elif len(batch.shares) == 1:
            _complete(batch.shares[0].job.future, error)
        else:  # An error of one request must not affect the others.
            for share in batch.shares:
                self._answer(model, [share])


def _complete(future: Future[Any], result: Any) -> None:
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
