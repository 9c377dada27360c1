"""Each encoder architecture on both stacks: what its graph is, parity, and speed beside Optimum.

    python benchmarks/encoders.py --first .venv --second .venv5 [--update]

Each environment exports the architectures that it knows, with random weights, 4 layers and a hidden
size of 256, and compares its graphs with PyTorch. Then all graphs of an architecture run in this
process, alternating, on one thread, with 8 rows of 32 tokens; the time is CPU time. The speed is
that beside the plain export of Optimum. With ``--update`` docs/architectures.md is written again.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from encoder_cases import CASES

PAGE = Path(__file__).resolve().parents[1] / "docs" / "architectures.md"
BEGIN, END = "<!-- encoders -->\n", "<!-- /encoders -->\n"
ROWS, TOKENS, RUNS = 8, 32, 25
SHAPES = ((1, 3), (3, 16), (8, 48))
SIZE = {
    "vocab_size": 1000,
    "hidden_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
    "max_position_embeddings": 130,
    "pad_token_id": 0,
}
DISTIL = {"dim": 256, "n_layers": 4, "n_heads": 4, "hidden_dim": 1024}
RECORD = "record.json"


def export(folder: Path) -> None:
    """Write ``plain.onnx`` and ``fused.onnx`` of each architecture, and the record of all."""
    from transformers import CONFIG_MAPPING, AutoConfig, AutoModelForSequenceClassification

    from nlplug.export.exporters.exporter import installed_exporter
    from nlplug.export.fusion import fuse

    record = {}
    for name, (model_type, settings) in CASES.items():
        if model_type not in CONFIG_MAPPING:
            continue
        kept = {k: v for k, v in settings.items() if k not in {*SIZE, *DISTIL} or "pad" in k}
        sizes = DISTIL if model_type == "distilbert" else {}
        config = AutoConfig.for_model(model_type, **{**SIZE, **kept, **sizes})
        model = AutoModelForSequenceClassification.from_config(config).eval()
        own = folder / name
        own.mkdir()
        plain = installed_exporter().one_pass(model, "text-classification", own)
        fused = fuse(plain, config, own)
        (own / "plain.onnx").write_bytes(plain.SerializeToString())
        (own / "fused.onnx").write_bytes(fused.cpu.SerializeToString())
        parity = max(_difference(model, own / "fused.onnx", *shape) for shape in SHAPES)
        record[name] = {"note": fused.note.split(":")[0], "parity": parity}
    (folder / RECORD).write_text(json.dumps(record), encoding="utf-8")


def _difference(model: Any, path: Path, rows: int, longest: int) -> float:
    """The largest difference of logits to PyTorch, with padding."""
    import torch

    session = _session(path)
    lengths = np.random.default_rng(rows).integers(1, longest + 1, rows)
    lengths[0] = longest
    feeds = _feeds(session, (np.arange(longest) < lengths[:, None]).astype(np.int64), model.config)
    with torch.inference_mode():
        given = {name: torch.from_numpy(value) for name, value in feeds.items()}
        expected = model(**given).logits.numpy()
    return float(np.abs(session.run(None, feeds)[0] - expected).max())


def _feeds(session: Any, mask: np.ndarray, config: Any = None) -> dict[str, np.ndarray]:
    drawn = np.random.default_rng(0).integers(5, 1000, mask.shape)
    ids = np.where(mask == 1, drawn, getattr(config, "pad_token_id", 0))
    feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(mask)}
    return {one.name: feeds[one.name] for one in session.get_inputs()}


def speeds(baseline: Path, others: list[Path]) -> list[float]:
    """How many times as fast as a graph others are."""
    sessions = [_session(path) for path in (baseline, *others)]
    mask = np.ones((ROWS, TOKENS), dtype=np.int64)
    feeds = [_feeds(session, mask) for session in sessions]
    times: list[list[float]] = [[] for _ in sessions]
    for number in range(RUNS + 2):
        for session, given, own in zip(sessions, feeds, times, strict=True):
            start = _cpu()
            session.run(None, given)
            if number >= 2:  # the first ones warm up
                own.append(_cpu() - start)
    first, *rest = (median(own) for own in times)
    return [first / one for one in rest]


def _session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def table(folders: list[Path]) -> str:
    """The table of the page: a pair of columns for each stack.

    Args:
        folders: What `export` wrote with Optimum, and with transformers 5.
    """
    records = [json.loads((folder / RECORD).read_text("utf-8")) for folder in folders]
    text = (
        "| architecture | `model_type` | `train` | `train5` | to PyTorch | speed |\n"
        "|---|---|---|---|---|---|\n"
    )
    for name, (model_type, _) in CASES.items():
        known = [(folder, one) for folder, one in zip(folders, records, strict=True) if name in one]
        graphs = [record[name]["note"] if name in record else "refused" for record in records]
        parity = ", ".join(f"{record[name]['parity']:.0e}" for _, record in known)
        shown = "-"
        if name in records[0]:
            found = speeds(
                folders[0] / name / "plain.onnx", [f / name / "fused.onnx" for f, _ in known]
            )
            shown = ", ".join(f"{one:.2f}" for one in found)
        text += f"| {name} | `{model_type}` | {' | '.join(graphs)} | {parity} | {shown} |\n"
        print(text.splitlines()[-1], flush=True)
    return f"{text}| NeoBERT | `neobert` | refused | refused | - | - |\n"


def main() -> None:
    """Export in both environments, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=Path, help="environment of nlplug[train]")
    parser.add_argument("--second", type=Path, help="environment of nlplug[train5]")
    parser.add_argument("--update", action="store_true", help="write docs/architectures.md")
    parser.add_argument("--export", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.export:
        export(given.export)
        return
    if not (given.first and given.second):
        parser.error("--first and --second are required")
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name, "first"), Path(name, "second")]
        for environment, folder in zip((given.first, given.second), folders, strict=True):
            folder.mkdir()
            python = str(environment / "bin" / "python")
            subprocess.run([python, __file__, "--export", str(folder)], check=True)
        made = table(folders)
    if given.update:
        before, rest = PAGE.read_text("utf-8").split(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{made}\n{END}{rest.split(END)[1]}", "utf-8")


if __name__ == "__main__":
    main()
