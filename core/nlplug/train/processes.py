"""Several processes that train one model, as ``torchrun`` and ``accelerate launch`` start them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def is_main() -> bool:
    """Whether this process is the one that writes files."""
    return int(os.environ.get("RANK", "0")) == 0


def group() -> dict[str, Any]:
    """How many processes there are, and of several the backend over which they talk."""
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return {"processes": 1}
    return {"processes": distributed.get_world_size(), "backend": distributed.get_backend()}


def broadcast(value: Any) -> Any:
    """The value that the main process gives, in all processes."""
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return value
    values = [value]
    distributed.broadcast_object_list(values, src=0)
    return values[0]


@contextmanager
def main_first() -> Iterator[bool]:
    """A part that the main process is through with before the others begin it.

    The main process waits until all have come to it, so that nobody still reads what it changes.
    Gives whether this is the main process; one process alone never waits.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield True
        return
    import torch
    from accelerate import PartialState

    # Set up here for the CPU as well: Trainer finds the group and keeps it.
    state = PartialState(cpu=not torch.cuda.is_available())
    state.wait_for_everyone()
    if not is_main():
        state.wait_for_everyone()
    yield is_main()
    if is_main():
        state.wait_for_everyone()
