"""How signals arrive in the processes that tests start."""

from __future__ import annotations

import signal
import sys


def _by_default() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


hung_up_by_default = None if sys.platform == "win32" else _by_default
"""For ``preexec_fn``: SIGHUP ends the process, also where the tests run under ``nohup``."""
