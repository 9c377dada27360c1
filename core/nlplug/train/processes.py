"""Distributed training: several processes started by ``torchrun`` or ``accelerate launch``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def is_main() -> bool:
    """Whether this is the main process, which writes the files."""
    return int(os.environ.get("RANK", "0")) == 0


def is_alone() -> bool:
    """Whether there are no other processes."""
    return int(os.environ.get("WORLD_SIZE", "1")) < 2


def group() -> dict[str, Any]:
    """The number of processes, and the communication backend of several processes."""
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return {"processes": 1}
    return {"processes": distributed.get_world_size(), "backend": distributed.get_backend()}


def broadcast(value: Any) -> Any:
    """Send the value of the main process to all processes."""
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return value
    values = [value]
    distributed.broadcast_object_list(values, src=0)
    return values[0]


def any_process(value: bool) -> bool:
    """Whether the value is true in any of the processes."""
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return value
    import torch

    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    found = torch.tensor(int(value), device=device)
    distributed.all_reduce(found, op=distributed.ReduceOp.MAX)
    return bool(found.item())


@contextmanager
def main_first() -> Iterator[bool]:
    """A block that the main process completes before the others enter it.

    The main process waits until all processes have reached the block, so none of them still reads
    files that it changes. Yields whether this is the main process; a single process does not wait.
    """
    if is_alone():
        yield True
        return
    import torch
    from accelerate import PartialState

    # Also needed on the CPU: Trainer reuses the process group that is created here.
    state = PartialState(cpu=not torch.cuda.is_available())
    state.wait_for_everyone()
    if not is_main():
        state.wait_for_everyone()
    yield is_main()
    if is_main():
        state.wait_for_everyone()
