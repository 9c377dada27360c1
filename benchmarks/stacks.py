"""The same checkpoints, exported on both training stacks: metrics, differences to PyTorch, speed.

    python benchmarks/stacks.py --first .venv --second .venv5 sentiment=runs/mine,rows.jsonl …

Each environment exports all checkpoints, with the quality gate on the same rows. The graphs are
then run in this process, alternating, and compared. With ``--update`` the table of
``docs/stacks.md`` is written again.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

PAGE = Path(__file__).parents[1] / "docs" / "stacks.md"
BEGIN, END = "<!-- stacks -->\n", "<!-- /stacks -->\n"
_SHAPES = ((1, 7), (2, 20), (8, 40))
_METRICS = {"accuracy": 100, "f1": 100, "chrf": 1, "bits_per_byte": 1}
"""The metrics that are shown, and what they are multiplied by."""
_ROUNDS = 15
_SECONDS = 0.05
_SYMBOLS = 16
"""Size of an axis that is neither the batch nor the tokens, such as past tokens."""


@dataclass(frozen=True)
class Subject:
    """A checkpoint to export.

    Attributes:
        task: The task that it is for.
        checkpoint: Its folder.
        rows: A file with rows for the gate; None: the examples of the task.
        text: As it is given.
    """

    task: str
    checkpoint: Path
    rows: Path | None
    text: str

    @classmethod
    def parse(cls, text: str) -> Subject:
        """Read ``task=folder`` or ``task=folder,rows``."""
        task, _, where = text.partition("=")
        folder, _, rows = where.partition(",")
        return cls(task, Path(folder), Path(rows) if rows else None, text)

    def export(self, folder: Path, count: int) -> None:
        """Write the bundle that this environment makes of it, with fp32 only.

        Args:
            folder: Where the bundle is written.
            count: Maximum number of rows.
        """
        from nlplug.export.config import ExportConfig
        from nlplug.export.run import export_model
        from nlplug.plugins import PluginHost

        task = PluginHost.discover().task(self.task)
        given = {} if self.rows is None else {"eval_data": self.rows, "eval_rows": count}
        export_model(ExportConfig(self.checkpoint, folder, task, precisions=("fp32",), **given))


def feeds_of(session: ort.InferenceSession, rows: int, tokens: int) -> dict[str, np.ndarray]:
    """Random inputs of a graph: ids below 100, masks of ones, and numbers for the rest."""
    source = np.random.default_rng(rows * 1000 + tokens)
    feeds = {}
    for one in session.get_inputs():
        shape = [
            axis if isinstance(axis, int) else _size(axis, place, len(one.shape), rows, tokens)
            for place, axis in enumerate(one.shape)
        ]
        if "int" in one.type:
            drawn = "ids" in one.name and "type" not in one.name
            values = source.integers(0, 100, shape) if drawn else np.ones(shape)
            feeds[one.name] = values.astype(np.int32 if "int32" in one.type else np.int64)
        elif "bool" in one.type:
            feeds[one.name] = np.zeros(shape, bool)
        else:
            feeds[one.name] = source.normal(size=shape).astype(np.float32)
    return feeds


def _size(axis: str, place: int, rank: int, rows: int, tokens: int) -> int:
    if place == 0 or "batch" in axis:
        return rows
    return tokens if rank == 2 or "sequence" in axis else _SYMBOLS


def cpu_seconds() -> float:
    """CPU time of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def compare(first: Path, second: Path) -> tuple[float, float | None]:
    """The largest difference of the outputs of two graphs, and the second's CPU time relative to
    the first's: the median over alternating rounds. None: the files are equal."""
    if first.read_bytes() == second.read_bytes():
        return 0.0, None
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    sessions = [
        ort.InferenceSession(str(path), options, ["CPUExecutionProvider"])
        for path in (first, second)
    ]
    names = [one.name for one in sessions[0].get_outputs()]
    worst, ratios = 0.0, []
    for rows, tokens in _SHAPES:
        feeds = feeds_of(sessions[0], rows, tokens)
        answers = [session.run(names, feeds) for session in sessions]
        for one, two in zip(*answers, strict=True):
            worst = max(worst, float(np.abs(one - two).max(initial=0.0)))
    began, runs = cpu_seconds(), 1
    sessions[0].run(names, feeds)
    runs = max(1, round(_SECONDS / max(cpu_seconds() - began, 1e-5)))
    for _ in range(_ROUNDS):
        taken = []
        for session in sessions:
            began = cpu_seconds()
            for _ in range(runs):
                session.run(names, feeds)
            taken.append(cpu_seconds() - began)
        ratios.append(taken[1] / taken[0])
    return worst, statistics.median(ratios)


