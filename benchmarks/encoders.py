"""Speed of the exported graph of each encoder architecture beside Optimum's plain export.

``python benchmarks/encoders.py`` writes the rows of the table in docs/architectures.md. Models have
random weights, 4 layers and a hidden size of 256; the batch has 8 rows of 32 tokens. Both graphs
run alternating in one process on one thread; the time is CPU time.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from encoder_cases import CASES

ROWS, TOKENS, RUNS = 8, 32, 15
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


def measure(model_type: str, settings: dict[str, Any]) -> tuple[str, float]:
    """The note of the graph, and how many times as fast as the plain one it is."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    from nlplug.export.exporters.optimum import OptimumExporter
    from nlplug.export.fusion import fuse

    kept = {k: v for k, v in settings.items() if k not in {*SIZE, *DISTIL} or k == "pad_token_id"}
    sizes = DISTIL if model_type == "distilbert" else {}
    config = AutoConfig.for_model(model_type, **{**SIZE, **kept, **sizes})
    model = AutoModelForSequenceClassification.from_config(config).eval()
    with tempfile.TemporaryDirectory() as name:
        plain = OptimumExporter().one_pass(model, "text-classification", Path(name))
        fused = fuse(plain, config, Path(name))
    sessions = [_session(plain), _session(fused.cpu)]
    mask = np.ones((ROWS, TOKENS), dtype=np.int64)
    ids = np.random.default_rng(0).integers(5, 1000, mask.shape)
    feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(mask)}
    feeds = {one.name: feeds[one.name] for one in sessions[0].get_inputs()}
    times: list[list[float]] = [[], []]
    for number in range(RUNS + 2):
        for session, own in zip(sessions, times, strict=True):
            start = _cpu()
            session.run(None, feeds)
            if number >= 2:  # the first ones warm up
                own.append(_cpu() - start)
    return fused.note, median(times[0]) / median(times[1])


def _session(graph: Any) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print the rows of the table."""
    for name, (model_type, settings) in CASES.items():
        note, ratio = measure(model_type, settings)
        print(f"| {name} | `{model_type}` | {note.split(':')[0]} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
