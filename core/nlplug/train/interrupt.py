"""Stops a run at SIGINT (Ctrl-C), SIGTERM or SIGHUP in a way that it can be resumed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from nlplug.errors import TrainingInterrupted
from nlplug.train.workspace import Workspace, complete_checkpoints

if TYPE_CHECKING:
    from signal import Signals

# SIGHUP comes when a terminal is closed; ``nohup`` ignores it, and Windows does not have it.
_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class Interruption:
    """The signal that a run received.

    Attributes:
        received: The first signal, or None.
        deferred: Whether the code that runs stops by itself soon after the first signal. A second
            signal, or any signal while this is off, stops the run immediately.
    """

    def __init__(self) -> None:
        self.received: Signals | None = None
        self.deferred = False

    def receive(self, number: int, frame: FrameType | None) -> None:
        """The handler of the signals.

        Raises:
            KeyboardInterrupt: The run must stop immediately.
        """
        first = self.received is None
        self.received = signal.Signals(number)
        if not (first and self.deferred):
            raise KeyboardInterrupt

    def raise_if_received(self) -> None:
        """Stop if a signal was received.

        Raises:
            KeyboardInterrupt: A signal was received.
        """
        if self.received is not None:
            raise KeyboardInterrupt


@contextmanager
def interruptible(work: Workspace) -> Iterator[Interruption]:
    """A block of a run that these signals end with an error that says how to resume.

    A signal that the process ignores stays ignored. Outside of the main thread, Python delivers no
    signals, so nothing changes there.

    Raises:
        TrainingInterrupted: A signal was received.
    """
    state = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield state
        return
    earlier = {
        number: handler
        for number in _SIGNALS
        if (handler := signal.getsignal(number)) not in (signal.SIG_IGN, None)
    }
    for number in earlier:
        signal.signal(number, state.receive)
    try:
        yield state
    except KeyboardInterrupt:
        if state.received is None:
            raise
        raise _interrupted(work, state.received) from None
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _interrupted(work: Workspace, received: Signals) -> TrainingInterrupted:
    hint = "Continue with the same settings and --resume (resume=True)."
    if Workspace.open(work.config.model_copy(update={"resume": True})).finished:
        state = f"The trained model is in {work.model}; it is not exported yet."
    elif saved := complete_checkpoints(work.folder):
        step = saved[-1].name.rsplit("-", 1)[1]
        state = f"Step {step} is saved in {saved[-1]}."
    else:
        state, hint = "No checkpoint was saved yet.", "Start the run again."
    return TrainingInterrupted(
        f"The run was interrupted by {received.name}. {state}", hint=hint, signal=int(received)
    )
