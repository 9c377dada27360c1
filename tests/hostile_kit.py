"""A checkpoint whose files try to have code fetched and run, and what a process did with it.

``python hostile_kit.py FOLDER OUTPUT`` exports the checkpoint, trains from it and answers with it,
and prints as JSON which of its files were read as code or as pickles and which hosts were asked.
"""

from __future__ import annotations

import json
import pickle
import shutil
import sys
from pathlib import Path
from typing import Any

REPOSITORY = "someone/evil"
MARKER = "executed"
PICKLES = (
    *("pytorch_model.bin", "training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth"),
    *("model.pkl", "model.pt", "model.ckpt", "vocab.pkl", "spiece.pickle", "embeddings.joblib"),
)
MODULES = (
    *("configuration_own", "modeling_own", "tokenization_own", "processing_own", "pipe_own"),
    *("handler", "custom_generate/generate", "sitecustomize", "conftest", "kernels_own"),
)
_TEMPLATE = (
    "{{ cycler.__init__.__globals__.os.mkdir(MARKER) }}"
    "{{ self._TemplateReference__context.environment.globals }}"
)
_ROWS = [
    {"text": f"{word} film", "label": label}
    for label, words in {"positive": ("good", "lovely"), "negative": ("bad", "dull")}.items()
    for word in words
]


class _Opened:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._marker,)


def make_hostile(folder: Path) -> None:
    """Add to a checkpoint every key and file that we know to choose code."""
    marker = folder / MARKER
    code = f"import pathlib\npathlib.Path({str(marker)!r}).touch()\n"
    for name in MODULES:
        path = folder / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(code, encoding="utf-8")
    for name in PICKLES:
        (folder / name).write_bytes(pickle.dumps(_Opened(marker)))
    names = {
        "AutoConfig": "configuration_own.Own",
        "AutoModel": "modeling_own.Own",
        "AutoModelForSequenceClassification": f"{REPOSITORY}--modeling_own.Own",
        "AutoTokenizer": ["tokenization_own.Own", f"{REPOSITORY}--tokenization_own.Own"],
        "AutoProcessor": "processing_own.Own",
        "AutoImageProcessor": "processing_own.Own",
        "AutoFeatureExtractor": "processing_own.Own",
    }
    kernel = f"{REPOSITORY}:own"
    both = {
        "auto_map": names,
        "trust_remote_code": True,
        "use_kernels": True,
        "kernel_config": {"kernel_mapping": {"RMSNorm": kernel, "Linear": kernel}},
        "custom_generate": REPOSITORY,
        "code_revision": "main",
        "adapter_kwargs": {"revision": "main"},
        "name_or_path": REPOSITORY,
    }
    implementations = {
        name: kernel
        for name in (
            *("attn_implementation", "_attn_implementation", "_attn_implementation_internal"),
            *("experts_implementation", "_experts_implementation", "attn_implementation_autoset"),
            *("_experts_implementation_internal", "linear_implementation", "mlp_implementation"),
        )
    }
    pipes = {"text-classification": {"impl": "pipe_own.Own", "pt": ["AutoModel"], "type": "text"}}
    changes: dict[str, dict[str, Any]] = {
        "config.json": {
            **both,
            **implementations,
            "custom_pipelines": pipes,
            "tokenizer_class": "tokenization_own.Own",
            "base_model_tp_plan": {"*": "modeling_own.plan"},
            "extra": [{"inner": {**both, **implementations}}],
            "_name_or_path": REPOSITORY,
        },
        "tokenizer_config.json": {
            **both,
            "chat_template": _TEMPLATE.replace("MARKER", repr(str(marker))),
            "processor_class": "processing_own.Own",
            "vocab_file": "vocab.pkl",
        },
        "generation_config.json": {
            **both,
            "assistant_model": REPOSITORY,
            "watermarking_config": {"model": REPOSITORY},
        },
        "preprocessor_config.json": {**both, "image_processor_type": "Own"},
        "processor_config.json": {**both, "processor_class": "processing_own.Own"},
        "modules.json": {},
    }
    for name, change in changes.items():
        path = folder / name
        values = json.loads(path.read_bytes()) if path.is_file() else {}
        path.write_text(json.dumps(values | change), encoding="utf-8")
    modules = [{"idx": 0, "name": "0", "path": "", "type": "modeling_own.Own"}]
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")


def watch(folder: Path) -> dict[str, set[str]]:
    """Record from now on what this process does; it cannot be ended."""
    found: dict[str, set[str]] = {"opened": set(), "hosts": set(), "ran": set()}
    suffixes = {".py", *(Path(name).suffix for name in PICKLES)}

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str):
            path = Path(arguments[0])
            if path.suffix in suffixes and path.is_relative_to(folder):
                found["opened"].add(path.name)
        elif event in ("socket.getaddrinfo", "socket.connect"):
            found["hosts"].add(str(arguments))
        elif event == "exec" and str(folder) in str(arguments[0]):
            found["ran"].add(str(arguments[0]))
        elif event in ("os.system", "subprocess.Popen") and REPOSITORY in str(arguments):
            found["ran"].add(str(arguments))

    sys.addaudithook(hook)
    return found


def use(folder: Path, output: Path) -> None:
    """Export a checkpoint, train from it, and answer with its files.

    The checkpoint is in the folder of the output too, as a repository of the Hub without a graph.
    """
    from nlplug import PluginHost, pipeline
    from nlplug.export.run import ExportConfig, export_model
    from nlplug.train.python import train

    task = PluginHost.discover().task("classification")
    report = export_model(ExportConfig(folder, output / "bundle", task, precisions=("fp32",)))
    given: dict[str, Any] = {"eval": _ROWS, "epochs": 1, "precisions": ["fp32"]}
    train(task, _ROWS, output=output / "run", base=str(folder), allow_trivial=True, **given)
    repository = output / "repository"
    shutil.copytree(report.bundle.path / "onnx", repository / "onnx")
    for place in (report.bundle.path, repository):
        with pipeline("text-classification", place, device="cpu", precision="fp32") as pipe:
            assert pipe("good film")[0]["label"]
            assert pipe.tokenizer.encode("good film")
    with pipeline("text-classification", repository, device="cpu", precision="fp32") as pipe:
        try:
            written = pipe.tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}])
        except Exception as error:
            written = type(error).__name__
        assert "mkdir" not in str(written)


def main() -> None:
    """See the module."""
    folder, output = map(Path, sys.argv[1:])
    output.mkdir()
    shutil.copytree(folder, output / "repository")
    found = watch(folder.parent)
    use(folder, output)
    made = {str(path) for path in folder.parent.rglob(MARKER)}
    print(json.dumps({name: sorted(values) for name, values in (found | {"made": made}).items()}))


if __name__ == "__main__":
    main()
