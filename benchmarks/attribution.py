"""Explanations of nlplug against Captum's integrated gradients, on the same weights and texts.

    python benchmarks/attribution.py WORK --data FOLDER --captum PYTHON [--base CHECKPOINT]

FOLDER contains ``train/sentiment`` and ``dev/sentiment``; the model is trained on the first, and
the second only measures. PYTHON is the interpreter of an environment with torch, transformers and
captum. The areas under the deletion and insertion curves are computed there, in float32, for the
words of all methods alike.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models import base_checkpoint, export_nlplug

from nlplug import pipeline

PEER = Path(__file__).parent / "attribution_peer.py"
METHODS = ("occlusion", "shapley")
SEED = 7
_TOLERANCE = 0.05


def rows_of(file: Path, count: int) -> list[dict[str, Any]]:
    """Random rows of a file, the same in each run."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return random.Random(SEED).sample(rows, min(count, len(rows)))


def model_of(work: Path, data: Path, python: str, base: Path, rows: int) -> tuple[Path, Path]:
    """The checkpoint and its bundle; made if they are not there."""
    checkpoint, bundle = work / "checkpoint", work / "bundle"
    if not (checkpoint / "config.json").is_file():
        given = work / "train.json"
        train = rows_of(data / "train" / "sentiment" / "sst2_train.jsonl.gz", rows)
        given.write_text(json.dumps(train), encoding="utf-8")
        call(python, "train", str(base), str(given), str(checkpoint))
    if not (bundle / "nlplug.json").is_file():
        export_nlplug(checkpoint, "sentiment", bundle)
    return checkpoint, bundle


def call(python: str, *arguments: str) -> None:
    done = subprocess.run(
        [python, str(PEER), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{PEER.name} {arguments[0]} failed:\n{done.stderr[-2000:]}")


def explained(
    bundle: Path, texts: list[str], methods: Sequence[str]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The words, labels and weights of the texts, and passes and seconds of CPU per text."""
    found: list[dict[str, Any]] = []
    costs: dict[str, Any] = {}
    pipe = pipeline("sentiment", model=bundle, precision="fp32", threads=1)
    labels = ["negative", "positive"]
    for method in methods:
        pipe(texts[0], explain=True, explain_method=method)
        before = resource.getrusage(resource.RUSAGE_SELF)
        answers = pipe(texts, explain=True, explain_method=method)
        after = resource.getrusage(resource.RUSAGE_SELF)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        passes = sum(one["explanation"]["passes"] for one in answers)
        costs[f"nlplug {method}"] = {"passes": passes / len(texts), "cpu_s": used / len(texts)}
        for number, (text, one) in enumerate(zip(texts, answers, strict=True)):
            words = one["explanation"]["words"]
            if len(found) == number:
                found.append(
                    {
                        "text": text,
                        "label": labels.index(one["explanation"]["target"]["label"]),
                        "spans": [(word["start"], word["end"]) for word in words],
                        "weights": {},
                    }
                )
            found[number]["weights"][f"nlplug {method}"] = [word["weight"] for word in words]
    return found, costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--captum", required=True, help="Python of an environment with captum.")
    parser.add_argument("--base", type=Path)
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--rows", type=int, default=6000, help="Rows to train on.")
    parser.add_argument(
        "--variants", action="store_true", help="Also judge Shapley values and other occlusions."
    )
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    base = base_checkpoint(given.base)
    checkpoint, bundle = model_of(given.work, given.data, given.captum, base, given.rows)
    rows = rows_of(given.data / "dev" / "sentiment" / "sst2_dev.jsonl.gz", given.texts)
    found, costs = explained(bundle, [row["text"] for row in rows], METHODS[: 1 + given.variants])
    orders, judged = given.work / "orders.json", given.work / "judged.json"
    orders.write_text(json.dumps(found), encoding="utf-8")
    variants = "yes" if given.variants else "no"
    call(given.captum, "judge", str(checkpoint), str(orders), str(judged), variants)
    result = json.loads(judged.read_text(encoding="utf-8"))
    areas = result["areas"]
    for name, own in areas.items():
        print(f"{name:32}", *(f"{key} {value:.4f}" for key, value in own.items()), sep="  ")
    print(f"integrated gradients: {result['seconds']:.3f} s of CPU per text; nlplug: {costs}")
    sys.exit(not within(areas))


def within(areas: dict[str, dict[str, float]]) -> bool:
    """Whether occlusion is at most 5 % worse than the better of the two baselines, in each area."""
    peers = [own for name, own in areas.items() if name.startswith("integrated")]
    good = True
    for key, value in areas["nlplug occlusion"].items():
        if key.startswith("insertion"):
            good &= value >= (1 - _TOLERANCE) * max(own[key] for own in peers)
        else:
            good &= value <= (1 + _TOLERANCE) * min(own[key] for own in peers)
    return good


if __name__ == "__main__":
    main()
