"""The process of a training run: runs ``nlplug train`` and writes down how it ended.

Started as ``python -m nlplug.workspace.worker RUN_FOLDER`` by `nlplug.workspace.trainings`, with a
lock on the run's lock file that ends with this process.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType

from nlplug.workspace.folder import read_json, write_json


def _interrupt(number: int, frame: FrameType | None) -> None:
    """As `nlplug.train.interrupt` does, which has handlers of its own while the loop runs."""
    raise KeyboardInterrupt


def work(folder: Path) -> int:
    """Run the command of a run; returns its exit code."""
    from nlplug.cli.main import main

    signal.signal(signal.SIGTERM, _interrupt)
    request = read_json(folder / "run.json") or {}
    try:
        main(request["command"], prog_name="nlplug")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    write_json(folder / "ended.json", {"code": code})
    return code


if __name__ == "__main__":
    sys.exit(work(Path(sys.argv[1])))
