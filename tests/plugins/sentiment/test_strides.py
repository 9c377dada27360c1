"""Options of requests leave nothing behind that stays in memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

STRIDES = """
import resource
from nlplug import pipeline
answer = pipeline("sentiment")
text = "It was a good film with a bad end. " * 60
answer(text, stride=0)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for stride in range(1, 61):
    answer(text, stride=stride)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of memory is that of Linux")
def test_sixty_strides_keep_no_tokenizer_each() -> None:
    done = subprocess.run([sys.executable, "-c", STRIDES], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 40 << 10, "kibibytes; a tokenizer of this model takes 4 MiB"
