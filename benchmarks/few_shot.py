"""Classifiers from few rows: `nlplug train` without options, against SetFit on the same encoder.

    python benchmarks/few_shot.py WORK --data FOLDER [--set trec6-48] [--seeds 5]
        [--setfit PYTHON --steps 150]

FOLDER contains ``train/topic``. Only rows of training parts are used: half of them, by a hash of
the text, is for choosing defaults, and this script trains and scores on the other half. PYTHON is
the interpreter of an environment with setfit.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import json
import random
import resource
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models import base_checkpoint

Row = tuple[str, str]


@dataclass(frozen=True)
class FewShotSet:
    """Rows to train on: a number of random rows, or a number per label."""

    file: str
    rows: int = 0
    per_label: int = 0


SETS = {
    "trec6-400": FewShotSet("trec6_train", rows=400),
    "trec6-48": FewShotSet("trec6_train", per_label=8),
    "agnews-8": FewShotSet("ag_news_train_part", per_label=8),
    "banking77-8": FewShotSet("banking77_train", per_label=8),
}
_TEST_ROWS = 2000

SETFIT = """
import csv, json, sys
from datasets import Dataset
from setfit import SetFitModel, Trainer, TrainingArguments
train, test, base, steps, seed = sys.argv[1:]
rows = list(csv.DictReader(open(train)))
held = list(csv.DictReader(open(test)))
model = SetFitModel.from_pretrained(base, labels=sorted({row["label"] for row in rows}))
arguments = TrainingArguments(output_dir=train + ".setfit", max_steps=int(steps), seed=int(seed),
                              save_strategy="no", report_to="none")
Trainer(model=model, args=arguments, train_dataset=Dataset.from_list(rows)).train()
given = model.predict([row["text"] for row in held])
right = sum(str(one) == row["label"] for one, row in zip(given, held))
print(json.dumps({"accuracy": right / len(held)}))
"""


def rows_of(data: Path, few: FewShotSet, seed: int) -> tuple[list[Row], list[Row]]:
    """Rows to train on and rows to score, from the half that chose no defaults."""
    file = data / "train" / "topic" / f"{few.file}.jsonl.gz"
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        values = [json.loads(line) for line in lines]
    rows = [
        (value["text"], str(value["label"]))
        for value in values
        if hashlib.md5(value["text"].encode(), usedforsecurity=False).digest()[-1] % 2
    ]
    random.Random(seed).shuffle(rows)
    if few.rows:
        return rows[: few.rows], rows[few.rows :][:_TEST_ROWS]
    taken: Counter[str] = Counter()
    train, rest = [], []
    for row in rows:
        part = train if taken[row[1]] < few.per_label else rest
        taken[row[1]] += 1
        part.append(row)
    return train, rest[:_TEST_ROWS]


def write(rows: Sequence[Row], file: Path) -> Path:
    """Rows as CSV."""
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("text", "label"), *rows])
    return file


def timed(command: Sequence[str]) -> tuple[str, float, float]:
    """The output of a command, its wall time and its CPU time in seconds."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(command[:6])} failed:\n{done.stderr[-2000:]}")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.stdout, wall, used


def nlplug(train: Path, test: Path, output: Path) -> tuple[float, float, float]:
    """Accuracy of the int8 bundle, and wall and CPU seconds from the file to the bundle."""
    tool = [sys.executable, "-m", "nlplug"]
    _, wall, used = timed(
        [*tool, "train", "classification", "--data", str(train), "--output", str(output)]
    )
    scores, _, _ = timed(
        [
            *tool,
            "evaluate",
            str(output),
            "--data",
            str(test),
            "--precision",
            "int8",
            "--format",
            "json",
        ]
    )
    return float(json.loads(scores)["accuracy"]), wall, used


def setfit(
    python: str, train: Path, test: Path, steps: int, seed: int
) -> tuple[float, float, float]:
    """Accuracy of SetFit in PyTorch, and wall and CPU seconds."""
    arguments = [str(train), str(test), str(base_checkpoint(None)), str(steps), str(seed)]
    output, wall, used = timed([python, "-c", SETFIT, *arguments])
    return float(json.loads(output.splitlines()[-1])["accuracy"]), wall, used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--set", choices=SETS, action="append")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--setfit", help="Python of an environment with setfit.")
    parser.add_argument("--steps", type=int, default=150)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    for name in given.set or SETS:
        found: dict[str, list[tuple[float, float, float]]] = {}
        for seed in range(given.seeds):
            rows, held = rows_of(given.data, SETS[name], seed)
            train = write(rows, given.work / f"{name}-{seed}-train.csv")
            test = write(held, given.work / f"{name}-{seed}-test.csv")
            result = nlplug(train, test, given.work / f"{name}-{seed}")
            found.setdefault("nlplug", []).append(result)
            if given.setfit:
                result = setfit(given.setfit, train, test, given.steps, seed)
                found.setdefault("SetFit", []).append(result)
        for tool, results in found.items():
            scores, walls, used = zip(*results, strict=True)
            spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
            print(
                f"{name} {tool}: accuracy {statistics.mean(scores):.3f} ± {spread:.3f}, "
                f"{statistics.mean(walls):.0f} s, {statistics.mean(used):.0f} s of CPU",
                flush=True,
            )


if __name__ == "__main__":
    main()
