"""What threads have freed goes back to the system while a server runs."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

FRAGMENTS = """
import os, time
from pathlib import Path
from threading import Barrier, Thread

from nlplug.server.memory import kept_small

def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

kept, together = [], Barrier(4)

def work():
    parts = [bytes([index % 250]) * 60_000 for index in range(300)]
    kept.append(parts[-1])  # what lies behind the free memory of the thread
    together.wait()

threads = [Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()

before = resident()
with kept_small(0.01):
    time.sleep(1)
print(before - resident())
"""


def _glibc() -> bool:
    try:
        return hasattr(ctypes.CDLL(None), "malloc_trim")
    except TypeError:
        return False


@pytest.mark.skipif(not _glibc(), reason="only the allocator of glibc keeps free memory")
def test_free_memory_goes_back_to_the_system() -> None:
    made = subprocess.run(
        [sys.executable, "-c", FRAGMENTS], check=True, capture_output=True, text=True
    )
    assert float(made.stdout) > 40  # MB, of 4 * 300 * 60 kB
