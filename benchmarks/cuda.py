"""Answers and speed of installed models on a GPU, beside those on the CPU.

``python benchmarks/cuda.py [TASK …]`` needs ``nlplug[gpu]``, a card, and the packages of the tasks.
For each precision of a model it prints how many answers are those of the CPU, the largest
difference of a score, how many nodes of the graph the GPU left to the CPU, and texts per second in
batches of 1, 32 and 256. It ends with 1 where a session did not run on the GPU, and with 2 where
there is none.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import onnxruntime as ort
from texts import make_texts

from nlplug import pipeline
from nlplug.models.bundle import Bundle
from nlplug.models.float_form import in_float
from nlplug.runtime.device import Device
from nlplug.runtime.session import build_session, session_options

TASKS = ("sentiment", "classification", "ner", "qa")
SIZES = (1, 32, 256)
TEXTS = 256
SECONDS = 1.5
"""Time of one measurement."""
_TOKENS = 32


def inputs_of(task: str, bundle: Bundle) -> list[Any]:
    """Texts of mixed length, of the whole words that the model knows."""
    known = json.loads((bundle.path / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
    words = [word for word in known if len(word) > 1 and word.isascii() and word.isalpha()]
    texts = make_texts(words, TEXTS)
    if task != "qa":
        return list(texts)
    return [{"question": f"{' '.join(t.split()[:6])}?", "context": t} for t in texts]


def parts(answer: Any) -> tuple[list[Any], list[float]]:
    """What an answer says, and its scores."""
    several = answer if isinstance(answer, list) else [answer]
    said = [{key: value for key, value in one.items() if key != "score"} for one in several]
    return said, [one["score"] for one in several]


def compared(answers: Sequence[Any], expected: Sequence[Any]) -> tuple[int, float]:
    """How many answers say the same, and the largest difference of a score among those."""
    pairs = [(parts(one), parts(other)) for one, other in zip(answers, expected, strict=True)]
    same = [(one[1], other[1]) for one, other in pairs if one[0] == other[0]]
    worst = [abs(a - b) for one, other in same for a, b in zip(one, other, strict=True)]
    return len(same), max(worst, default=0.0)


def placed(path: Path, device: Device) -> Counter[str]:
    """The operators of one run that the CPU computes, memory copies among them."""
    options = session_options(1)
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = f"{folder}/profile"
        session = build_session(in_float(path) or path, options, device, weights_of=path)
        shape = 4, _TOKENS
        ids = np.random.default_rng(0).integers(5, 100, shape)
        feeds = {
            item.name: ids if item.name == "input_ids" else np.ones(shape, np.int64)
            for item in session.get_inputs()
            if item.name != "token_type_ids"
        }
        if any(item.name == "token_type_ids" for item in session.get_inputs()):
            feeds["token_type_ids"] = np.zeros(shape, np.int64)
        session.run(None, feeds)
        events = json.loads(Path(session.end_profiling()).read_text("utf-8"))
    nodes = [event["args"] for event in events if event["name"].endswith("_kernel_time")]
    return Counter(
        node["op_name"]
        for node in nodes
        if node["provider"] == "CPUExecutionProvider" or node["op_name"].startswith("Memcpy")
    )


def rate(call: Callable[[], object], count: int) -> float:
    """Texts per second at the median."""
    call()
    times, end = list[float](), perf_counter() + SECONDS
    while len(times) < 3 or perf_counter() < end:
        begin = perf_counter()
        call()
        times.append(perf_counter() - begin)
    return count / median(times)


def measure(task: str, device: Device) -> bool:
    """Print the rows of one task; whether all of them ran on the device."""
    bundle = pipeline(task, device="cpu").bundle
    inputs = inputs_of(task, bundle)
    on_device = True
    for precision, path in bundle.precisions.items():
        expected: list[Any] = []
        for name in ("cpu", str(device)):
            with pipeline(task, model=bundle.path, precision=precision, device=name) as pipe:
                answers = list(pipe(inputs))
                expected = expected or answers
                same, worst = compared(answers, expected)
                rates = []
                for size in SIZES:
                    turns = cycle(inputs)
                    batch = inputs[:size]
                    one = size == 1
                    rates.append(
                        rate(lambda t=turns, b=batch, o=one: pipe(next(t) if o else b), size)
                    )
                given = " | ".join(f"{value:,.0f}" for value in rates)
                print(
                    f"| {bundle.name} | {precision} | {pipe.device} | {same} of {len(inputs)} | "
                    f"{worst:.4f} | {given} |",
                    flush=True,
                )
                on_device &= name == "cpu" or str(pipe.device) == name
        left = placed(path, device)
        listed = ", ".join(f"{count} {name}" for name, count in sorted(left.items()))
        print(f"  left to the CPU, and copies: {listed or 'nothing'}", flush=True)
    return on_device


def main() -> None:
    """Compare the devices for the tasks that are named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("tasks", nargs="*", default=TASKS)
    parser.add_argument("--device", default="cuda:0", help="cuda:N")
    options = parser.parse_args()
    device = Device("cuda", int(options.device.partition(":")[2] or 0))
    if not device.present:
        print(f"no CUDA device: ONNX Runtime {ort.__version__} {ort.get_available_providers()}")
        sys.exit(2)
    columns = " | ".join(f"texts/s, batches of {size}" for size in SIZES)
    print(f"| model | precision | device | same answers | largest difference | {columns} |")
    done = [measure(task, device) for task in options.tasks]
    if not all(done):
        sys.exit("a session did not run on the GPU")


if __name__ == "__main__":
    main()
