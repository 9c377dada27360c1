"""One contender in a process of its own: JSON lines in on stdin, JSON lines out on stdout.

Commands: ``prepare`` (settings, how many texts), ``go``, ``prepare_one`` (settings), ``one``
(calls), ``quit``. Each is answered by one line; ``{"error": …}`` ends the process.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from contenders import CONTENDERS, Contender
from quiet import own_cpu
from texts import LATENCY_TOKENS, load_vocabulary, make_texts


def _private_stdout() -> TextIO:
    """The pipe to the parent; what libraries print goes to stderr from here on."""
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return pipe


class Worker:
    """Holds the contender and answers the parent's commands."""

    def __init__(self, name: str, work: Path) -> None:
        vocabulary = load_vocabulary(work / "checkpoint" / "vocab.txt")
        self.texts = make_texts(vocabulary, 2000)
        # Whole words of the vocabulary are one token each; two more are the special tokens.
        self.short = " ".join(vocabulary[200 : 200 + LATENCY_TOKENS - 2])
        self.contender: Contender = CONTENDERS[name](work)
        self.count = len(self.texts)
        self.call: Callable[[], object] = lambda: None

    def prepare(self, settings: dict[str, Any], count: int) -> dict[str, Any]:
        self.count = count
        self.contender.prepare(settings, self.texts[:count])
        return {}

    def go(self) -> dict[str, Any]:
        texts, cpu = self.texts[: self.count], own_cpu()
        self.contender.warm(texts)
        gc.collect()
        wall = time.perf_counter()
        scores = self.contender.run(texts)
        wall, cpu = time.perf_counter() - wall, own_cpu() - cpu
        return {"seconds": wall, "cpu": cpu, "scores": [round(score, 5) for score in scores]}

    def prepare_one(self, settings: dict[str, Any]) -> dict[str, Any]:
        self.contender.prepare(settings, [self.short] * 4)
        self.call = self.contender.one(self.short)
        for _ in range(20):
            self.call()
        return {}

    def one(self, calls: int) -> dict[str, Any]:
        times, cpu = [], own_cpu()
        for _ in range(10):
            self.call()
        gc.collect()
        for _ in range(calls):
            start = time.perf_counter()
            self.call()
            times.append(time.perf_counter() - start)
        return {"times": times, "cpu": own_cpu() - cpu}


def main() -> None:
    pipe = _private_stdout()

    def answer(body: dict[str, Any]) -> None:
        pipe.write(json.dumps(body) + "\n")
        pipe.flush()

    try:
        worker = Worker(sys.argv[1], Path(sys.argv[2]))
        answer({})
        for line in sys.stdin:
            request = json.loads(line)
            command = request.pop("command")
            if command == "quit":
                return
            answer(getattr(worker, command)(**request))
    except Exception as error:
        traceback.print_exc()
        answer({"error": f"{type(error).__name__}: {error}"})
        sys.exit(1)


if __name__ == "__main__":
    main()
