"""The ways to train beside fine-tuning: accuracy, size and time on the same rows.

NLPLUG_DATA=… python benchmarks/ways.py [--rows 400] [--only lora,seeds] [--threads 1]

TREC-6: some rows of its training file train, 1,000 others are measured; the official test set is
not used. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nlplug.data import read_rows
from nlplug.data.writers import open_writer

WAYS: dict[str, tuple[str, list[str]]] = {
    "full": ("all weights", []),
    "lora": ("`--adapter lora`", ["--adapter", "lora", "--learning-rate", "2e-3"]),
    "rslora": ("`--adapter rslora`", ["--adapter", "rslora", "--learning-rate", "1e-3"]),
    "seeds": ("`--seeds 3`", ["--seeds", "3"]),
    "search": ("`--search-minutes 3`", ["--search-minutes", "3"]),
    "pruned": ("half of the feed-forward neurons, the whole model as teacher", []),
    "half": ("all weights, half of the rows", []),
    "taught": ("half of the rows, a teacher for the other half without labels", []),
}
_MEASURED = 1000


def main() -> None:
    options = _arguments()
    rows = [row.values for row in read_rows(options.data / "train" / "topic" / options.file)]
    with TemporaryDirectory() as name:
        folder = Path(name)
        train = _write(folder / "train.jsonl", rows[: options.rows])
        half = _write(folder / "half.jsonl", rows[: options.rows // 2])
        texts = [{"text": row["text"]} for row in rows[options.rows // 2 : options.rows]]
        others = _write(folder / "texts.jsonl", texts)
        test = _write(folder / "test.jsonl", rows[-_MEASURED:])
        print("| way | accuracy, fp32 | CPU seconds |\n|---|---:|---:|")
        for way in options.only:
            title, arguments = WAYS[way]
            data = half if way in ("half", "taught") else train
            if way == "taught":
                arguments = ["--teacher", str(folder / "full"), "--unlabelled", str(others)]
            if way == "pruned":
                smaller = folder / "smaller"
                _run(
                    ["prune", str(folder / "full.training" / "model"), "--data", str(train)],
                    ["--output", str(smaller)],
                )
                arguments = ["--base", str(smaller), "--teacher", str(folder / "full")]
            output = folder / way
            seconds = _train(data, test, output, arguments, options)
            accuracy = _accuracy(output, test)
            print(f"| {title} | {accuracy:.3f} | {seconds:.0f} |", flush=True)


def _train(
    data: Path, test: Path, output: Path, arguments: list[str], options: argparse.Namespace
) -> float:
    """CPU seconds of a run, the export included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    files = ["--data", str(data), "--output", str(output), "--test", str(test)]
    settings = ["--precisions", "fp32", "--threads", str(options.threads)]
    _run(["train", "classification"], files, settings, arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _accuracy(bundle: Path, test: Path) -> float:
    words = ["--task", "classification", "--data", str(test), "--format", "json"]
    found: dict[str, Any] = json.loads(_run(["evaluate", str(bundle)], words))
    return float(found["accuracy"])


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
    parser.add_argument("--file", default="trec6_train.jsonl.gz")
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default=",".join(WAYS), help="of " + ", ".join(WAYS))
    options = parser.parse_args()
    options.only = options.only.split(",")
    return options


if __name__ == "__main__":
    main()
