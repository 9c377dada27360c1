"""What several threads share: values built once, and worker threads; both survive ``os.fork()``.

A forked child has only the thread that forked. A lock that another thread held stays locked there,
a thread pool has no threads, and so have the ONNX Runtime sessions that use several. So in the
child every object of this module starts anew: with a lock of its own, and with nothing built.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Generic, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

_Waiting = OrderedDict[object, deque[Callable[[], None]]]
"""From owners to their calls, in the order of their turns."""


class _Shared:
    """Base of shared objects. It has a lock, and is initialized again in a forked child."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        _alive.add(self)

    def _start_anew(self) -> None:
        """Called in a forked child, where no other thread runs."""
        self._lock = threading.Lock()


class Lazy(_Shared, Generic[T]):
    """A value that is built when it is first needed, once for all threads.

    Args:
        build: Makes the value.
    """

    def __init__(self, build: Callable[[], T]) -> None:
        super().__init__()
        self._build = build
        self._value: T | None = None

    @property
    def built(self) -> bool:
        """Whether the value is there."""
        return self._value is not None

    def get(self) -> T:
        """The value; raises what ``build`` raises."""
        value = self._value
        if value is None:
            with self._lock:
                value = self._value
                if value is None:
                    value = self._value = self._build()
        return value

    def clear(self) -> None:
        """Let go of the value; the next ``get`` builds it again. Who uses it now keeps it."""
        with self._lock:
            self._value = None

    def _start_anew(self) -> None:
        super()._start_anew()
        _abandoned.append(self._value)
        self._value = None


class SharedValues(_Shared, Generic[T]):
    """Values that are equal where their keys are; each lives as long as somebody uses it.

    The values must allow weak references.
    """

    def __init__(self) -> None:
        super().__init__()
        self._values: weakref.WeakValueDictionary[Hashable, T] = weakref.WeakValueDictionary()

    def get(self, key: Hashable, build: Callable[[], T]) -> T:
        """The value of a key, which is built where nobody uses it yet.

        Raises what ``build`` raises.
        """
        with self._lock:
            value = self._values.get(key)
            if value is None:
                value = self._values[key] = build()
            return value


class WorkerPool(_Shared):
    """Worker threads that start with the first call and take calls round robin from their owners.

    An owner of many calls delays each call of another owner by one call, and is never left out.

    Args:
        workers: Number of calls that run at the same time.
        name: Prefix of the threads' names.
    """

    def __init__(self, workers: int, name: str = "nlplug") -> None:
        super().__init__()
        self._workers = workers
        self._name = name
        self._executor: ThreadPoolExecutor | None = None
        self._waiting: _Waiting = OrderedDict()

    def others_wait(self, owner: object) -> bool:
        """Whether a call of another owner waits for a worker."""
        return len(self._waiting) > (owner in self._waiting)

    def submit(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a worker run a call."""
        return self.submit_for(None, partial(call, *args, **kwargs))

    def submit_for(self, owner: object, call: Callable[[], T]) -> Future[T]:
        """Have a worker run a call when it is the turn of its owner.

        Args:
            owner: What the calls that share a turn have in common; hashable.
            call: Called once, unless the future is cancelled before.
        """
        future: Future[T] = Future()
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(self._workers, thread_name_prefix=self._name)
            self._waiting.setdefault(owner, deque()).append(partial(_run, future, call))
            self._executor.submit(self._run_next, self._waiting)
        return future

    def close(self) -> None:
        """Wait for all calls that were submitted and stop the threads.

        A later `submit` starts new ones, so a stream in progress continues.
        """
        with self._lock:
            executor, self._executor = self._executor, None
            self._waiting = OrderedDict()  # the threads that are stopped still empty the old one
        if executor is not None:
            executor.shutdown(wait=True)

    def _run_next(self, waiting: _Waiting) -> None:
        """Run the first call of the owner whose turn it is; an executor does so once per call."""
        with self._lock:
            owner, calls = waiting.popitem(last=False)
            run = calls.popleft()
            if calls:
                waiting[owner] = calls
        run()

    def _start_anew(self) -> None:
        super()._start_anew()
        _abandoned.append((self._executor, self._waiting))
        self._executor = None
        self._waiting = OrderedDict()


def _run(future: Future[T], call: Callable[[], T]) -> None:
    """Run a call and set its result, as an executor does."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)


_alive: weakref.WeakSet[_Shared] = weakref.WeakSet()
_abandoned: list[Any] = []
"""In a forked child: what its parent had built. Destroying it would wait for missing threads."""


def _start_anew_in_child() -> None:
    for shared in list(_alive):
        shared._start_anew()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_start_anew_in_child)
