"""One contender in a process of its own: JSON lines in on stdin, JSON lines out on stdout.

Commands: the methods of `Worker`, or for contenders that decode, of `DecodingWorker`; ``quit`` ends
it. Each is answered by one line; ``{"error": …}`` ends it all.
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

from contenders import Contender
from decoding import Case, DecodingContender
from decoding_probe import Probe
from parts import CONTENDERS, DECODERS
from quiet import own_cpu
from texts import LATENCY_TOKENS, load_vocabulary

CHECKED_TEXTS = 8
"""Texts of a case whose tokens are compared, at least; a batch may hold more."""


def _private_stdout() -> TextIO:
    """The pipe to the parent; what libraries print goes to stderr from here on."""
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return pipe


class Worker:
    """Holds a contender that answers texts, and answers the parent's commands."""

    def __init__(self, name: str, work: Path) -> None:
        kind = CONTENDERS[name]
        vocabulary = load_vocabulary(work / kind.task / "checkpoint" / "vocab.txt")
        self.texts = kind.corpus(vocabulary)
        # Whole words of the vocabulary are one token each; two more are the special tokens.
        self.short = " ".join(vocabulary[200 : 200 + LATENCY_TOKENS - 2])
        self.contender: Contender = kind(work / kind.task)
        self.count = len(self.texts)
        self.call: Callable[[], object] = lambda: None

    def count_texts(self) -> dict[str, Any]:
        return {"count": len(self.texts)}

    def prepare(self, settings: dict[str, Any], count: int) -> dict[str, Any]:
        self.count = count
        self.contender.prepare(settings, self.texts[:count])
        return {}

    def go(self) -> dict[str, Any]:
        texts, cpu = self.texts[: self.count], own_cpu()
        self.contender.warm(texts)
        gc.collect()
        wall = time.perf_counter()
        answers = self.contender.run(texts)
        wall, cpu = time.perf_counter() - wall, own_cpu() - cpu
        return {"seconds": wall, "cpu": cpu, "answers": answers}

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


class DecodingWorker:
    """Holds a contender that decodes."""

    def __init__(self, name: str, work: Path) -> None:
        self.contender: DecodingContender = DECODERS[name].open(work)
        self.batches: list[list[list[int]]] = []

    def prepare(self, settings: dict[str, Any], case: dict[str, Any]) -> dict[str, Any]:
        """Take on a case; its batches are the same whatever the settings."""
        made = Case(**case)
        self.contender.prepare(settings, made)
        count = max(1, -(-CHECKED_TEXTS // made.rows))
        prompts = self.contender.shape.prompts(count * made.rows)
        self.batches = [prompts[i : i + made.rows] for i in range(0, len(prompts), made.rows)]
        return {}

    def pace(self, seconds: float) -> dict[str, Any]:
        """Decode one batch after the other for so long; the last one is finished."""
        cpu = own_cpu()
        self.contender.run(self.batches[0])
        gc.collect()
        calls, start = 0, time.perf_counter()
        while True:
            self.contender.run(self.batches[calls % len(self.batches)])
            calls += 1
            wall = time.perf_counter() - start
            if wall >= seconds:
                break
        tokens = calls * len(self.batches[0]) * self.contender.shape.new
        return {"seconds": wall, "tokens": tokens, "cpu": own_cpu() - cpu}

    def answers(self) -> dict[str, Any]:
        """The new tokens of every prompt.

        Raises:
            ValueError: A text has not the length that was asked for.
        """
        texts = [text for batch in self.batches for text in self.contender.run(batch)]
        lengths = {len(text) for text in texts}
        if lengths != {self.contender.shape.new}:
            raise ValueError(f"texts of {sorted(lengths)} tokens")
        return {"answers": texts}

    def first_token(self, prompt: int, calls: int) -> dict[str, Any]:
        """Seconds to the first token of a stream, and of one bare pass of the prompt."""
        return Probe(self.contender.folder, self.contender.precision).first_token(prompt, calls)

    def memory(self, rows: int, new: int) -> dict[str, Any]:
        """How far the process grew while it decoded, MB."""
        return Probe(self.contender.folder, self.contender.precision).memory(rows, new)


def main() -> None:
    pipe = _private_stdout()

    def answer(body: dict[str, Any]) -> None:
        pipe.write(json.dumps(body) + "\n")
        pipe.flush()

    try:
        kind = DecodingWorker if sys.argv[1] in DECODERS else Worker
        worker = kind(sys.argv[1], Path(sys.argv[2]))
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
