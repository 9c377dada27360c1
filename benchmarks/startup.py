"""Fresh processes: the time to the first answer and the most memory held, ``wait4`` being judge."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from arena import FOREIGN_LIMIT, turns
from quiet import Patience, foreign_share, own_cpu, usage

TEXT = "I loved every minute of it, and so did the children."


@dataclass
class Start:
    """The runs of one command.

    Attributes:
        title: What the table calls it.
        arguments: The command.
        seconds: Wall time of each run.
        peak: The most memory of each run, MB.
        foreign: The share of the CPUs that others used, a run.
    """

    title: str
    arguments: list[str]
    seconds: list[float] = field(default_factory=list)
    peak: list[float] = field(default_factory=list)
    foreign: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return median(self.seconds)


_PIPELINE = """
from transformers import pipeline
print(pipeline("text-classification", model={model!r})({text!r}))
"""
_OPTIMUM = """
from optimum.onnxruntime import ORTModelForSequenceClassification
from transformers import AutoTokenizer, pipeline
model = ORTModelForSequenceClassification.from_pretrained({model!r}, file_name={file!r})
tokenizer = AutoTokenizer.from_pretrained({tokenizer!r})
print(pipeline("text-classification", model=model, tokenizer=tokenizer)({text!r}))
"""


def commands(work: Path, command: Path) -> dict[str, Start]:
    """The commands that compete; ``nlplug run`` is given the benchmark's own bundle."""
    python, work = sys.executable, work / "sentiment"
    run = [str(command), "run", "sentiment", "--model", str(work / "bundle"), TEXT]
    transformers = _PIPELINE.format(model=str(work / "checkpoint"), text=TEXT)
    optimum = _OPTIMUM.format(
        model=str(work / "optimum-int8"),
        file="model_quantized.onnx",
        tokenizer=str(work / "checkpoint"),
        text=TEXT,
    )
    return {
        "python": Start("an empty Python, for scale", [python, "-c", "pass"]),
        "import": Start("`import nlplug`", [python, "-c", "import nlplug"]),
        "help": Start("`nlplug --help`", [str(command), "--help"]),
        "run": Start('`nlplug run sentiment "…"`, int8', run),
        "transformers": Start("transformers pipeline, a script", [python, "-c", transformers]),
        "optimum": Start("optimum pipeline int8, a script", [python, "-c", optimum]),
    }


def measure(work: Path, command: Path, rounds: int, patience: Patience) -> dict[str, Start]:
    """Run each command once per round, alternating, after one run that warms the file cache."""
    starts, log = commands(work, command), work / "startup.log"
    for start in starts.values():
        _once(start, log)
    for order in turns(list(starts), rounds):
        for name in order:
            start = starts[name]
            # A tick of 10 ms weighs more in so short a run.
            run, share = patience.cleanest(lambda s=start: _once(s, log), 2 * FOREIGN_LIMIT)
            start.seconds.append(run[0])
            start.peak.append(run[1])
            start.foreign.append(share)
    return starts


def _once(start: Start, log: Path) -> tuple[tuple[float, float], float]:
    """Seconds and peak MB of one run, and the share of the CPUs that others used.

    Raises:
        RuntimeError: The command failed.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    files = [(os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o644), (os.POSIX_SPAWN_DUP2, 1, 2)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    before, own = usage(), own_cpu()
    pid = os.posix_spawn(start.arguments[0], start.arguments, environment, file_actions=files)
    _, status, used = os.wait4(pid, 0)
    after = usage()
    if os.waitstatus_to_exitcode(status) != 0:
        raise RuntimeError(f"{start.title} failed; see {log}")
    # os.times() counts children apart, so the child's time is added here.
    cpu = used.ru_utime + used.ru_stime + own_cpu() - own
    found = after.wall - before.wall, used.ru_maxrss / 1024
    return found, foreign_share(before, after, cpu)
