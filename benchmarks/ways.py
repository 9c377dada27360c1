"""The ways to train beside fine-tuning: score, size and time on the same rows.

NLPLUG_DATA=… python benchmarks/ways.py [--base FOLDER] [--rows 400] [--only full,lora]

Some rows of a training file train and 1,000 others are measured, in fp32; official test sets are
not used. A way that has another one as its teacher or start must come after it. Prints a Markdown
table.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nlplug import pipeline
from nlplug.data import read_rows
from nlplug.data.writers import open_writer
from nlplug.models.bundle import Bundle

_MEASURED = 1000
_TIMED, _ROUNDS = 100, 5


@dataclass(frozen=True)
class Way:
    """A way to train.

    Attributes:
        title: Its name in the table.
        arguments: Options of ``nlplug train``; ``{folder}`` is the folder of all results.
        prune: Options of ``nlplug prune`` on the model of the whole run, whose result is the base.
        names: Whether the task is to find names, instead of the topic of a question.
        half: Whether only half of the rows train.
    """

    title: str
    arguments: list[str] = field(default_factory=list)
    prune: list[str] = field(default_factory=list)
    names: bool = False
    half: bool = False


_TAUGHT = ["--teacher", "{folder}/full"]
_STATES = ["--teacher-states", "{folder}/full.training/model"]
_TUNED = "--no-probe"
_PRIVATE = ["--batch-size", "64", "--epochs", "20", "--learning-rate", "1e-3"]
WAYS: dict[str, Way] = {
    "full": Way("all weights"),
    "lora": Way("`--adapter lora`", ["--adapter", "lora", "--learning-rate", "2e-3"]),
    "rslora": Way("`--adapter rslora`", ["--adapter", "rslora", "--learning-rate", "1e-3"]),
    "seeds": Way("`--seeds 3`", ["--seeds", "3"]),
    "search": Way("`--search-minutes 3`", ["--search-minutes", "3"]),
    "neurons": Way("half of the neurons, teacher", _TAUGHT, ["--keep", "0.5"]),
    "heads": Way("half of the heads, teacher", _TAUGHT, ["--keep", "1", "--keep-heads", "0.5"]),
    "both": Way("half of both, teacher", _TAUGHT, ["--keep-heads", "0.5"]),
    "states": Way("half of both, teacher and states", _TAUGHT + _STATES, ["--keep-heads", "0.5"]),
    # Fine-tuned in any case: a probe has no use for a teacher's states.
    "both-tuned": Way("the same, `--no-probe`", [*_TAUGHT, _TUNED], ["--keep-heads", "0.5"]),
    "states-tuned": Way(
        "the same with states, `--no-probe`", [*_TAUGHT, *_STATES, _TUNED], ["--keep-heads", "0.5"]
    ),
    "private": Way("`--private-epsilon 8`", [*_PRIVATE, "--private-epsilon", "8"]),
    "private-lora": Way(
        "`--private-epsilon 8 --adapter lora`",
        [*_PRIVATE, "--private-epsilon", "8", "--adapter", "lora"],
    ),
    "half": Way("all weights, half of the rows", half=True),
    "taught": Way(
        "half of the rows, a teacher for the others",
        [*_TAUGHT, "--unlabelled", "{folder}/texts.jsonl"],
        half=True,
    ),
    "names": Way("all weights", names=True),
    "names-half": Way("half of both", [], ["--keep-heads", "0.5"], names=True),
    "names-taught": Way(
        "half of both, teacher",
        ["--teacher", "{folder}/names"],
        ["--keep-heads", "0.5"],
        names=True,
    ),
}


def main() -> None:
    options = _arguments()
    ways = {name: WAYS[name] for name in options.only}
    with TemporaryDirectory() as name:
        folder = Path(name)
        scores, seconds = {}, {}
        for way in ways:
            seconds[way] = _train(folder, way, options)
            scores[way] = _score(folder, way)
            print(f"{way}: {scores[way]:.3f}, {seconds[way]:.0f} s", file=sys.stderr, flush=True)
        times = _times(folder, list(ways), options)
        print("| data | way | score | CPU s of the run | MB | CPU ms per text |")
        print("|---|---|---:|---:|---:|---:|")
        for way, each in ways.items():
            size = Bundle.open(folder / way).onnx_file("fp32").stat().st_size / 1e6
            data = "names" if each.names else "TREC-6"
            print(
                f"| {data} | {each.title} | {scores[way]:.3f} | {seconds[way]:.0f} | {size:.1f} "
                f"| {times[way]:.2f} |"
            )


def _train(folder: Path, way: str, options: argparse.Namespace) -> float:
    """CPU seconds of a run, with pruning and export."""
    each = WAYS[way]
    train, test = _files(folder, each, options)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    arguments = [word.format(folder=folder) for word in each.arguments]
    if each.prune:
        whole = folder / ("names" if each.names else "full")
        base = folder / f"{way}-base"
        command = ["prune", f"{whole}.training/model", "--data", str(train), *each.prune]
        _run(command, ["--output", str(base)])
        arguments += ["--base", str(base)]
    elif options.base:
        arguments += ["--base", options.base]
    files = ["--data", str(train), "--output", str(folder / way), "--test", str(test)]
    settings = ["--precisions", "fp32", "--threads", str(options.threads)]
    _run(["train", "ner" if each.names else "classification"], files, settings, arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _files(folder: Path, way: Way, options: argparse.Namespace) -> tuple[Path, Path]:
    """The rows to train on, and those to measure."""
    name = options.names if way.names else options.file
    rows = [row.values for row in read_rows(options.data / "train" / name)]
    if way.names:  # the file is in parts of different sources
        random.Random(0).shuffle(rows)
    count = options.rows // 2 if way.half else options.rows
    texts = [{"text": row["text"]} for row in rows[count : options.rows] if "text" in row]
    _write(folder / "texts.jsonl", texts)
    kind = "names" if way.names else "topic"
    train = _write(folder / f"{kind}-{count}.jsonl", rows[:count])
    return train, _write(folder / f"{kind}-test.jsonl", rows[-_MEASURED:])


def _score(folder: Path, way: str) -> float:
    kind, task = ("names", "ner") if WAYS[way].names else ("topic", "classification")
    data = ["--data", str(folder / f"{kind}-test.jsonl")]
    words = ["--task", task, *data, "--format", "json", "--precision", "fp32"]
    found: dict[str, Any] = json.loads(_run(["evaluate", str(folder / way)], words))
    return float(found[found["metric"]])


def _times(folder: Path, ways: list[str], options: argparse.Namespace) -> dict[str, float]:
    """CPU milliseconds of one text: the lowest mean of several rounds, the models in turn."""
    best = dict.fromkeys(ways, float("inf"))
    rows = [row.values for row in read_rows(options.data / "train" / options.file)][-_TIMED:]
    tasks = {way: "ner" if WAYS[way].names else "classification" for way in ways}
    pipes = {way: pipeline(tasks[way], folder / way, threads=1) for way in ways}
    for _ in range(_ROUNDS):
        for way, pipe in pipes.items():
            start = time.process_time()
            for row in rows:
                pipe(row["text"])
            best[way] = min(best[way], 1000 * (time.process_time() - start) / len(rows))
    return best


def _run(*parts: list[str]) -> str:
    """The output of a command."""
    words = [word for part in parts for word in part]
    command = [str(Path(sys.executable).parent / "nlplug"), *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    return done.stdout


def _write(path: Path, rows: list[dict[str, Any]]) -> Path:
    with open_writer(path) as writer:
        for row in rows:
            writer.write(row)
    return path


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    data = os.environ.get("NLPLUG_DATA")
    parser.add_argument("--data", type=Path, default=data, required=data is None)
    parser.add_argument("--file", default="topic/trec6_train.jsonl.gz")
    parser.add_argument("--names", default="ner/btc_tweets_en_train.jsonl.gz")
    parser.add_argument("--base", default="", help="a checkpoint; default: that of the task")
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default=",".join(WAYS), help="of " + ", ".join(WAYS))
    options = parser.parse_args()
    options.only = options.only.split(",")
    return options


if __name__ == "__main__":
    main()