def operators(path: Path) -> dict[str, int]:
    """How often each operator occurs in a graph."""
    found: dict[str, int] = {}
    for node in onnx.load(path, load_external_data=False).graph.node:
        found[node.op_type] = found.get(node.op_type, 0) + 1
    return found


def metric_of(manifest: Mapping[str, Any]) -> str:
    """The metrics of float32, or how often its answers are those of PyTorch."""
    record = manifest["precisions"]["fp32"]
    for name, factor in _METRICS.items():
        if name in record["metrics"]:
            return f"{name} {factor * record['metrics'][name]:.2f}"
    return f"agreement {100 * record['parity']['agreement']:.2f}"


def measure(subject: Subject, bundles: list[Path]) -> str:
    """The row of a checkpoint in the table.

    Args:
        subject: The checkpoint.
        bundles: What both environments made of it.
    """
    manifests = [json.loads((bundle / "nlplug.json").read_text("utf-8")) for bundle in bundles]
    record = manifests[0]["precisions"]["fp32"]
    files = sorted((record["graphs"] or {"model": record["file"]}).values())
    worst, shown = 0.0, []
    same = True
    for name in files:
        first, second = (bundle / name for bundle in bundles)
        difference, ratio = compare(first, second)
        worst = max(worst, difference)
        same = same and operators(first) == operators(second)
        shown.append("same file" if ratio is None else f"{ratio:.3f}")
    model = json.loads((subject.checkpoint / "config.json").read_text("utf-8"))["model_type"]
    parity = [one["precisions"]["fp32"]["parity"]["max_abs_diff"] for one in manifests]
    cells = (
        f"`{subject.task}`, {model}",
        *(metric_of(one) for one in manifests),
        *(f"{value:.1e}" for value in parity),
        f"{worst:.1e}",
        "same" if same else "different",
        ", ".join(shown),
    )
    return f"| {' | '.join(cells)} |\n"


def main() -> None:
    """Export, compare, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("subjects", nargs="+", type=Subject.parse, metavar="TASK=FOLDER[,ROWS]")
    parser.add_argument("--first", type=Path, help="environment of nlplug[train]")
    parser.add_argument("--second", type=Path, help="environment of nlplug[train5]")
    parser.add_argument("--export", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=int, default=2000, help="rows for each gate, at most")
    parser.add_argument("--update", action="store_true", help="write the table into docs/stacks.md")
    given = parser.parse_args()
    if given.export:
        for number, subject in enumerate(given.subjects):
            subject.export(given.export / str(number), given.rows)
        return
    if not (given.first and given.second):
        parser.error("--first and --second are required")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    heads: tuple[str, ...] = (
        "checkpoint",
        "`train`",
        "`train5`",
        "to PyTorch, `train`",
        "to PyTorch, `train5`",
    )
    heads = (*heads, "between both", "operators", "CPU time")
    table = f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}\n"
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name, one) for one in ("first", "second")]
        for environment, folder in zip((given.first, given.second), folders, strict=True):
            folder.mkdir()
            words = [str(environment / "bin" / "python"), __file__, "--export", str(folder)]
            subjects = [subject.text for subject in given.subjects]
            subprocess.run([*words, "--rows", str(given.rows), *subjects], check=True)
        for number, subject in enumerate(given.subjects):
            row = measure(subject, [folder / str(number) for folder in folders])
            print(row, end="", flush=True)
            table += row
    if given.update:
        page = PAGE.read_text("utf-8")
        before, rest = page.split(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}", "utf-8")


if __name__ == "__main__":
    main()
