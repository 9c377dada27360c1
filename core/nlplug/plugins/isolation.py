"""Running the code of a plugin: what it prints goes to stderr, and it can have a time limit."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import TextIO, TypeVar

from nlplug.errors import PluginError

T = TypeVar("T")


class StillRunning(Exception):
    """The code of a plugin did not return within its time limit.

    Args:
        limit: The limit in seconds.
        stack: Where the code is now, the innermost call first.
    """

    def __init__(self, limit: float, stack: traceback.StackSummary) -> None:
        super().__init__(f"not finished after {limit:g} s")
        self.limit = limit
        self.stack = stack


def run_isolated(work: Callable[[], T], limit: float | None) -> T:
    """Run the code of a plugin; what it prints goes to stderr.

    Args:
        work: What to run.
        limit: Seconds that it may take; None for no limit. With a limit it runs in a thread of its
            own. Python cannot end a thread, so code that exceeds the limit continues there, and
            the process can still exit.

    Raises:
        StillRunning: The limit is exceeded.
        BaseException: Whatever ``work`` raises.
    """
    with stdout_to_stderr():
        if limit is None:
            return work()
        context = copy_context()
        results: list[T] = []
        errors: list[BaseException] = []

        def run() -> None:
            try:
                results.append(context.run(work))
            except BaseException as error:  # raised again in the caller's thread
                errors.append(error)

        thread = threading.Thread(target=run, name="nlplug-plugin", daemon=True)
        thread.start()
        thread.join(limit)
        if errors:
            raise errors[0]
        if results:
            return results[0]
        frame = sys._current_frames().get(thread.ident or 0)
        raise StillRunning(limit, traceback.StackSummary.extract(traceback.walk_stack(frame)))


@contextmanager
def exit_as_error(task: str) -> Iterator[None]:
    """Report a task that ends the program by ``sys.exit``.

    Raises:
        PluginError: Instead of the SystemExit, which is its cause.
    """
    try:
        yield
    except SystemExit as end:
        raise PluginError(
            f"The task {task!r} called sys.exit({end.code!r}).",
            hint="NLPLUG_DEBUG=1 prints where. Report it to the authors of its plugin.",
        ) from end


_lock = threading.Lock()
_redirections = 0
_stdout: TextIO = sys.stdout


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Redirect printed text to stderr, for callers whose own output on stdout is read by programs.

    Unlike `contextlib.redirect_stdout` this may be entered by several threads at a time: stdout is
    restored when the last one leaves.
    """
    global _redirections, _stdout
    with _lock:
        if _redirections == 0:
            _stdout, sys.stdout = sys.stdout, sys.stderr
        _redirections += 1
    try:
        yield
    finally:
        with _lock:
            _redirections -= 1
            if _redirections == 0:
                sys.stdout = _stdout
