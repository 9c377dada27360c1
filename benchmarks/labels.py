"""What a thousand labels cost beside ten: training, gate and report of the same texts.

    python benchmarks/labels.py WORK [--base FOLDER] [--rows 4000] [--labels 10,1000]

The labels are drawn at random, so nothing is learned, and nothing depends on the texts. Time is
CPU time of `nlplug train`, with the export and the report; memory is the peak of its process.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryFile

from models import base_checkpoint

_TEXT = (
    "invoice card page error phone order charge refund login late door blue ship cost "
    "when how my the a is was not can with for to from again today"
)


def write_rows(file: Path, rows: int, labels: int) -> None:
    """Random texts of 4 to 16 words; each label occurs equally often."""
    source = random.Random(0)
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        for number in range(rows):
            words = source.choices(_TEXT.split(), k=source.randint(4, 16))
            writer.writerow([" ".join(words), f"label {number % labels}"])


def measured(command: list[str]) -> tuple[float, float]:
    """CPU seconds of a command, and its peak memory in megabytes."""
    with TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
        _, status, used = os.wait4(process.pid, 0)
        if status:
            said.seek(0)
            sys.exit(said.read().decode()[-2000:])
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--base", type=Path)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--labels", default="10,1000")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    base = given.base or base_checkpoint(None)
    print("| labels | CPU seconds | peak memory, MB | seconds |")
    print("|---:|---:|---:|---:|")
    for labels in map(int, given.labels.split(",")):
        data = given.work / f"{labels}.csv"
        write_rows(data, given.rows, labels)
        command = [sys.executable, "-m", "nlplug", "train", "classification"]
        command += ["--data", str(data), "--output", str(given.work / str(labels))]
        command += ["--base", str(base), "--epochs", "1", "--threads", "1"]
        command += ["--allow-trivial", "--budget", "1"]
        start = time.perf_counter()
        used, memory = measured(command)
        print(
            f"| {labels:,} | {used:.0f} | {memory:.0f} | {time.perf_counter() - start:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
