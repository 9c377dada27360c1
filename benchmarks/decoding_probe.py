"""What is measured of our decoding alone: the first token of a stream, and memory as it grows."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from decoding import Shape
from quiet import own_cpu


class Probe:
    """Our decoding layer in this process, on one thread, and its graph without the layer."""

    def __init__(self, folder: Path, precision: str) -> None:
        from nlplug.runtime.decoding.open import open_decoder

        self.graph = folder / f"nlplug-{precision}" / "model.onnx"
        self.session = open_decoder(self.graph, threads=1)
        self.shape = Shape.load(folder)

    def first_token(self, prompt: int, calls: int) -> dict[str, Any]:
        """Seconds, medians of calls in turns.

        Args:
            prompt: Tokens of the prompt.
            calls: How many of each.
        """
        from nlplug.runtime.decoding.generate import stream
        from nlplug.runtime.decoding.options import DecodingOptions

        ids = [2 + number * 7 % (self.shape.vocabulary - 10) for number in range(prompt)]
        bare_session = self._bare()
        feeds = self._feeds(bare_session, ids)
        options = DecodingOptions(max_new_tokens=self.shape.new)
        cpu, bare, first = own_cpu(), [], []
        for number in range(calls + 2):
            start = time.perf_counter()
            bare_session.run(["top_tokens"], feeds)
            middle = time.perf_counter()
            next(iter(stream(self.session, [ids], options)))
            end = time.perf_counter()
            if number >= 2:  # the first ones warm up
                bare.append(middle - start)
                first.append(end - middle)
        return {"bare": median(bare), "first": median(first), "cpu": own_cpu() - cpu}

    def _bare(self) -> Any:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        return ort.InferenceSession(str(self.graph), options, providers=["CPUExecutionProvider"])

    def _feeds(self, session: Any, ids: Sequence[int]) -> dict[str, Any]:
        """What a pass over a prompt takes, with an empty cache that holds it."""
        import numpy as np

        spec, length = self.session.spec, len(ids)
        feeds: dict[str, Any] = {
            "input_ids": np.array([ids]),
            "position_ids": np.arange(length)[None],
            "seqlens_k": np.array([length - 1], np.int32),
            "total_sequence_length": np.array(length, np.int32),
            "logits_at": np.array([length - 1]),
            "top": np.array([1]),
        }
        empty = np.zeros((1, spec.kv_heads, length, spec.head_size), np.float32)
        names = [item.name for item in session.get_inputs()]
        return {name: feeds.get(name, empty) for name in names}

    def memory(self, rows: int, new: int) -> dict[str, Any]:
        """MB that the process grew by at its peak, beside what the cache takes by itself.

        Args:
            rows: Texts in the batch.
            new: Tokens that each of them is given.
        """
        from nlplug.runtime.decoding.generate import generate
        from nlplug.runtime.decoding.options import DecodingOptions

        prompts = self.shape.prompts(rows)
        generate(self.session, prompts, DecodingOptions(max_new_tokens=2))
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the peak so far
        before = _status("VmRSS")
        generate(self.session, prompts, DecodingOptions(max_new_tokens=new))
        spec = self.session.spec
        a_token = 2 * 4 * rows * spec.layers * spec.kv_heads * spec.head_size / 2**20
        return {
            "grown": _status("VmHWM") - before,
            "cache": a_token * (self.shape.prompt + new),
            "whole": a_token * spec.context,
        }


def _status(field: str) -> float:
    """MB, as the kernel counts."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))
